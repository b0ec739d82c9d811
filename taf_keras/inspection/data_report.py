"""What is in a data set, and whether training would start with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, Split
from taf_keras.config import SPLITS, DataConfig
from taf_keras.datasets import load
from taf_keras.errors import BadFileError, UserError, require
from taf_keras.inspection.blank_frames import BlankFrame, blank_warnings, find_blank_frames
from taf_keras.inspection.check import require_usable, usable_split
from taf_keras.inspection.checked import remembered
from taf_keras.inspection.class_coverage import absence_warning, require_several_classes
from taf_keras.inspection.leakage import Leak, find_leaks
from taf_keras.inspection.look import DamageWithin, Looks, look_at
from taf_keras.inspection.partner_reach import partners_out_of_reach, partners_within
from taf_keras.progress import Progress
from taf_keras.sizes import size_text


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split.

    Attributes:
        temporal_context: n_h, frames.
        partners_within: n_h where training takes partners from the split, else 0: key frames alone, as where
            n_h reaches none.
        found: number of clips before bad ones were left out.
        split, looks: the usable clips, and what was found of all files.
        bad: every bad file.
        blank: frames that show nothing of their own; only a thorough look finds them.
        error: what is wrong with the split as a whole; None if it can be used.
    """

    name: str
    temporal_context: int
    partners_within: int
    found: int
    split: Split | None
    looks: Looks
    bad: tuple[BadFileError, ...]
    blank: tuple[BlankFrame, ...]
    error: UserError | None

    @property
    def clips(self) -> tuple[Clip, ...]:
        return self.split.clips if self.split else ()

    @cached_property
    def figures(self) -> list[tuple[str, object, float]]:
        """(kind, item, value) of the usable clips, with `partners_within` in force: see `taf_keras.check`."""
        frames = [frame for clip in self.clips for frame in clip.window(self.partners_within)]
        sizes = {frame.identity: self.looks.image(frame).size for frame in frames}
        context = self.temporal_context
        offsets = Counter(n for clip in self.clips for n in clip.offsets(context))
        partners = Counter(sorted(len(clip.offsets(context)) - 1 for clip in self.clips))
        figures = [
            ("count", "clips", len(self.clips)),
            ("count", "clips_left_out", self.found - len(self.clips)),
            ("count", "frames", len(sizes)),
            ("count", "labelled_frames", len({f.identity for f in frames if f.label is not None})),
            ("count", "bad_files", len(self.bad)),
            *(("size", size_text(size), count) for size, count in Counter(sizes.values()).most_common()),
            *(("partners", number, count) for number, count in partners.items()),
            *(("offset", n, offsets[n]) for n in range(-context, context + 1)),
        ]
        if self.clips:
            pixels = self.split.label_pixels
            sums, key_frames = pixels.sum(axis=0), (pixels > 0).sum(axis=0)
            for name, share, count in zip(
                self.split.classes.names, sums / sums[:-1].sum(), key_frames, strict=False
            ):
                figures += [("class_share", name, share), ("class_frames", name, count)]
            figures += [("void_share", "", sums[-1] / sums.sum()), ("void_frames", "", key_frames[-1])]
        return figures

    def values(self, kind: str) -> dict[object, float]:
        """item -> value of the figures of a kind."""
        return {item: value for of, item, value in self.figures if of == kind}


@dataclass(frozen=True)
class DataReport:
    """What was found in a data set, and what a training with its settings would make of it."""

    data: DataConfig
    method: str
    thorough: bool
    splits: tuple[SplitReport, ...]
    leaks: tuple[Leak, ...]

    @property
    def refusal(self) -> str | None:
        """Why training would not start, None if it would."""
        bad = [error for split in self.splits for error in split.bad]
        for split in self.splits:
            if split.bad and self.data.on_bad_file == "refuse":
                more = f", the first of {len(bad):,} bad files" if len(bad) > 1 else ""
                return f"{split.bad[0]}{more}; --on_bad_file=skip leaves such files out"
            if split.error:
                return str(split.error)
        for error in bad:
            if isinstance(error, DamageWithin):
                return f"{error}; training would find that too late to leave it out: replace or remove it"
        return None

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """(split, sentence) on each thing that does not stop a training and may still be wrong."""
        found = []
        for split in self.splits:
            if split.name == "train" and split.clips and not split.error:
                pixels = sum(each.split.label_pixels.sum(axis=0) for each in self.splits if each.clips)
                sentence = absence_warning(split.split, everywhere=pixels)
                found += [(split.name, sentence)] if sentence else []
            frames = split.values("count")["frames"]
            found += [(split.name, text) for text in blank_warnings(split.name, frames, split.blank)]
        return found

    @property
    def verdict(self) -> str:
        """The last line."""
        if self.refusal:
            return f"training would not start: {self.refusal}"
        splits = ", ".join(dict.fromkeys(leak.of for leak in self.leaks))
        see = [f"the warning{'s' if len(self.warnings) > 1 else ''}"] if self.warnings else []
        see += ["the leakage"] if splits else []
        above = f", but see {' and '.join(see)} above" if see else ""
        return f"training would start{above}" + (f": metrics of {splits} may be too good" if splits else "")


def survey(
    data: DataConfig, method: str, names: Sequence[str] = (), thorough: bool = True, threads: int = 2
) -> DataReport:
    """Looks at every file of the splits `names`: by default train, val and what else the data set has.

    Raises: no UserError; what is wrong is in the report.
    """
    if not names:
        try:
            there = load.splits(data)
        except UserError:  # which reading a split will meet again
            there = ()
        names = [name for name in SPLITS if name in (*load.needed_splits(data), *there)]
    splits = tuple(_survey(data, method, name, thorough, threads) for name in names)
    leaks = []
    for seen, measured in combinations(splits, 2):
        near = data.temporal_context if seen.name == "train" else 0
        if seen.split and measured.split:
            leaks += find_leaks(
                seen.split, seen.looks, measured.split, measured.looks, seen.partners_within, near
            )
    return DataReport(data, method, thorough, splits, tuple(leaks))


def _survey(data: DataConfig, method: str, name: str, thorough: bool, threads: int) -> SplitReport:
    context, within = data.temporal_context, partners_within(data, method, name)
    bad = BadFiles("skip")  # all are wanted, even where the first would stop training
    split, found, looks, blank, error = None, 0, Looks({}, {}), (), None
    try:
        with Progress(f"reading {name} clips") as progress:
            split = load.load_split(data, name, progress, bad)
        found = len(split.clips)
        require(found > 0, f"split {name}: has no labelled clip")
        if problem := partners_out_of_reach(split, data, within):
            error, within = UserError(problem), 0  # the rest of the report is about key frames alone
        with remembered(data) as checked, Progress(f"checking {name} files") as progress:
            looks = look_at(split, within, thorough, True, threads, progress, checked)
        split = usable_split(split, looks, data.image_size, within, bad)
        require_usable(split, looks, data.image_size)
        if thorough:
            blank = find_blank_frames(split.clips, within, looks)
        if name == "train":
            require_several_classes(split)
    except UserError as raised:
        error = error or raised
    return SplitReport(name, context, within, found, split, looks, tuple(bad.found), blank, error)
