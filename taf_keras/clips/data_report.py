"""Reads a whole data set before a long run, and says what is in it and whether training would start.

    python -m taf_keras.clips.check --dataset=camvid --data_dir=CAMVID --temporal_context=30
    python -m taf_keras.clips.check --dataset=manifest --data_dir=DATA --on_bad_file=skip --csv=data.csv

What training refuses is found, and by decoding every file also what is damaged behind its first bytes.
Leakage, key frames of one split that another shows, is a warning. Exit code: 0 training would start, 2 it
would not.

--csv has a line for each figure, of the columns split,kind,item,value,detail; kinds are
    count         item clips, clips_left_out, frames, labelled_frames or bad_files: how many
    size          item HEIGHTxWIDTH: frames of this size, px
    partners      item number of partners: clips that have so many
    offset        item n: clips that have a frame n frames from their key frame
    class_share   item class: its share of the labelled pixels, void excepted, 0 to 1
    class_frames  item class: key frames on which it occurs
    void_share    share of void among all pixels, 0 to 1;  void_frames: key frames on which it occurs
    bad_file      item file: detail is what is wrong with it
    error         detail is what is wrong with the split as a whole
    leak          item clip: its key frame lies value frames from that of a clip in another split; see detail
    verdict       value is the exit code, detail the last line of the output
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from taf_keras.clips import load
from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.check import require_usable, usable_clips
from taf_keras.clips.clip import Clip, Split, identity
from taf_keras.clips.data_tables import csv_text, text
from taf_keras.clips.leakage import Leak, find_leaks
from taf_keras.clips.look import DamageWithin, Look, Looks, Size, look_at
from taf_keras.clips.video import write
from taf_keras.config import DATASETS, METHODS, ON_BAD_FILE, SPLITS, DataConfig, require, require_one_of
from taf_keras.errors import BadFileError, UserError
from taf_keras.progress import Progress


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split. Figures are those of the usable clips, with `partners_within` in force.

    Attributes:
        partners_within: n_h where training draws partners from the split, else 0: key frames alone.
        found: number of clips before bad ones were left out.
        split, looks: the usable clips, and what was found of all files.
        bad: every bad file.
        error: what is wrong with the split as a whole; None if it can be used.
    """

    name: str
    partners_within: int
    found: int
    split: Split | None
    looks: Looks
    bad: tuple[BadFileError, ...]
    error: UserError | None

    @property
    def clips(self) -> tuple[Clip, ...]:
        return self.split.clips if self.split else ()

    @property
    def frames(self) -> int:
        return len({frame.identity for frame in self._frames})

    @property
    def labelled_frames(self) -> int:
        return len({frame.identity for frame in self._frames if frame.label is not None})

    @property
    def _frames(self):
        return (frame for clip in self.clips for frame in clip.window(self.partners_within))

    @property
    def sizes(self) -> Counter[Size]:
        """Readable frames by their size, the most frequent first; those of clips left out included."""
        sizes = Counter(look.size for look in self.looks.images.values() if isinstance(look, Look))
        return Counter(dict(sizes.most_common()))

    def partners(self, temporal_context: int) -> Counter[int]:
        """Number of partners -> clips that have so many, ascending."""
        counts = Counter(len(clip.offsets(temporal_context)) - 1 for clip in self.clips)
        return Counter(dict(sorted(counts.items())))

    def offsets(self, temporal_context: int) -> Counter[int]:
        """Offset n -> clips that have it."""
        return Counter(n for clip in self.clips for n in clip.offsets(temporal_context))

    @property
    def pixels(self) -> np.ndarray:
        """int64 (key frames, classes + 1): label pixels of each class, void last."""
        labels = [self.looks.labels[identity(clip.key_frame.label)] for clip in self.clips]
        return np.stack([label.pixels for label in labels])


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
                return f"{error}; training would find that too late to leave it out: remove the file"
        return None

    @property
    def verdict(self) -> str:
        """The last line."""
        if self.refusal:
            return f"training would not start: {self.refusal}"
        splits = ", ".join(dict.fromkeys(leak.of for leak in self.leaks))
        warning = f", but see the leakage above: metrics of {splits} may be too good" if splits else ""
        return f"training would start{warning}"


def survey(
    data: DataConfig, method: str, names: Sequence[str] = (), thorough: bool = True, threads: int = 2
) -> DataReport:
    """Looks at every file of the splits `names`: by default train, val and what else the data set has.

    Raises: no UserError; what is wrong is in the report.
    """
    splits = tuple(_survey(data, method, name, thorough, threads) for name in names or _all_splits(data))
    leaks = []
    for seen, measured in combinations(splits, 2):
        near = data.temporal_context if seen.name == "train" else 0
        if seen.split and measured.split:
            leaks += find_leaks(
                seen.split, seen.looks, measured.split, measured.looks, seen.partners_within, near
            )
    return DataReport(data, method, thorough, splits, tuple(leaks))


def _all_splits(data: DataConfig) -> tuple[str, ...]:
    """In the order of SPLITS; train and val even if they are missing, since training needs them."""
    try:
        there = load.splits(data)
    except UserError:  # which reading a split will meet again
        there = ()
    return tuple(name for name in SPLITS if name in ("train", "val", *there))


def _survey(data: DataConfig, method: str, name: str, thorough: bool, threads: int) -> SplitReport:
    within = data.temporal_context if name == "train" and method != "baseline" else 0
    bad = BadFiles("skip")  # all are wanted, even where the first would stop training
    split, found, looks, error = None, 0, Looks({}, {}), None
    try:
        with Progress(f"reading {name} clips") as progress:
            split = load.load_split(data, name, progress, bad)
        found = len(split.clips)
        require(found > 0, f"split {name}: has no labelled clip")
        with Progress(f"checking {name} files") as progress:
            looks = look_at(split, within, thorough, True, threads, progress)
        clips = usable_clips(split, looks, data.image_size, within, bad)
        split = Split(name, clips, split.classes)
        require_usable(name, clips, looks, data.image_size, bad)
    except UserError as problem:
        error = problem
    return SplitReport(name, within, found, split, looks, tuple(bad.found), error)


# --- The command ---


def main(arguments: list[str] | None = None) -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    try:
        options = _parser().parse_args(arguments)
        data, names = _settings(options)
        report = survey(data, options.method, names, not options.quick, options.threads)
        print(f"\n{text(report)}", flush=True)
        if options.csv:
            write(options.csv, csv_text(report).encode("utf-8", errors="backslashreplace"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(2 if report.refusal else 0)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(f"{message} (--help lists all settings)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m taf_keras.clips.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(name: str, help: str, **kwargs) -> None:
        if default := getattr(DataConfig, name, None):
            kwargs = {"type": type(default), "default": default} | kwargs
            help += " (%(default)s)"
        parser.add_argument(f"--{name}", help=help, **kwargs)

    add("dataset", f"{', '.join(DATASETS)}")
    add("data_dir", "folder of the data set; synthetic has a cache folder of its own")
    add("method", f"{', '.join(METHODS)}; a baseline reads key frames alone (%(default)s)", default="taf")
    add("temporal_context", "n_h, the largest offset of a partner, frames")
    add("image_size", "HEIGHTxWIDTH to which training resizes, px (the size of the files)", metavar="HxW")
    add("subset", "share of the training clips to keep, in (0, 1]")
    add("label_fraction", "share of the training labels to keep, in (0, 1]")
    add("subset_seed", "seed of both (%(default)s)", type=int, default=DataConfig.subset_seed)
    add("on_bad_file", f"{' or '.join(ON_BAD_FILE)}")
    add("allow_outside_files", "a manifest may name files outside data_dir", action="store_true")
    add("splits", "comma list (train, val, and test where the data set has it)")
    add("quick", "read first and last bytes only, as training does; decode label maps", action="store_true")
    add("threads", "files read at a time (%(default)s)", type=int, default=os.cpu_count() or 1)
    add("csv", "write the figures to this file, too", type=Path, metavar="FILE")
    return parser


def _settings(options: argparse.Namespace) -> tuple[DataConfig, tuple[str, ...]]:
    """The settings of the data, and the splits asked for. Raises: UserError for what cannot be."""
    size = None
    if options.image_size is not None:
        size = re.fullmatch("([1-9][0-9]*)x([1-9][0-9]*)", options.image_size)
        require(size is not None, f"--image_size={options.image_size}: write HEIGHTxWIDTH, such as 360x480")
        size = int(size[1]), int(size[2])
    require_one_of("method", options.method, METHODS)
    require(options.threads >= 1, f"--threads={options.threads}: must be 1 or more")
    names = tuple(dict.fromkeys(options.splits.split(","))) if options.splits is not None else ()
    for name in names:
        require_one_of("splits", name, SPLITS)
    if options.csv is not None:  # before the hours that reading may take
        folder = options.csv.parent
        require(not options.csv.is_dir(), f"--csv={options.csv}: is a folder")
        writable = folder.is_dir() and os.access(folder, os.W_OK)
        require(writable, f"--csv={options.csv}: {folder} is no folder that can be written to")
    data = DataConfig(
        options.dataset,
        options.data_dir,
        subset=options.subset,
        label_fraction=options.label_fraction,
        image_size=size,
        temporal_context=options.temporal_context,
        subset_seed=options.subset_seed,
        on_bad_file=options.on_bad_file,
        allow_outside_files=options.allow_outside_files,
    )
    return data, tuple(name for name in SPLITS if name in names)
