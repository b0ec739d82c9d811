"""Looks at the files of a split before a long run, so that a bad one stops it at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, Split
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.class_coverage import absence_warning, absent_classes, require_several_classes
from taf_keras.inspection.look import Look, Looks, Size, look_at, source_name
from taf_keras.inspection.partner_reach import partners_out_of_reach
from taf_keras.progress import Progress

_SHOWN = 10


def load_checked(data: DataConfig, name: str, partners_within: int = 0, threads: int = 2) -> Split:
    """Loads and checks one split under `data.on_bad_file`, with progress; says what was left out.

    Of `train` it warns of classes without a pixel.

    Raises: UserError as `check_split` does, for a temporal context within which no key frame has a partner,
        and for training labels of a single class.
    """
    bad = BadFiles(data.on_bad_file)
    with Progress(f"reading {name} clips") as progress:
        split = load_split(data, name, progress, bad)
    if problem := partners_out_of_reach(split, data, partners_within):
        raise UserError(problem)
    if data.dataset == "synthetic":  # lies in memory; its generation has shown the progress
        split, looks = _checked(split, data.image_size, partners_within, bad)
    else:
        with Progress(f"checking {name} files") as progress:
            split, looks = _checked(
                split, data.image_size, partners_within, bad, threads=threads, on_progress=progress
            )
    for error in bad.found[:_SHOWN]:
        print(f"left out {error}")
    if len(bad.found) > _SHOWN:
        print(f"left out {len(bad.found) - _SHOWN} more; python -m taf_keras.check lists all")
    if name == "train":
        require_several_classes(split, looks)
        split = replace(split, absent_classes=absent_classes(split, looks))
        if warning := absence_warning(split, looks):
            print(f"warning: {warning}")
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
    return _checked(split, image_size, partners_within, bad, thorough, threads, on_progress)[0]


def _checked(
    split: Split,
    image_size: Size | None,
    partners_within: int,
    bad: BadFiles | None,
    thorough: bool = False,
    threads: int = 2,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Split, Looks]:
    """`check_split`, and what was found of the files."""
    bad = bad or BadFiles()
    if not split.clips:
        raise UserError(f"split {split.name}: has no labelled clip")
    looks = look_at(split, partners_within, thorough, threads=threads, on_progress=on_progress)
    clips = usable_clips(split, looks, image_size, partners_within, bad)
    require_usable(split.name, clips, looks, image_size, bad)
    return replace(split, clips=clips, left_out=tuple(bad.found)), looks


def usable_clips(
    split: Split, looks: Looks, image_size: Size | None, partners_within: int, bad: BadFiles
) -> tuple[Clip, ...]:
    """The clips without their bad frames; those whose key frame is bad are left out. `bad` takes both."""
    clips, reported = [], set()
    for clip in split.clips:
        usable, errors = _usable(clip, looks, image_size, partners_within)
        for error in errors:
            if str(error) not in reported:  # windows overlap: one file may belong to many clips
                reported.add(str(error))
                bad.add(error)
        if usable is not None:
            clips.append(usable)
    return tuple(clips)


def require_usable(
    split: str, clips: tuple[Clip, ...], looks: Looks, image_size: Size | None, bad: BadFiles
) -> None:
    """UserError where no clip is left, or key frames have several sizes and there is no `image_size`."""
    if not clips:
        raise UserError(f"split {split}: no clip is left, {bad.found[-1]}")
    first: dict[Size, Clip] = {}
    for clip in clips:
        first.setdefault(looks.image(clip.key_frame).size, clip)
    if len(first) > 1 and image_size is None:
        found = " and ".join(f"{size_text(size)} ({clip.name})" for size, clip in list(first.items())[:2])
        raise UserError(f"split {split}: key frames of several sizes, {found}: give --image_size")


def size_text(size: Size) -> str:
    """(360, 480) -> '360x480', as `--image_size` takes it."""
    return f"{size[0]}x{size[1]}"


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
    if partners_within and clip.offsets(partners_within) == (0,):
        reason = (
            f"key frame without a partner within ±{partners_within} frames: give a larger "
            "--temporal_context, more frames, or --method=baseline"
        )
        return None, [*bad_partners, BadFileError(source_name(key.image, key), reason)]
    return clip, bad_partners
