"""Looks at the files of a split before a long run, so that a bad one stops it at the start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Source, Split
from taf_keras.clips.decode import inspect_image, read_image, read_label
from taf_keras.clips.load import load_split
from taf_keras.config import DataConfig
from taf_keras.errors import BadFileError, UserError
from taf_keras.progress import Progress

_SHOWN = 10
Size = tuple[int, int]  # (height, width), px
_Looked = dict[object, Size | BadFileError]  # Frame.identity -> what a look at it found


def load_checked(data: DataConfig, name: str, partners_within: int = 0, threads: int = 2) -> Split:
    """Loads and checks one split under `data.on_bad_file`, with progress; says what was left out."""
    bad = BadFiles(data.on_bad_file)
    with Progress(f"reading {name} clips") as progress:
        split = load_split(data, name, progress, bad)
    if data.dataset == "synthetic":  # lies in memory; its generation has shown the progress
        return check_split(split, data.image_size, partners_within, bad)
    with Progress(f"checking {name} files") as progress:
        split = check_split(
            split, data.image_size, partners_within, bad, threads=threads, on_progress=progress
        )
    for error in bad.found[:_SHOWN]:
        print(f"left out {error}")
    if len(bad.found) > _SHOWN:
        print(f"left out {len(bad.found) - _SHOWN} more; python -m taf_keras.clips.check lists all")
    return split


def check_split(
    split: Split,
    image_size: Size | None = None,
    partners_within: int = 0,
    bad: BadFiles | None = None,
    thorough: bool = False,
    threads: int = 2,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Split:
    """The split without what cannot be used; an error under `refuse`, which is the default of `bad`.

    Of every frame that can be drawn the first and last bytes are read, and every key frame's label map is
    decoded. Bad is a file that is missing, empty, cut short, not an image or not 8-bit; a label map of
    another size than its image, with an id outside the table, or with nothing but void; a frame of another
    size than its key frame where there is no `image_size` to bring both to.

    Args:
        partners_within: n_h where the method uses partners: a key frame without another frame within
            n_h is bad too, since TAF learns nothing from it. 0 looks at key frames alone.
        bad: what to do with bad files; keeps those left out.
        thorough: decode every frame, to find what is wrong between its first and last bytes.
        on_progress: called as on_progress(done, total), counting files.
    Raises: UserError for the first bad file, key frames of several sizes without an `image_size`, or a
        split of which nothing is left.
    """
    bad = bad or BadFiles()
    if not split.clips:
        raise UserError(f"split {split.name}: has no labelled clip")
    images, labels = _look(split, partners_within, thorough, threads, on_progress)
    clips: dict[Clip, Size] = {}
    reported = set()
    for clip in split.clips:
        usable, errors = _usable(clip, images, labels, image_size, partners_within)
        for error in errors:
            if str(error) not in reported:  # windows overlap: one file may belong to many clips
                reported.add(str(error))
                bad.add(error)
        if usable is not None:
            clips[usable] = images[usable.key_frame.identity]
    if not clips:
        raise UserError(f"split {split.name}: no clip is left, {bad.found[-1]}")
    _check_sizes(split.name, clips, image_size)
    return replace(split, clips=tuple(clips), left_out=tuple(bad.found))


def _look(split: Split, within: int, thorough: bool, threads: int, on_progress) -> tuple[_Looked, _Looked]:
    """Sizes of the frames and of the key frames' label maps, each file read once."""
    frames = {frame.identity: frame.image for clip in split.clips for frame in clip.window(within)}
    keys = {clip.key_frame.identity: clip.key_frame for clip in split.clips}
    image_size = _decoded_size if thorough else _inspected_size
    tasks = [(image_size, image) for image in frames.values()]
    tasks += [(lambda frame: _label_size(frame, split.classes), frame) for frame in keys.values()]

    def run(task):
        function, argument = task
        try:
            return function(argument)
        except BadFileError as error:
            return error

    found = []
    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(run, tasks):
            found.append(result)
            on_progress(len(found), len(tasks))
    images = dict(zip(frames, found[: len(frames)], strict=True))
    return images, dict(zip(keys, found[len(frames) :], strict=True))


def _inspected_size(image: Source) -> Size:
    return image.shape[:2] if isinstance(image, np.ndarray) else inspect_image(image)


def _decoded_size(image: Source) -> Size:
    _inspected_size(image)
    return read_image(image).shape[:2]


def _label_size(frame: Frame, classes: ClassTable) -> Size:
    ids = read_label(frame.label, classes)
    if np.all(ids == VOID):
        raise BadFileError(_name(frame.label, frame), "label map is void everywhere: nothing to learn from")
    return ids.shape


def _usable(
    clip: Clip, images: _Looked, labels: _Looked, image_size: Size | None, partners_within: int
) -> tuple[Clip | None, list[BadFileError]]:
    """The clip without its bad frames, or None where its key frame is bad; and what was bad."""
    key = clip.key_frame
    size, label_size = images[key.identity], labels[key.identity]
    for found in (size, label_size):
        if isinstance(found, BadFileError):
            return None, [found]
    if label_size != size:
        reason = f"label map of {_text(label_size)} px, its image has {_text(size)} px"
        return None, [BadFileError(_name(key.label, key), reason)]

    kept, errors = [], []
    for frame in clip.window(partners_within):
        found = images[frame.identity]
        if not isinstance(found, BadFileError) and found != size and image_size is None:
            reason = f"frame of {_text(found)} px, its key frame has {_text(size)} px: give --image_size"
            found = BadFileError(_name(frame.image, frame), reason)
        if isinstance(found, BadFileError):
            errors.append(found)
        else:
            kept.append(frame)
    clip = replace(clip, frames=tuple(kept)) if errors else clip
    if partners_within and clip.offsets(partners_within) == (0,):
        reason = (
            f"key frame without a partner within ±{partners_within} frames: give a larger "
            "--temporal_context, more frames, or --method=baseline"
        )
        return None, [*errors, BadFileError(_name(key.image, key), reason)]
    return clip, errors


def _check_sizes(split: str, clips: dict[Clip, Size], image_size: Size | None) -> None:
    first = {size: clip for clip, size in reversed(clips.items())}
    if len(first) > 1 and image_size is None:
        found = " and ".join(f"{_text(size)} ({clip.name})" for size, clip in list(first.items())[:2])
        raise UserError(f"split {split}: key frames of several sizes, {found}: give --image_size")


def _name(source: Source, frame: Frame) -> str:
    return f"frame {frame.number}" if isinstance(source, np.ndarray) else str(source)


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
