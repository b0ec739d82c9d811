"""Clips of your own: a list of frames for each split, and a list of classes.

data_dir/classes.json   {"classes": [{"name": "road", "colour": [128, 64, 128]}, …], "void": 255}
data_dir/train.csv      clip,frame,image,label     the header, then a line per frame; so val.csv and test.csv
                        harbour,120,frames/120.jpg,
                        harbour,121,frames/121.jpg,labels/121.png

`clip` names the video, `frame` is the number of the frame in it, `image` and `label` are files in data_dir;
`label` is empty where there is none. Without val.csv the last part of train.csv is validated on.

A label map holds ids (grey, a palette's indices, or black and white) or the classes' colours. The id of a
class is its `id`, or its position in the list; positions count from 1 where 0 is void.
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
from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split, clips_of
from taf_keras.clips.hold_out import LEAST, hold_out
from taf_keras.clips.palette import distinct_colours
from taf_keras.config import SPLITS
from taf_keras.errors import UserError, first_line

COLUMNS = ["clip", "frame", "image", "label"]
_HEADER = ",".join(COLUMNS)
_FRAME = re.compile("[0-9]{1,18}")
_CLASS = '{"name": "road", "colour": [128, 64, 128]}'
_CLASSES = f'{{"classes": [{_CLASS}, …], "void": 255}}'
_BLACK = (0, 0, 0)

Colour = tuple[int, int, int]


def class_table(data_dir: str) -> ClassTable:
    """The classes of classes.json, 1 to 255 of them, and what label maps hold of each: its id or its colour.

    `void` is what pixels that never count hold: an id, or a list of ids and colours. By default these are 255
    and black, where they are no class's.

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
    void_ids, void_colours = _void(content, path)
    names: list[str] = []
    colours, owners = {}, {}
    for position, entry in enumerate(content["classes"]):
        place = f"{path}: class {position}"
        name, colour, own_id = _class(entry, place)
        if name in names:
            raise UserError(f"{place}: an earlier one is named {name} too")
        names.append(name)
        own_id = position + (0 in (void_ids or ())) if own_id is None else own_id
        if own_id > VOID:
            raise UserError(f"{place}: its id would be {own_id}; allowed are 0 to {VOID}")
        if own_id in owners:
            earlier = names[owners[own_id]]
            raise UserError(f"{place}: has id {own_id}, as {earlier} has: give each an id of its own")
        colours[position], owners[own_id] = colour, position
    if taken := set(void_ids or ()) & set(owners):
        raise UserError(
            f"{path}: void {json.dumps(content['void'])}: {min(taken)} is the id of "
            f"{names[owners[min(taken)]]}; allowed are ids that no class has"
        )
    void_ids = {VOID} - set(owners) if void_ids is None else void_ids
    generated = iter(distinct_colours(count))
    colours = tuple(colour or next(generated) for colour in colours.values())
    raw_ids = owners | dict.fromkeys(void_ids, VOID)
    return ClassTable(tuple(names), colours, raw_ids, _raw_colours(colours, void_colours, path))


def load_split(
    data_dir: str,
    split: str,
    temporal_context: int,
    bad: BadFiles = REFUSE,
    allow_outside_files: bool = False,
) -> Split:
    """The clips around the labelled frames of data_dir/SPLIT.csv. Its files are not looked at.

    The frames of a clip are those of the same video within `temporal_context` frames of the key frame.
    Without val.csv the key frames of train.csv make both splits, apart by more than twice that (`hold_out`).

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
        clips, note = _part(clips, split, 2 * temporal_context, path)
    return Split(split, clips, classes, note=note)


def load_list(data_dir: str, split: str) -> Split:
    """All clips of data_dir/SPLIT.csv, each of its key frame alone, wherever its files are.

    Raises: UserError where `load_split` does.
    """
    path = _list_file(data_dir, split)
    return Split(split, _clips(path, data_dir, 0, REFUSE, True), class_table(data_dir))


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose lists exist, and `val` where a part of train.csv can be set aside."""
    found = [name for name in SPLITS if _list_file(data_dir, name).is_file()]
    if "train" in found and "val" not in found:
        try:
            load_split(data_dir, "val", 0, BadFiles("skip"), True)
        except UserError:  # too few labels, or faults, which training will meet
            return tuple(found)
        found.insert(1, "val")
    return tuple(found)


# --- Lists of frames ---


def _list_file(data_dir: str, split: str) -> Path:
    return Path(data_dir) / f"{split}.csv"


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


def _part(clips: tuple[Clip, ...], split: str, gap_frames: int, path: Path) -> tuple[tuple[Clip, ...], str]:
    """The clips that train, or those that are set aside for validation; and a sentence on it."""
    keys: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        keys[clip.source_video].append(clip.key_number)
    train, val = hold_out(keys, gap_frames=gap_frames)
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
        if frame.number in self.videos.get(video, ()):
            raise _RowFault(f"frame {frame.number} of clip {video} occurs twice")
        first = self.lines.setdefault(os.path.normpath(frame.image), line)
        if first != line:
            raise _RowFault(f"image {image} is that of line {first} already")
        self.videos[video][frame.number] = frame

    def _file(self, name: str) -> str:
        path = os.path.join(self.data_dir, name)
        if "\\" in name and not os.path.exists(path):  # a list made on Windows
            slashes = os.path.join(self.data_dir, name.replace("\\", "/"))
            path = slashes if os.path.exists(slashes) else path
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


def _class(entry, place: str) -> tuple[str, Colour | None, int | None]:
    """Name, colour and id of an entry; None for what it does not say."""
    keys = set(entry) if isinstance(entry, dict) else set()
    if "name" not in keys or keys - {"name", "id", "colour", "color"} or keys >= {"colour", "color"}:
        raise UserError(f'{place}: must be {_CLASS}, with "id" if label maps hold another than its position')
    name, colour, own_id = entry["name"], entry.get("colour", entry.get("color")), entry.get("id")
    if not isinstance(name, str) or not name.strip() or name.splitlines() != [name]:
        raise UserError(f"{place}: name {json.dumps(name)}: must be a text of one line")
    if keys & {"colour", "color"} and not _is_colour(colour):
        raise UserError(f"{place}: colour {json.dumps(colour)}: must be [red, green, blue], each 0 to 255")
    if "id" in keys and not _is_byte(own_id):
        raise UserError(f"{place}: id {json.dumps(own_id)}: must be a whole number, 0 to {VOID}")
    return name, colour and tuple(colour), own_id


def _void(content: dict, path: Path) -> tuple[list[int] | None, list[Colour]]:
    """Ids and colours that are void; no ids are None."""
    if "void" not in content:
        return None, []
    void = content["void"] if isinstance(content["void"], list) else [content["void"]]
    ids, colours = [i for i in void if _is_byte(i)], [tuple(c) for c in void if _is_colour(c)]
    if len(ids) + len(colours) != len(void):
        text = json.dumps(content["void"])
        raise UserError(
            f"{path}: void {text}: must be an id, 0 to {VOID}, or a list of ids and colours [r, g, b]"
        )
    return (ids if ids or not void else None), colours


def _raw_colours(colours: tuple[Colour, ...], void: list[Colour], path: Path) -> dict[Colour, int] | None:
    """What colours mean in label maps; None where two classes share one, so that colours cannot tell."""
    if len(set(colours)) < len(colours):
        return None
    known = {colour: position for position, colour in enumerate(colours)}
    if taken := set(void) & set(known):
        colour = min(taken)
        raise UserError(f"{path}: void {list(colour)}: is the colour of class {known[colour]}")
    return dict.fromkeys(void or [_BLACK], VOID) | known


def _is_colour(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_byte, value))


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
