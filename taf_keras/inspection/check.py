"""Looks at the files of a split before a long run, so that a bad one stops it at the start."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import Clip, Split
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.checked import CheckedFiles, remembered
from taf_keras.inspection.class_coverage import absence_warning, require_several_classes
from taf_keras.inspection.look import Look, Looks, look_at, source_name
from taf_keras.inspection.partner_reach import partners_out_of_reach
from taf_keras.progress import Progress
from taf_keras.sizes import Size, size_text

_SHOWN = 10


def load_checked(data: DataConfig, name: str, partners_within: int = 0, threads: int = 2) -> Split:
    """Loads and checks one split under `data.on_bad_file`, with progress; says what was left out.

    Files that an earlier check found usable, and that have not changed, are not opened (`checked`).
    Of `train` it warns of classes without a pixel.

    Raises: UserError as `check_split` does, for a temporal context within which no key frame has a partner,
        and for training labels of a single class.
    """
    bad = BadFiles(data.on_bad_file)
    with Progress(f"reading {name} clips") as progress, _no_garbage():
        split = load_split(data, name, progress, bad)
    if split.note:
        print(f"{name}: {split.note}")
    if problem := partners_out_of_reach(split, data, partners_within):
        raise UserError(problem)
    in_memory = data.dataset == "synthetic"  # its generation has shown the progress
    shown = nullcontext() if in_memory else Progress(f"checking {name} files")
    with remembered(data) as checked, shown as progress:
        split = check_split(split, data.image_size, partners_within, bad, False, threads, progress, checked)
    for error in bad.found[:_SHOWN]:
        print(f"left out {error}")
    if len(bad.found) > _SHOWN:
        print(f"left out {len(bad.found) - _SHOWN} more; python -m taf_keras.check lists all")
    if name == "train":
        require_several_classes(split)
        if warning := absence_warning(split):
            print(f"warning: {warning}")
    return split


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Python looks for none inside: among millions of frames there is none, and each look takes seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_split(
    split: Split,
    image_size: Size | None = None,
    partners_within: int = 0,
    bad: BadFiles = REFUSE,
    thorough: bool = False,
    threads: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
    checked: CheckedFiles | None = None,
) -> Split:
    """The split without what cannot be used; an error under `refuse`, which is the default of `bad`.

    Of every frame that can be sampled the first and last bytes are read, and every key frame's label map is
    decoded. Bad is a file that is missing, empty, cut short, not an image or not 8-bit; a label map of
    another size than its image, with an id outside the table, or with nothing but void; a frame of another
    size than its key frame where there is no `image_size` to bring both to.

    Args:
        partners_within: n_h where the method uses partners: a key frame without another frame within
            n_h is bad too, since TAF learns nothing from it. 0 looks at key frames alone.
        bad: what to do with bad files; keeps those left out.
        thorough: decode every frame, to find what is wrong between its first and last bytes.
        on_progress: called as on_progress(done, total), counting files.
        checked: what earlier checks found; is given what this one finds.
    Raises: UserError for the first bad file, key frames of several sizes without an `image_size`, or a
        split of which nothing is left.
    """
    if not split.clips:
        raise UserError(f"split {split.name}: has no labelled clip")
    looks = look_at(
        split, partners_within, thorough, threads=threads, on_progress=on_progress, checked=checked
    )
    split = usable_split(split, looks, image_size, partners_within, bad)
    require_usable(split, looks, image_size)
    return split


def usable_split(
    split: Split, looks: Looks, image_size: Size | None, partners_within: int, bad: BadFiles
) -> Split:
    """The split without bad frames, and without clips whose key frame is bad. `bad` takes both."""
    clips = []
    for clip in split.clips:
        usable, errors = _usable(clip, looks, image_size, partners_within)
        for error in errors:
            bad.take(error)
        if usable is not None:
            clips.append(usable)
    pixels = [looks.label(clip.key_frame).pixels for clip in clips]
    pixels = np.array(pixels, np.int64).reshape(len(clips), len(split.classes) + 1)
    return replace(split, clips=tuple(clips), left_out=tuple(bad.found), label_pixels=pixels)


def require_usable(split: Split, looks: Looks, image_size: Size | None) -> None:
    """UserError where no clip is left, or key frames have several sizes and there is no `image_size`."""
    if not split.clips:
        raise UserError(f"split {split.name}: no clip is left, {split.left_out[-1]}")
    first: dict[Size, Clip] = {}
    for clip in split.clips:
        first.setdefault(looks.image(clip.key_frame).size, clip)
    if len(first) > 1 and image_size is None:
        found = " and ".join(f"{size_text(size)} ({clip.name})" for size, clip in list(first.items())[:2])
        raise UserError(f"split {split.name}: key frames of several sizes, {found}: give --image_size")


def _usable(
    clip: Clip, looks: Looks, image_size: Size | None, partners_within: int
) -> tuple[Clip | None, list[BadFileError]]:
    """The clip without its bad frames, or None where its key frame is bad; and what was bad."""
    key = clip.key_frame
    image, label = looks.image(key), looks.label(key)
    bad_key = [found for found in (image, label) if isinstance(found, BadFileError)]
    if not bad_key and label.size != image.size:
        reason = f"label map of {size_text(label.size)} px, its image has {size_text(image.size)} px"
        bad_key = [BadFileError(source_name(key.label, key), reason)]

    kept, bad_partners = [], []
    for frame in clip.window(partners_within):
        found = looks.image(frame)
        if isinstance(found, Look) and not bad_key and found.size != image.size and image_size is None:
            reason = f"frame of {size_text(found.size)} px, its key frame has {size_text(image.size)} px"
            found = BadFileError(source_name(frame.image, frame), f"{reason}: give --image_size")
        if isinstance(found, Look):
            kept.append(frame)
        elif frame is not key:
            bad_partners.append(found)
    if bad_key:
        return None, bad_key + bad_partners
    clip = replace(clip, frames=tuple(kept)) if bad_partners else clip
    if partners_within and len(kept) == 1:
        reason = (
            f"key frame without a partner within ±{partners_within} frames: give a larger "
            "--temporal_context, more frames, or --method=baseline"
        )
        return None, [*bad_partners, BadFileError(source_name(key.image, key), reason)]
    return clip, bad_partners
