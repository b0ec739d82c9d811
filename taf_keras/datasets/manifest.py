"""Clips of your own: a list of frames for each split, and a list of classes.

data_dir/classes.json   {"classes": [{"name": "road", "colour": [128, 64, 128]}, …], "void": 255}
data_dir/train.csv      clip,frame,image,label     the header, then a line per frame; so val.csv and test.csv
                        harbour,120,frames/120.jpg,
                        harbour,121,frames/121.jpg,labels/121.png

`clip` names the video, `frame` is the number of the frame in it, `image` and `label` are files in data_dir;
`label` is empty where there is none. A pixel of a label map holds the position of its class in the list.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import VOID, ClassTable, Frame, Split, clips_of
from taf_keras.config import SPLITS
from taf_keras.errors import UserError, first_line

COLUMNS = ["clip", "frame", "image", "label"]
_HEADER = ",".join(COLUMNS)
_FRAME = re.compile("[0-9]{1,18}")
_CLASS = '{"name": "road", "colour": [128, 64, 128]}'
_CLASSES = f'{{"classes": [{_CLASS}, …], "void": 255}}'


def class_table(data_dir: str) -> ClassTable:
    """The classes of classes.json, 1 to 255 of them; label ids are their positions.

    `void` is the id, or a list of the ids, of pixels that never count; 255 by default.

    Raises: UserError saying what the file must hold, or naming the line or the entry with a fault.
    """
    path = Path(data_dir) / "classes.json"
    text = _read(path, f"it holds the classes as {_CLASSES}")
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{path}: cannot be read: {first_line(error)}") from None
    keys = set(content) if isinstance(content, dict) else set()
    if keys - {"void"} != {"classes"} or not isinstance(content["classes"], list):
        raise UserError(f"{path}: must be {_CLASSES} and no more")
    count = len(content["classes"])
    if not 1 <= count <= VOID:
        raise UserError(f"{path}: has {count} classes; allowed are 1 to {VOID}")
    colours = {}
    for position, entry in enumerate(content["classes"]):
        name, colour = _class(entry, f"{path}: class {position}")
        if name in colours:
            raise UserError(f"{path}: class {position}: an earlier one is named {name} too")
        colours[name] = colour
    void = content.get("void", VOID)
    void = void if isinstance(void, list) else [void]
    if not all(_is_byte(i) and i >= count for i in void):
        text = json.dumps(content["void"])
        raise UserError(f"{path}: void {text}: allowed are ids that no class has, {count} to {VOID}")
    raw_ids = {i: i for i in range(count)} | dict.fromkeys(void, VOID)
    return ClassTable(tuple(colours), tuple(colours.values()), raw_ids)


def load_split(
    data_dir: str,
    split: str,
    temporal_context: int,
    bad: BadFiles = REFUSE,
    allow_outside_files: bool = False,
) -> Split:
    """The clips around the labelled frames of data_dir/SPLIT.csv. Its files are not looked at.

    The frames of a clip are those of the same video within `temporal_context` frames of the key frame.

    Args:
        allow_outside_files: let pass absolute paths, and paths and links that lead out of `data_dir`.
    Raises: UserError for a file that is missing or no such list and, unless `bad` takes it, the line with
        a fault.
    """
    classes = class_table(data_dir)
    path = Path(data_dir) / f"{split}.csv"
    listed = _Listed(data_dir, allow_outside_files)
    for line, row in _rows(path):
        try:
            listed.add(line, row)
        except _RowFault as fault:
            bad.add(f"{path}:{line}", str(fault))
    clips = clips_of(listed.videos, temporal_context)
    if not clips:
        raise UserError(f"{path}: no row with a label{' is left' if bad.found else ''}")
    return Split(split, clips, classes)


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose lists exist."""
    return tuple(name for name in SPLITS if (Path(data_dir) / f"{name}.csv").is_file())


# --- Lists of frames ---


class _RowFault(Exception):
    """What is wrong with a row: it is left out, or stops the run."""


class _Listed:
    """The frames of the rows so far: `videos` has those of each by their numbers, ascending."""

    def __init__(self, data_dir: str, allow_outside_files: bool):
        self.data_dir = data_dir
        self.within = None if allow_outside_files else os.path.join(os.path.realpath(data_dir), "")
        self.videos: dict[str, dict[int, Frame]] = defaultdict(dict)
        self.lines: dict[str, int] = {}  # image -> where it is listed
        self.folders: dict[str, str] = {}  # folder -> where it really is

    def add(self, line: int, row: list[str]) -> None:
        """Takes a row, or raises _RowFault and takes nothing of it."""
        if len(row) != len(COLUMNS):
            raise _RowFault(f"has {len(row)} fields, must have {len(COLUMNS)}: {_HEADER}")
        if any(text and text.splitlines() != [text] for text in row):
            raise _RowFault("has a line break within a field")
        video, number, image, label = row
        if not video or not image:
            raise _RowFault(f"has no {'image' if video else 'clip'}")
        if not _FRAME.fullmatch(number):
            raise _RowFault(f"frame {number!r} is not a whole number of 0 or more")
        frame = Frame(int(number), self._file(image), self._file(label) if label else None)
        earlier = self.videos.get(video, {})
        if frame.number in earlier:
            raise _RowFault(f"frame {frame.number} of clip {video} occurs twice")
        if earlier and frame.number < (last := next(reversed(earlier))):
            raise _RowFault(f"frame {frame.number} of clip {video} follows frame {last}: must ascend")
        first = self.lines.setdefault(os.path.normpath(frame.image), line)
        if first != line:
            raise _RowFault(f"image {image} is that of line {first} already")
        self.videos[video][frame.number] = frame

    def _file(self, name: str) -> str:
        path = os.path.join(self.data_dir, name)
        if self.within and (os.path.isabs(name) or not self._is_within(path)):
            raise _RowFault(f"{name} is not a path within --data_dir; --allow_outside_files lets it pass")
        return path

    def _is_within(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or os.path.islink(path):
            return os.path.realpath(path).startswith(self.within)
        if folder not in self.folders:  # few hold all files, and each part of a path takes a call to resolve
            self.folders[folder] = os.path.join(os.path.realpath(folder), "")
        return self.folders[folder].startswith(self.within)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, fields) of each row. UserError where the file as a whole is no such list."""
    rows = csv.reader(io.StringIO(_read(path, f"it lists frames, under {_HEADER}"), newline=""), strict=True)
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


# --- Classes ---


def _class(entry, place: str) -> tuple[str, tuple[int, int, int]]:
    keys = set(entry) if isinstance(entry, dict) else set()
    if keys not in ({"name", "colour"}, {"name", "color"}):
        raise UserError(f"{place}: must be {_CLASS} and no more")
    name, colour = entry["name"], entry.get("colour", entry.get("color"))
    if not isinstance(name, str) or not name.strip() or name.splitlines() != [name]:
        raise UserError(f"{place}: name {json.dumps(name)}: must be a text of one line")
    if not isinstance(colour, list) or len(colour) != 3 or not all(map(_is_byte, colour)):
        raise UserError(f"{place}: colour {json.dumps(colour)}: must be [red, green, blue], each 0 to 255")
    return name, tuple(colour)


def _is_byte(value) -> bool:
    return type(value) is int and 0 <= value <= 255  # true of JSON is an int to isinstance


def _object(pairs: list[tuple], path: Path) -> dict:
    """An object of JSON. Of two values for one key, the reader by itself would silently keep the last."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise UserError(f"{path}: key {json.dumps(key)} occurs {count} times in one object")
    return dict(pairs)


def _read(path: Path, must_hold: str) -> str:
    """The text of a UTF-8 file, without the byte order mark that it may begin with."""
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {must_hold}") from None
    if not data.strip():
        raise UserError(f"{path}: is empty; {must_hold}")
    fault, at = "has a NUL byte", data.find(b"\0")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        fault, at = "is not UTF-8", error.start
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise UserError(f"{path}:{line}: {fault}")
    return text
