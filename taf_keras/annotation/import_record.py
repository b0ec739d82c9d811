"""import.json: what all labels and frames of an imported data set have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taf_keras.annotation.footage import Footage
from taf_keras.errors import UserError
from taf_keras.files import reads, write_json
from taf_keras.sizes import Size, size_text

FILE = "import.json"


@dataclass
class ImportRecord:
    """The settings of one data set.

    Attributes:
        background: the class of what nobody has labelled, or None.
        videos: name -> image_size of its frames, source that tells another video, and index_offset.
        lists: name of a list -> sha256 of what was written; a user may have changed the file since.
    """

    background: str | None = None
    videos: dict[str, dict] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes it, complete or not at all."""
        content = {"background": self.background, "videos": self.videos, "lists": self.lists}
        write_json(folder / FILE, content)


def read_record(folder: Path) -> ImportRecord:
    """The record of a data set; an empty one where there is no data set.

    Raises: UserError for a data set that was not imported, which must not be overwritten.
    """
    path = folder / FILE
    if not path.exists():
        for name in ("classes.json", "train.csv", "val.csv"):
            if (folder / name).exists():
                raise UserError(f"{folder}: has a {name} that was not imported: choose another --output_dir")
        return ImportRecord()
    try:
        with reads(path):
            content = json.loads(path.read_text(encoding="utf-8"))
        videos = {name: dict(of) for name, of in content["videos"].items()}
        return ImportRecord(content["background"], videos, dict(content.get("lists", {})))
    except (ValueError, TypeError, LookupError, AttributeError):
        raise UserError(f"{path}: is damaged: choose another --output_dir") from None


def new_record(
    background: str | None, videos: Mapping[str, Footage], size: Size | None, lists: Mapping[str, str]
) -> ImportRecord:
    """The record of a call, once the offsets are known; `lists` are those written before."""
    entries = {
        name: {
            "image_size": size_text(size or footage.size),
            "source": footage.identity,
            "index_offset": footage.offset,
        }
        for name, footage in videos.items()
    }
    return ImportRecord(background, entries, dict(lists))


def require_same(before: ImportRecord, now: ImportRecord, folder: Path) -> None:
    """Refuses to mix labels and frames of different settings."""
    if before.background != now.background:
        was = f"--background={before.background}" if before.background else "no --background"
        raise UserError(f"{folder}: its labels were made with {was}: give the same, or another --output_dir")
    for name in before.videos.keys() & now.videos.keys():
        for what, words in _WORDS.items():
            value, other = before.videos[name].get(what), now.videos[name][what]
            if value != other:
                raise UserError(
                    f"{folder}: the frames of {name} {words} {value}, not {other}: give the same, or another "
                    "--output_dir"
                )


_WORDS = {
    "image_size": "have --image_size",
    "source": "come from",
    "index_offset": "were taken at an index less number of",
}


def forget_frames(before: ImportRecord, now: ImportRecord, folder: Path) -> None:
    """Removes the frames of videos that were read otherwise before: they are made anew."""
    for name in before.videos.keys() & now.videos.keys():
        if before.videos[name] != now.videos[name]:
            for path in (folder / "frames" / name).glob("*.jpg"):
                path.unlink()
