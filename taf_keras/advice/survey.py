"""A user's clips, measured: evenly sampled, so that the work is bounded, and the same each time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from taf_keras.advice.motion import Motion, measure_motion
from taf_keras.advice.places import Places, compare_places
from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, Split
from taf_keras.clips.subset import evenly_spaced
from taf_keras.config import DataConfig
from taf_keras.datasets import load
from taf_keras.errors import UserError, require
from taf_keras.inspection.check import check_split
from taf_keras.inspection.partner_reach import partners_out_of_reach
from taf_keras.progress import Progress

_CLIPS = 60  # around whose key frames motion is measured
_KEY_FRAMES = 200  # of either split, by which places are compared


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        data: what the clips were loaded from.
        train: the clips of train that were measured, checked.
        found: clips of train, all of them.
        motion: of train, or where that cannot be measured and frames of val lie nearer, of val.
        partner_gap: frames from a key frame of train to its nearest partner, the median.
        farthest: frames from a key frame of train to the farthest within the temporal context.
        key_frames, labelled, frames: of train: those that training learns from, those with a label, all.
        class_change: of train, or of val where train has none.
        has_val: whether there is a val split.
        places: whether val shows the places of train.
        bad_files: files that were looked at and left out.
    """

    data: DataConfig
    train: Split
    found: int
    motion: Motion
    partner_gap: int
    farthest: int
    key_frames: int
    labelled: int
    frames: int
    class_change: dict[int, float]
    class_change_split: str
    has_val: bool
    places: Places
    bad_files: int = 0

    @property
    def label_share(self) -> float:
        """Key frames as a share of all frames."""
        return self.key_frames / self.frames

    @property
    def is_labelled(self) -> bool:
        """Whether there are fewer unlabelled frames than key frames, so that little is left to learn from."""
        return self.label_share > 0.5


def survey(data: DataConfig, threads: int = 2) -> Survey:
    """Measures the train split, and compares it with val where there is one.

    Args:
        data: frames up to `data.temporal_context` frames from a key frame are looked at.
    Raises: UserError for files that cannot be used, and for clips without a second frame.
    """
    bad = BadFiles(data.on_bad_file)
    whole = _load(data, "train", bad)
    if problem := partners_out_of_reach(whole, data, data.temporal_context):
        raise UserError(problem)
    train = _sample(whole, data, bad, threads)
    val = _load(data, "val", bad) if "val" in load.splits(data) else None
    motion, around, seen = _motion(train, data, threads), None, None
    if val and (not motion.class_change or motion.doubt):
        around = _sample(val, data, bad, threads)
        seen = around and _motion(around, data, threads)
    changed = seen if seen and not motion.class_change else motion
    nearer = seen and seen.gap_frames < motion.gap_frames and not seen.doubt
    moved = seen if motion.doubt and nearer else motion
    keys = [_key_frames(*each, data, bad, threads) for each in ((whole, train), (val, around))]
    with Progress("comparing places") as progress:
        places = compare_places(*keys, threads, progress)
    context = data.temporal_context
    gaps = [min(abs(n) for n in clip.offsets(context) if n) for clip in train.clips]
    frames = {frame.identity: frame for clip in whole.clips for frame in clip.window(context)}
    return Survey(
        data=data,
        train=train,
        found=len(whole.clips),
        motion=moved,
        partner_gap=round(float(np.median(gaps))),
        farthest=max(abs(n) for clip in whole.clips for n in clip.offsets(context)),
        key_frames=len(whole.clips),
        labelled=sum(frame.label is not None for frame in frames.values()),
        frames=len(frames),
        class_change=changed.class_change,
        class_change_split=changed.split,
        has_val=val is not None,
        places=places,
        bad_files=len({error.file for error in bad.found}),
    )


def _load(data: DataConfig, name: str, bad: BadFiles) -> Split:
    with Progress(f"reading {name} clips") as progress:
        split = load.load_split(data, name, progress, bad)
    require(len(split.clips) > 0, f"split {name}: has no labelled clip")
    return split


def _sample(split: Split, data: DataConfig, bad: BadFiles, threads: int) -> Split | None:
    """Clips that have a second frame, evenly over the split, checked; None where there are none."""
    within = data.temporal_context
    clips = [replace(clip, frames=clip.window(within)) for clip in split.clips]
    clips = evenly_spaced([clip for clip in clips if len(clip.frames) > 1], _CLIPS)
    if not clips:
        return None
    with Progress(f"checking {split.name} files") as progress:
        part = replace(split, clips=tuple(clips))
        return check_split(part, data.image_size, within, bad, threads=threads, on_progress=progress)


def _key_frames(
    split: Split | None, checked: Split | None, data: DataConfig, bad: BadFiles, threads: int
) -> list[Clip]:
    """Clips evenly over the split whose key frame is usable; of those not in `checked`, that frame alone."""
    if split is None:
        return []
    part = replace(split, clips=tuple(evenly_spaced(split.clips, _KEY_FRAMES)))
    with Progress(f"checking {split.name} key frames") as progress:
        part = check_split(part, data.image_size, 0, bad, threads=threads, on_progress=progress)
    whole = {clip.name: clip for clip in checked.clips} if checked else {}
    return [whole.get(clip.name) or replace(clip, frames=(clip.key_frame,)) for clip in part.clips]


def _motion(split: Split, data: DataConfig, threads: int) -> Motion:
    with Progress(f"measuring {split.name} clips") as progress:
        return measure_motion(split, split.clips, data.image_size, threads, progress)
