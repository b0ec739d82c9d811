"""Clips to the shards of the packed form: TFRecord files, one record for each clip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from taf_keras.clips.clip import Clip
from taf_keras.errors import UserError
from taf_keras.files import unfinished, writes

_RECORD_BYTES = 2_000_000_000  # a little less than the 2 GiB that a tf.train.Example may have
_BEFORE = 12  # bytes of a TFRecord before its data: the data's length, and the length's checksum
_AFTER = 4  # the data's checksum


class StoredFile(NamedTuple):
    """A file's name in the data set, and its bytes."""

    name: str
    data: bytes


class StoredFrame(NamedTuple):
    """The files of a frame; `label` is None for an unlabelled one."""

    number: int
    image: StoredFile
    label: StoredFile | None


class Shards:
    """Writes the shards of one split, SPLIT-00000.tfrecord and so on.

    Attributes:
        sizes: bytes of each shard so far.
    """

    def __init__(self, folder: Path, split: str, shard_bytes: int):
        self.folder, self.split, self.shard_bytes = folder, split, shard_bytes
        self.sizes: dict[str, int] = {}
        self.path: Path | None = None  # of the shard that is open

    def add(self, clip: Clip, frames: Sequence[StoredFrame]) -> dict:
        """Writes the record of a clip. Returns: its entry in the index, as packed.py reads it.

        Raises: UserError for a file that cannot be written, or a clip that is too large for a record.
        """
        record = _record(clip, frames)
        size = _BEFORE + len(record) + _AFTER
        if self.path is None or self.sizes[self.path.name] + size > self.shard_bytes:
            self.close()
            self._open()
        begin = self.sizes[self.path.name] + _BEFORE
        with _writes(self.path):
            self.writer.write(record)
        self.sizes[self.path.name] += size
        images = _places([frame.image for frame in frames], record, begin)
        labels = _places([frame.label for frame in frames], record, begin)
        return {
            "name": clip.name,
            "video": clip.video,
            "key_number": clip.key_number,
            "shard": self.path.name,
            "frames": [
                {"number": frame.number, "image": image, "label": label}
                for frame, image, label in zip(frames, images, labels, strict=True)
            ],
        }

    def _open(self) -> None:
        from tensorflow.io import TFRecordWriter

        self.path = self.folder / f"{self.split}-{len(self.sizes):05d}.tfrecord"
        self.sizes[self.path.name] = 0
        with _writes(self.path):
            self.writer = TFRecordWriter(str(unfinished(self.path)))

    def close(self) -> None:
        """Ends the last shard, which has its name from now on."""
        if self.path is not None:
            with _writes(self.path):
                self.writer.close()
                os.replace(unfinished(self.path), self.path)
            self.path = None


def _writes(path: Path):
    from tensorflow.errors import OpError  # takes seconds: not before the files are checked

    return writes(path, OpError)


def _record(clip: Clip, frames: Sequence[StoredFrame]) -> bytes:
    from tensorflow.train import BytesList, Example, Feature, Features, Int64List

    def texts(*values: str) -> Feature:
        return Feature(bytes_list=BytesList(value=map(os.fsencode, values)))

    images = [frame.image.data for frame in frames]
    labels = [frame.label.data if frame.label else b"" for frame in frames]
    size = sum(map(len, images + labels))
    if size > _RECORD_BYTES:
        raise UserError(
            f"clip {clip.name}: its {len(frames)} frames have {size} bytes, a record holds {_RECORD_BYTES} "
            "at most: give a smaller --temporal_context"
        )
    features = {
        "clip": texts(clip.name),
        "video": texts(clip.video),
        "key_number": Feature(int64_list=Int64List(value=[clip.key_number])),
        "number": Feature(int64_list=Int64List(value=[frame.number for frame in frames])),
        "name": texts(*(frame.image.name for frame in frames)),
        "image": Feature(bytes_list=BytesList(value=images)),
        "label": Feature(bytes_list=BytesList(value=labels)),
    }
    return Example(features=Features(feature=features)).SerializeToString(deterministic=True)


def _places(files: Sequence[StoredFile | None], record: bytes, begin: int) -> Iterator[dict | None]:
    """Where each file lies in the shard; `begin` is where the record's data does.

    The format keeps bytes as they are and lists in their order, so that each is found after the one
    before; and whatever is found holds the bytes that were looked for.
    """
    position = 0
    for file in files:
        if file is None:
            yield None
            continue
        position = record.index(file.data, position)
        yield {"name": file.name, "begin": begin + position, "length": len(file.data)}
        position += len(file.data)
