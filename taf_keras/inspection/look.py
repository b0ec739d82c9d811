"""Looks at every file of a split once, in several threads: its size, its damage, what is on its label map."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable, Frame, Source, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.clips.image_files import HEAD_BYTES, inspect_image, read_bytes
from taf_keras.errors import BadFileError
from taf_keras.inspection.checked import CheckedFiles, keys_of
from taf_keras.sizes import Size

_ONE_COLOUR = 2  # levels by which compression may change a single colour
_AT_ONCE = 64  # files between two looks at what libjpeg has said
_KNOWN_AT_ONCE = 64 * _AT_ONCE  # files that are compared with what is known
_PROMPT_SECONDS = 1e-4  # a disk answers sooner: threads would wait for each other, not for it
_DAMAGED_JPEG = re.compile("^(Corrupt JPEG data|Premature end of JPEG file).*", re.MULTILINE)


class DamageWithin(BadFileError):
    """Damage between the first and last bytes of an image: a look that is not thorough does not find it."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a look at one usable file found.

    Attributes:
        size: (height, width), px.
        digest: equal for images with equal bytes; None unless it was asked for.
        one_colour: whether an image holds a single colour alone; only a thorough look finds out.
        pixels: int64 (classes + 1,), pixels of each class on a label map, void last; None for an image.
    """

    size: Size
    digest: bytes | None = None
    one_colour: bool = False
    pixels: np.ndarray | None = None


@dataclass(frozen=True)
class Looks:
    """What was found of images and label maps, by their place."""

    images: dict[object, Look | BadFileError]
    labels: dict[object, Look | BadFileError]

    def image(self, frame: Frame) -> Look | BadFileError:
        return self.images[_place(frame.image)]

    def label(self, frame: Frame) -> Look | BadFileError:
        return self.labels[_place(frame.label)]


def _place(source: Source):
    """Unlike `Frame.identity` it differs for copies in a packed data set, each of which may be damaged."""
    return id(source) if isinstance(source, np.ndarray) else source


def look_at(
    split: Split,
    partners_within: int,
    thorough: bool = False,
    digests: bool = False,
    threads: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
    checked: CheckedFiles | None = None,
) -> Looks:
    """Looks at the frames within `partners_within` frames of a key frame, and at the key frames' label maps.

    Of an image the first and last bytes are read, and all of it is decoded if `thorough`; a label map is
    always decoded. JPEG has no checksums: of damage within one, only what libjpeg complains about is found,
    for which stderr is held back while files are decoded.

    Args:
        digests: of each image's bytes: all of them if `thorough`, else the first `HEAD_BYTES`.
        on_progress: called as on_progress(done, total), counting files.
        checked: is given what this look finds. Files that it knows are not opened, unless the look is
            thorough or takes digests.
    """
    frames = (frame for clip in split.clips for frame in clip.window(partners_within))
    images = {_place(frame.image): frame.image for frame in frames}
    labels = {_place(clip.key_frame.label): clip.key_frame for clip in split.clips}
    done, total = 0, len(images) + len(labels)

    def count(looked_at: int) -> None:
        nonlocal done
        done += looked_at
        if on_progress and looked_at:
            on_progress(done, total)

    recalls = not thorough and not digests
    with ThreadPoolExecutor(threads) as pool:
        looker = _Looker(pool, threads, thorough, checked or CheckedFiles(), recalls, count)
        return Looks(
            looker(images, partial(_look_at_image, thorough=thorough, digest=digests)),
            looker(labels, partial(_look_at_label, classes=split.classes), split.classes),
        )


@dataclass(frozen=True)
class _Looker:
    """Looks at files in the threads of `pool`; where it `recalls`, at those alone that are not known."""

    pool: ThreadPoolExecutor
    threads: int
    thorough: bool
    checked: CheckedFiles
    recalls: bool
    count: Callable[[int], None]

    def __call__(
        self, things: dict, look: Callable[..., Look], classes: ClassTable | None = None
    ) -> dict[object, Look | BadFileError]:
        """place -> what is known of the thing there, or what `look` finds; `classes` are for label maps."""
        columns = 2 + (len(classes) + 1 if classes else 0)
        found: dict[object, Look | BadFileError] = {}
        for places in _parts(list(things), _KNOWN_AT_ONCE):
            keys = self._keys(places, classes)
            known = self.checked.find(keys, columns) if self.recalls else [None] * len(places)
            found |= {place: _known(*facts) for place, facts in zip(places, known, strict=True) if facts}
            unknown = [at for at, facts in enumerate(known) if not facts]
            self.count(len(places) - len(unknown))
            for few in _parts(unknown, _AT_ONCE):
                looks = self._open([partial(look, things[places[at]]) for at in few])
                found |= {places[at]: look for at, look in zip(few, looks, strict=True)}
                usable = {at: look for at, look in zip(few, looks, strict=True) if isinstance(look, Look)}
                self.checked.add(keys[list(usable)], [_facts(look) for look in usable.values()])
                self.count(len(few))
        return found

    def _keys(self, places: Sequence, classes: ClassTable | None) -> np.ndarray:
        keys, began = partial(keys_of, classes=classes), time.perf_counter()
        first, rest = keys(places[:_AT_ONCE]), places[_AT_ONCE:]
        if time.perf_counter() - began < _AT_ONCE * _PROMPT_SECONDS:
            return np.append(first, keys(rest))
        shares = _parts(rest, max(1, -(-len(rest) // self.threads)))
        return np.concatenate([first, *self.pool.map(keys, shares)])

    def _open(self, tasks: Sequence[partial]) -> list[Look | BadFileError]:
        with _held_back_stderr() if self.thorough else nullcontext(str) as written:
            looks = list(self.pool.map(_error_or_look, tasks))
        if _DAMAGED_JPEG.search(written()):  # it does not say which: once more, one by one
            return [_error_or_complaint(task) for task in tasks]
        return looks


def _parts(values: Sequence, length: int) -> Iterator[Sequence]:
    """Consecutive parts of `length` values; the last may be shorter."""
    return (values[begin : begin + length] for begin in range(0, len(values), length))


def source_name(source: Source, frame: Frame) -> str:
    """What messages call a source: its path, or the frame's number where it is an array."""
    return f"frame {frame.number}" if isinstance(source, np.ndarray) else str(source)


def _look_at_image(image: Source, thorough: bool, digest: bool) -> Look:
    one_colour = False
    if isinstance(image, np.ndarray):
        size, data = image.shape[:2], image.tobytes() if digest else b""
    else:
        size = inspect_image(image)
        if thorough:
            try:
                pixels = read_image(image)
            except BadFileError as error:
                raise DamageWithin(image, error.reason) from None
            size, one_colour = pixels.shape[:2], _is_one_colour(pixels)
        data = read_bytes(image, end=None if thorough else HEAD_BYTES) if digest else b""
    return Look(size, hashlib.blake2b(data, digest_size=16).digest() if digest else None, one_colour)


def _is_one_colour(pixels: np.ndarray) -> bool:
    few = pixels[::16, ::16]  # tell at once of nearly all pictures that they hold more
    return all(np.ptp(p, axis=(0, 1)).max() <= _ONE_COLOUR for p in (few, pixels))


def _look_at_label(frame: Frame, classes: ClassTable) -> Look:
    ids = read_label(frame.label, classes)
    counts = np.bincount(ids.ravel(), minlength=VOID + 1)
    if counts[VOID] == ids.size:
        name = source_name(frame.label, frame)
        raise BadFileError(name, "label map is void everywhere: nothing to learn from")
    return Look(ids.shape, pixels=np.append(counts[: len(classes)], counts[VOID]))


def _error_or_look(task: Callable[[], Look]) -> Look | BadFileError:
    try:
        return task()
    except BadFileError as error:
        return error


def _error_or_complaint(task: partial) -> Look | BadFileError:
    """The same, and an error for a JPEG that decodes to a picture, but not the right one."""
    with _held_back_stderr() as written:
        look = _error_or_look(task)
    complaint = _DAMAGED_JPEG.search(written())
    if complaint and isinstance(look, Look):
        return DamageWithin(task.args[0], f"is damaged: {complaint[0]}")
    return look


def _facts(look: Look) -> tuple[int, ...]:
    """What is remembered of a look: `_known` makes one of it again."""
    return (*look.size, *(() if look.pixels is None else look.pixels.tolist()))


def _known(height: int, width: int, *pixels: int) -> Look:
    return Look((height, width), pixels=np.array(pixels, np.int64)) if pixels else _known_image(height, width)


@cache  # millions of images have a few sizes
def _known_image(height: int, width: int) -> Look:
    return Look((height, width))


@contextmanager
def _held_back_stderr() -> Iterator[Callable[[], str]]:
    """Yields a function that returns what was written to stderr in the block, once that is left.

    Libraries in C write there; their lines are not shown, since they do not name the file.
    """
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        text = ""
        try:
            yield lambda: text
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            text = file.read().decode(errors="replace")
