"""Which key frames are set aside for validation, so that training shows nothing of them or next to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taf_keras.clips.subset import evenly_spaced

LEAST = 5  # key frames, or videos, of which one can be set aside
SHARE = 0.2

Keys = Mapping[str, Sequence[int]]  # the numbers of each video's key frames, ascending


def hold_out(keys: Keys, share: float = SHARE, gap_frames: int = 0) -> tuple[Keys, Keys]:
    """Key frames to train on and to validate on, apart in time.

    Of five videos or more, whole videos are set aside, evenly spaced over their order. Of fewer, it is the
    last part of each that has five key frames or more. Fewer than five key frames in all are left together.

    Args:
        share: of the videos, or of each video's key frames, in (0, 1); at least one.
        gap_frames: key frames of one video that are this near to one that is set aside, or nearer, are left
            out of training. Twice the temporal context keeps partners apart too.
    Returns: (train, val): the key frames of each; no video without one.

    Example:
        >>> hold_out({"street": [0, 100, 200, 300, 390, 400]}, gap_frames=30)
        ({'street': [0, 100, 200, 300]}, {'street': [400]})
    """
    if len(keys) >= LEAST:
        chosen = evenly_spaced(list(keys)[1:], max(1, round(share * len(keys))))
        val = {video: list(keys[video]) for video in chosen}
    elif sum(map(len, keys.values())) >= LEAST:
        long = {video: numbers for video, numbers in keys.items() if len(numbers) >= LEAST}
        if not long:  # two videos of three: the last key frame of one
            long = dict([max(keys.items(), key=lambda item: len(item[1]))])
        val = {v: list(numbers[-max(1, round(share * len(numbers))) :]) for v, numbers in long.items()}
    else:
        val = {}
    train = {}
    for video, numbers in keys.items():
        first = min(val.get(video, ()), default=float("inf"))  # what is set aside ends the video
        if kept := [number for number in numbers if number < first - gap_frames]:
            train[video] = kept
    return train, val
