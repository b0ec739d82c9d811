"""The packed form of a data set, which `taf_keras.pack` writes: a few large files and an index.

data_dir/train-00000.tfrecord   shards, one record for each clip (see taf_keras.pack)
data_dir/index.json             the classes, and where each image and label map lies in its shard

An image is read from its place in the shard, as if it were a file: of a clip only the frames that are read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import VOID, ClassTable, Clip, FilePart, Frame, Split
from taf_keras.errors import UserError, first_line

INDEX = "index.json"
FORMAT = 1  # of the index; another number is another form
SHARD_NAME = re.compile(r"[a-z]+-\d{5,}\.tfrecord")  # no path, so that no index leads out of its folder


def class_table(data_dir: str) -> ClassTable:
    """The classes of the data set that was packed. UserError for an index that is missing or broken."""
    with _opened(data_dir) as index:
        return _classes(**index["classes"])


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits that were packed."""
    with _opened(data_dir) as index:
        return tuple(index["splits"])


def load_split(data_dir: str, split: str, temporal_context: int, bad: BadFiles = REFUSE) -> Split:
    """The clips of `split` as the reader of the original data set gave them, images as parts of shards.

    Args:
        temporal_context: at most the one that was packed, frames.
        bad: takes shards that are missing, or of another length than was written, with all their clips.
    Raises: UserError for an index that is missing or broken, a split that was not packed, or a larger
        temporal context.
    """
    with _opened(data_dir) as index:
        path, described = Path(data_dir) / INDEX, index["splits"]
        if split not in described:
            raise UserError(f"{path}: has no split {split}; it has {', '.join(described)}")
        packed = _whole(index["temporal_context"])
        if temporal_context > packed:
            raise UserError(
                f"--temporal_context={temporal_context}: {path} was packed with {packed}; "
                f"give at most {packed}, or pack the data set again"
            )
        shards = {name: _whole(size) for name, size in index["shards"].items()}
        broken = set()
        for name in sorted({clip["shard"] for clip in described[split]}):
            if fault := _fault(data_dir, name, shards[name]):
                bad.add(Path(data_dir) / name, fault)
                broken.add(name)
        clips = tuple(
            _clip(clip, data_dir, shards[clip["shard"]], temporal_context)
            for clip in described[split]
            if clip["shard"] not in broken
        )
        return Split(split, clips, _classes(**index["classes"]))


@contextmanager
def _opened(data_dir: str) -> Iterator[dict]:
    """The index as JSON. What its reader trips over becomes a UserError: it was not written by `pack`."""
    path = Path(data_dir) / INDEX
    try:
        index = json.loads(path.read_bytes())
        if index["format"] != FORMAT:
            raise UserError(
                f"{path}: has format {index['format']}, allowed is {FORMAT}: pack the data set again"
            )
        yield index
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; it is the last thing that python -m taf_keras.pack writes"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{path}: is not the index of a packed data set ({reason})") from None


def _fault(data_dir: str, shard: str, size: int) -> str | None:
    """What is wrong with a shard that was written with `size` bytes."""
    if not SHARD_NAME.fullmatch(shard):
        raise ValueError(f"{shard!r} is no name of a shard")
    try:
        found = os.stat(os.path.join(data_dir, shard)).st_size
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if found == size else f"has {found} bytes, but {size} were written: copy or pack it again"


def _clip(clip: dict, data_dir: str, shard_size: int, temporal_context: int) -> Clip:
    path, key_number = os.path.join(data_dir, clip["shard"]), _whole(clip["key_number"])

    def part(where: dict | None) -> FilePart | None:
        if where is None:
            return None
        begin, length = _whole(where["begin"]), _whole(where["length"])
        if begin + length > shard_size:
            raise ValueError(f"{where['name']} ends after its shard")
        return FilePart(_text(where["name"]), path, begin, length)

    frames = tuple(
        Frame(_whole(frame["number"]), part(frame["image"]), part(frame["label"]))
        for frame in clip["frames"]
        if abs(frame["number"] - key_number) <= temporal_context
    )
    built = Clip(_text(clip["name"]), frames, key_number, _text(clip["video"]))
    if built.key_frame.label is None or any(frame.image is None for frame in frames):
        raise ValueError(f"clip {built.name} lacks an image or a label map")
    return built


def describe_classes(classes: ClassTable) -> dict:
    """For the index; maps become lists of pairs, since the keys of JSON's own are texts."""
    values = ((field.name, getattr(classes, field.name)) for field in fields(classes))
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in values}


def _classes(names, colours, raw_ids, raw_colours) -> ClassTable:
    """What `describe_classes` has described."""

    def train_id(value) -> int:
        return value if value == VOID else _whole(value, len(names) - 1)

    if len(names) != len(colours):
        raise ValueError(f"{len(names)} classes, but {len(colours)} colours")
    return ClassTable(
        tuple(map(_text, names)),
        tuple(map(_colour, colours)),
        None if raw_ids is None else {_whole(raw, 255): train_id(i) for raw, i in raw_ids},
        None if raw_colours is None else {_colour(raw): train_id(i) for raw, i in raw_colours},
    )


def _colour(values) -> tuple[int, int, int]:
    red, green, blue = (_whole(value, 255) for value in values)
    return red, green, blue


def _whole(value, most: int | None = None) -> int:
    if type(value) is not int or value < 0 or (most is not None and value > most):
        raise ValueError(f"{value!r} is not a whole number{'' if most is None else f' up to {most}'}")
    return value


def _text(value) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value
