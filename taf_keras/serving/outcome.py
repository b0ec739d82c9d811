"""What became of the images and videos of a prediction."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taf_keras.errors import UserError


@dataclass
class Outcome:
    """Filled while a prediction is made.

    Attributes:
        written: the results.
        images, videos: what is wrong with those that could not be read.
        parts: what is wrong with videos of which the readable part is segmented.
        dim: images without a value above 1.
    """

    written: list[Path] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    dim: list[Path] = field(default_factory=list)

    def report(self, folder: Path, skipped: Mapping[str, int]) -> bool:
        """Prints it.

        Args:
            folder: of the results.
            skipped: of `Sources`.
        Returns: whether everything is segmented.
        Raises: UserError where nothing is.
        """
        for line in self.images + self.videos:
            print(f"not segmented: {line}", file=sys.stderr)
        for line in self.parts:
            print(f"segmented in part: {line}", file=sys.stderr)
        if self.dim:
            print(
                f"warning: {_counted(len(self.dim), 'image')} without a value above 1, where 255 is white, "
                f"such as {self.dim[0]}: floats in [0, 1], or label maps?",
                file=sys.stderr,
            )
        kinds = {"image": len(self.images), "video": len(self.videos)}
        refused = [_counted(count, kind) for kind, count in kinds.items() if count]
        if not self.written:
            raise UserError(f"nothing was segmented: {' and '.join(refused)} could not be read")
        example = self.written[-1].relative_to(folder)
        said = [f"wrote {len(self.written)} files to {folder}, such as {example}"]
        said += [f"{count} not segmented" for count in refused]
        if self.parts:
            said.append(f"{_counted(len(self.parts), 'video')} segmented in part")
        if skipped:
            said.append("skipped " + ", ".join(_counted(count, what) for what, count in skipped.items()))
        print("; ".join(said))
        return not (refused or self.parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
