"""Partners that a method needs, and whether the temporal context reaches any: a question of the settings."""

from __future__ import annotations

from dataclasses import replace

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Split
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import UserError

_FARTHEST = 1_000_000  # frames, nine hours of video


def partners_within(data: DataConfig, method: str, split: str) -> int:
    """n_h where `method` takes partners from `split`, frames; else 0, which needs none."""
    return data.temporal_context if split == "train" and method != "baseline" else 0


def partners_out_of_reach(split: Split, data: DataConfig, within: int) -> str | None:
    """A sentence on the setting where no key frame has another frame in reach; None where one has.

    Args:
        data: what `split` was loaded from.
        within: as `partners_within` gives it.
    """
    if not within or not split.clips or any(clip.offsets(within) != (0,) for clip in split.clips):
        return None
    found, remedy = "", "a larger --temporal_context"
    if distances := _nearest(data, split.name, within):
        least, most = min(distances), max(distances)
        found = f", the nearest is {least if least == most else f'{least} to {most}'} frames away"
        remedy = f"--temporal_context={most}"
    return (
        f"--temporal_context={within}: no key frame of split {split.name} has another frame of its "
        f"video within ±{within} frames{found}: give {remedy}, more frames, or --method=baseline"
    )


def _nearest(data: DataConfig, split: str, beyond: int) -> list[int]:
    """Frames from each key frame to the nearest other frame of its video, without those that have none.

    Readers give the frames within the temporal context alone. So it grows until most key frames have another.
    """
    context, nearest = beyond, []
    while context < _FARTHEST:
        context *= 4
        try:
            clips = load_split(replace(data, temporal_context=context), split, bad=BadFiles("skip")).clips
        except UserError:  # a packed data set has no more
            break
        distances = [[abs(n) for n in clip.offsets(context) if n] for clip in clips]
        nearest = [min(found) for found in distances if found]
        if 2 * len(nearest) > len(clips):
            break
    return nearest
