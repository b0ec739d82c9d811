"""Clips of your own: a list of frames for each split, and a list of classes.

data_dir/classes.json   {"classes": [{"name": "road", "colour": [128, 64, 128]}, …], "void": 255}
data_dir/train.csv      clip,frame,image,label     the header, then a line per frame; so val.csv and test.csv
                        harbour,120,frames/120.jpg,
                        harbour,121,frames/121.jpg,labels/121.png

`clip` names the video, `frame` is the number of the frame in it, `image` and `label` are files in data_dir;
`label` is empty where there is none. Without val.csv the last part of train.csv is validated on; with a
val.csv of the header alone, nothing is.

A label map holds ids (grey, a palette's indices, or black and white) or the classes' colours, as
classes.json (`class_file`) says.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import Clip, Frame, Split, clips_of
from taf_keras.clips.hold_out import LEAST, hold_out
from taf_keras.config import SPLITS, TEMPORAL_CONTEXT
from taf_keras.datasets.class_file import class_table
from taf_keras.datasets.text_file import read_text
from taf_keras.errors import UserError
from taf_keras.files import reads

__all__ = ["COLUMNS", "class_table", "load_list", "load_split", "splits"]

COLUMNS = ["clip", "frame", "image", "label"]
_HEADER = ",".join(COLUMNS)
_FRAME = re.compile("[0-9]{1,18}")


def load_split(
    data_dir: str,
    split: str,
    temporal_context: int,
    bad: BadFiles = REFUSE,
    allow_outside_files: bool = False,
) -> Split:
    """The clips around the labelled frames of data_dir/SPLIT.csv. Its files are not looked at.

    The frames of a clip are those of the same video within `temporal_context` frames of the key frame.
    Without val.csv the key frames of train.csv make both splits, more than 30 frames apart unless that
    costs half of those that train, and more than twice `temporal_context` (`hold_out`).

    Args:
        allow_outside_files: let pass absolute paths, and paths and links that lead out of `data_dir`.
    Raises: UserError for a file that is missing or no such list and, unless `bad` takes it, the line with
        a fault; and for `val`, where there is no val.csv and train.csv has too few labels to set some aside.
    """
    classes = class_table(data_dir)
    divided = split in ("train", "val") and not _list_file(data_dir, "val").is_file()
    path = _list_file(data_dir, "train" if divided else split)
    clips, note = _clips(path, data_dir, temporal_context, bad, allow_outside_files), ""
    if divided:
        clips, note = _part(clips, split, temporal_context, path)
    return Split(split, clips, classes, note=note)


def load_list(data_dir: str, split: str) -> Split:
    """All clips of data_dir/SPLIT.csv, each of its key frame alone, wherever its files are.

    Raises: UserError where `load_split` does.
    """
    path = _list_file(data_dir, split)
    return Split(split, _clips(path, data_dir, 0, REFUSE, True), class_table(data_dir))


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose lists exist, and `val` where a part of train.csv can be set aside.

    A val.csv of the header alone asks for no validation.
    """
    with reads(f"--data_dir={data_dir}"):
        found = [name for name in SPLITS if _list_file(data_dir, name).is_file()]
    if "val" in found and _is_empty(_list_file(data_dir, "val")):
        found.remove("val")
    elif "train" in found and "val" not in found and _has_labels(data_dir, LEAST):
        found.insert(1, "val")
    return tuple(found)


# --- Lists of frames ---


def _list_file(data_dir: str, split: str) -> Path:
    return Path(data_dir) / f"{split}.csv"


def _is_empty(path: Path) -> bool:
    with suppress(UserError):  # a fault, which training will meet
        return next(_rows(path), None) is None
    return False


def _has_labels(data_dir: str, count: int) -> bool:
    """Whether train.csv has as many labelled frames. Rows are parsed no further: there may be millions."""
    listed, labels = _Listed(data_dir, True), 0
    try:
        class_table(data_dir)
        for line, row in _rows(_list_file(data_dir, "train")):
            with suppress(_RowFault):
                labels += listed.add(line, row).label is not None
            if labels == count:
                return True
    except UserError:  # a fault, which training will meet
        pass
    return False


def _clips(
    path: Path, data_dir: str, temporal_context: int, bad: BadFiles, allow_outside_files: bool
) -> tuple[Clip, ...]:
    """The clips of a list. UserError where it has no labelled frame."""
    listed = _Listed(data_dir, allow_outside_files)
    for line, row in _rows(path):
        try:
            listed.add(line, row)
        except _RowFault as fault:
            bad.add(f"{path}:{line}", str(fault))
    clips = clips_of(listed.videos, temporal_context)
    if not clips:
        raise UserError(f"{path}: no row with a label{' is left' if bad.found else ''}")
    return clips


def _part(
    clips: tuple[Clip, ...], split: str, temporal_context: int, path: Path
) -> tuple[tuple[Clip, ...], str]:
    """The clips that train, or those that are set aside for validation; and a sentence on it."""
    keys: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        keys[clip.source_video].append(clip.key_number)
    train, val = hold_out(keys, gap_frames=2 * temporal_context)
    # One gap up to n_h = 15, so that trainings of several n_h have the same labels, unless that costs half.
    wide, _ = hold_out(keys, gap_frames=2 * max(temporal_context, TEMPORAL_CONTEXT))
    if 2 * sum(map(len, wide.values())) >= sum(map(len, train.values())):
        train = wide
    if not train:
        raise UserError(
            f"{path}: all {len(clips)} labels lie within {2 * temporal_context} frames of those that are set "
            "aside for validation: give a smaller --temporal_context, or a val.csv"
        )
    held = sum(map(len, val.values()))
    if not held:
        if split == "train":
            return clips, f"{len(clips)} key frames: none is set aside for validation"
        raise UserError(
            f"{path.with_name('val.csv')}: No such file, and {path.name} has {len(clips)} labels: of {LEAST} "
            "or more some are set aside for validation"
        )
    chosen = train if split == "train" else val
    between = len(clips) - held - sum(map(len, train.values()))
    note = f"there is no val.csv: {held} of {len(clips)} key frames are set aside for validation"
    note += f", {between} between them and the others are left out" if between else ""
    kept = tuple(clip for clip in clips if clip.key_number in chosen.get(clip.source_video, ()))
    return kept, note if split == "train" else ""


class _RowFault(Exception):
    """What is wrong with a row: it is left out, or stops the run."""


class _Listed:
    """The frames of the rows so far: `videos` has those of each by their numbers, in any order."""

    def __init__(self, data_dir: str, allow_outside_files: bool):
        self.data_dir = data_dir
        self.within = None if allow_outside_files else os.path.join(os.path.realpath(data_dir), "")
        self.videos: dict[str, dict[int, Frame]] = defaultdict(dict)
        self.lines: dict[str, int] = {}  # image -> where it is listed
        self.folders: dict[str, tuple[str, frozenset[str]]] = {}  # of `_folder`

    def add(self, line: int, row: list[str]) -> Frame:
        """Takes a row, and returns its frame, or raises _RowFault and takes nothing of it."""
        if len(row) != len(COLUMNS):
            raise _RowFault(f"has {len(row)} fields, must have {len(COLUMNS)}: {_HEADER}")
        if len(("".join(row) + ".").splitlines()) > 1:  # "." shows a break at the end, too
            raise _RowFault("has a line break within a field")
        video, number, image, label = row
        if not video or not image:
            raise _RowFault(f"has no {'image' if video else 'clip'}")
        if not _FRAME.fullmatch(number):
            raise _RowFault(f"frame {number!r} is not a whole number of 0 or more")
        frame = Frame(int(number), self._file(image), self._file(label) if label else None)
        if frame.number in self.videos.get(video, ()):
            raise _RowFault(f"frame {frame.number} of clip {video} occurs twice")
        first = self.lines.setdefault(os.path.normpath(frame.image), line)
        if first != line:
            raise _RowFault(f"image {image} is that of line {first} already")
        self.videos[video][frame.number] = frame
        return frame

    def _file(self, name: str) -> str:
        slashed = name.replace("\\", "/")  # as it is in a list made on Windows
        if found := self._found(name) or self._found(slashed):
            return found
        path = os.path.join(self.data_dir, name)
        if slashed != name and not os.path.exists(path):
            slashes = os.path.join(self.data_dir, slashed)
            path = slashes if os.path.exists(slashes) else path
        if self.within and (os.path.isabs(name) or not os.path.realpath(path).startswith(self.within)):
            raise _RowFault(f"{name} is not a path within --data_dir; --allow_outside_files lets it pass")
        return path

    def _found(self, name: str) -> str | None:
        """The path of a file that is there and certainly within; None says nothing."""
        end = name.rfind("/") + 1
        if name[:end] not in self.folders:  # few hold all files: what is costly is done once for each
            self.folders[name[:end]] = self._folder(name[:end])
        folder, files = self.folders[name[:end]]
        return folder + name[end:] if name[end:] in files else None

    def _folder(self, name: str) -> tuple[str, frozenset[str]]:
        """What comes before a file's name in its path, and the names that are certainly within: no links."""
        path, files = os.path.join(self.data_dir, name), frozenset()
        is_within = self.within and not os.path.isabs(name)
        if is_within and os.path.join(os.path.realpath(path), "").startswith(self.within):
            with suppress(OSError), os.scandir(path) as entries:  # a look will meet the error
                files = frozenset(entry.name for entry in entries if not entry.is_symlink())
        return path, files


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, fields) of each row. UserError where the file as a whole is no such list."""
    rows = csv.reader(
        io.StringIO(read_text(path, f"it lists frames, under {_HEADER}"), newline=""), strict=True
    )
    line = 1
    try:
        for row in rows:
            if line == 1 and row != COLUMNS:
                found = " ".join(",".join(row).split()) or "a blank line"
                raise UserError(f"{path}:1: the columns must be {_HEADER}, found {found}")
            if line > 1 and row:  # a blank line has no fields
                yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{line}: is not CSV: {error}") from None
