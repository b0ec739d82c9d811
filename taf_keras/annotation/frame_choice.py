"""Which frames of a video to label: spread over time, sharp, different, and apart where the data splits.

The time line is cut into as many equal parts as stills are wanted, and one is picked in each. Candidates of a
part are sharp for their place: the sharpest frame of each eighth of the part, and of these the sharper half.
Among them all, the frame that differs most from its nearest picked one comes next (farthest-first traversal,
Gonzalez 1985). With a model the parts are half as long, and the frame comes next of which that is least sure
(uncertainty sampling), so that half of the parts have none. A frame that differs from a picked one by less
than `ALIKE` is not picked, nor one that is blurred or blank beside the whole video; where a part has none,
second frames of other parts fill in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taf_keras.annotation.frame_measures import FLAT, Measures, differences
from taf_keras.clips.hold_out import LEAST, SHARE, hold_out
from taf_keras.config import TEMPORAL_CONTEXT
from taf_keras.errors import UserError

GAP_FRAMES = 2 * TEMPORAL_CONTEXT  # between what is trained on and what is set aside
ALIKE = 0.1  # as much as if one pixel in 200 showed something unrelated
_SLICES = 8  # of a part, in each of which the sharpest frame is a candidate
# Below these shares of the video's median a frame is blank, by its sharpness, or blurred, by its sharpness
# over its variance. Of 46 sharp stills of CamVid, by day and at dusk, 1 is below; of the same with a motion
# blur of 9 px of 480, 37 are.
_BLANK, _BLURRED = 0.05, 0.2


def shares(frames: int, lengths: Mapping[str, float]) -> dict[str, int]:
    """`frames` shared among videos by their lengths (largest remainders), one at least for each.

    Raises: UserError where there are more videos than frames.
    """
    if frames < len(lengths):
        raise UserError(f"--frames={frames}: must be {len(lengths)} at least, one for each video")
    spare = frames - len(lengths)
    total = sum(lengths.values()) or 1.0
    exact = {name: spare * length / total for name, length in lengths.items()}
    given = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: given[name] - exact[name])
    for name in by_remainder[: spare - sum(given.values())]:
        given[name] += 1
    return {name: 1 + number for name, number in given.items()}


@dataclass(frozen=True, eq=False)
class TimeLine:
    """The time line of one video, cut into parts.

    Attributes:
        part: int (frames,), in which each frame lies, from 0; −1 in the margin.
        late: bool (frames,), whether it lies in what will be set aside for validation.
        wanted: how many stills are wanted before the margin, and after it.
        share_seconds: one still's share of the time, the smaller of those before and after the margin.
    """

    part: np.ndarray
    late: np.ndarray
    wanted: tuple[int, int]
    share_seconds: float


def cut(measures: Measures, count: int, has_margin: bool, choices: int = 1) -> TimeLine:
    """Cuts the time line of a video into `choices` parts for each of `count` stills.

    With a margin, the last fifth of the stills, which will be set aside for validation, lies more than
    GAP_FRAMES frames behind the others; a video that is too short for it has none.
    """
    index, seconds = measures.index, measures.seconds
    begin, room = index[0], index[-1] + 1 - index[0] - GAP_FRAMES
    splits = has_margin and count >= LEAST and room >= count
    val, gap = (max(1, round(SHARE * count)), GAP_FRAMES) if splits else (0, 0)
    border = begin + (1 - SHARE) * room if splits else index[-1] + 1
    early, late = index < border, index >= border + gap + 1
    part = np.full(len(index), -1)
    part[early] = _equal_parts(seconds[early], (count - val) * choices)
    part[late] = (count - val) * choices + _equal_parts(seconds[late], val * choices)
    zones = ((early, count - val), (late, val))
    shares = [float(np.ptp(seconds[zone])) / stills for zone, stills in zones if stills and zone.any()]
    return TimeLine(part, late, (count - val, val), min(shares, default=0.0))


def candidates(measures: Measures, line: TimeLine, choices: int = 1) -> np.ndarray:
    """int (frames,): 2 for candidates, 1 for the sharpest of other eighths, which may fill in, else 0."""
    found = np.zeros(len(measures), int)
    clear = _clear(measures.sharpness, measures.contrast)
    for number in np.unique(line.part[line.part >= 0]):
        frames = np.flatnonzero((line.part == number) & clear)
        piece = _equal_parts(measures.seconds[frames], _SLICES // choices)
        groups = (frames[piece == p] for p in np.unique(piece))
        best = sorted(
            (g[measures.sharpness[g].argmax()] for g in groups), key=lambda i: -measures.sharpness[i]
        )
        found[best] = 1
        found[best[: (len(best) + 1) // 2]] = 2
    return found


def _clear(sharpness: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    by_contrast = sharpness / np.square(np.maximum(contrast, FLAT))
    is_clear = by_contrast >= _BLURRED * np.median(by_contrast)
    return is_clear & (sharpness >= _BLANK * np.median(sharpness))


def choose(
    measures: Measures,
    count: int,
    there: Measures,
    alike: np.ndarray,
    has_margin: bool,
    uncertainty_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[tuple[int, float]]:
    """Picks frames of one video.

    Args:
        measures: the frames that can be picked.
        count: how many to pick at most.
        there: the frames of this video that were picked before.
        alike: float32 (stills, 768), thumbnails of everything that was picked before, `there` included.
        has_margin: whether the end of this video will be set aside for validation.
        uncertainty_of: bool (frames,) -> float (frames,) of those; None picks the most different.
    Returns: in the order of picking, (position in `measures`, difference from the most alike frame that was
        picked before, NaN for the first).
    """
    if not len(measures):
        return []
    seconds, choices = measures.seconds, 1 if uncertainty_of is None else 2
    earlier = there.seconds[(there.seconds >= seconds[0]) & (there.seconds <= seconds[-1])]
    line = cut(measures, count + len(earlier), has_margin, choices)
    rank = candidates(measures, line, choices)
    uncertainty = None if uncertainty_of is None else uncertainty_of(rank == 2)
    distance = np.full(len(measures), np.inf)
    for one in alike:
        distance = np.minimum(distance, differences(measures.thumbnails, one))
    apart = np.full(len(measures), np.inf)  # seconds from the nearest picked one
    free = np.ones(line.part.max() + 2, bool)  # the last is the margin's
    wanted = np.array(line.wanted)

    def take(position: int) -> None:
        nonlocal apart
        apart = np.minimum(apart, abs(seconds - seconds[position]))
        free[line.part[position]] = False
        wanted[int(line.late[position])] -= 1

    for second in earlier:
        take(int(np.argmin(abs(seconds - second))))
    picked = []
    while len(picked) < count:
        possible = (rank > 0) & (distance >= ALIKE) & (apart >= line.share_seconds / 3)
        in_turn = (rank == 2) & free[line.part] & (wanted > 0)[line.late.astype(int)]
        in_turn &= apart >= line.share_seconds / 2
        if (possible & in_turn).any():
            possible &= in_turn
        elif not possible.any():
            break
        score = np.where(possible, distance if uncertainty is None else uncertainty, -np.inf)
        best = int(np.lexsort((measures.sharpness, score))[-1])
        picked.append((best, float(distance[best]) if np.isfinite(distance[best]) else np.nan))
        take(best)
        distance = np.minimum(distance, differences(measures.thumbnails, measures.thumbnails[best]))
    return picked


def in_margin(before: Mapping[str, Sequence[int]], new: Mapping[str, Sequence[int]]) -> dict[str, set[int]]:
    """Of the new frame numbers of each video, those that the split into train and val would leave out."""
    new = {video: set(numbers) for video, numbers in new.items()}
    dropped: dict[str, set[int]] = {video: set() for video in new}
    while True:
        keys = {video: sorted(set(before.get(video, ())) | new.get(video, set())) for video in before | new}
        train, val = hold_out({v: k for v, k in keys.items() if k}, gap_frames=GAP_FRAMES)
        used = {video: {*train.get(video, ()), *val.get(video, ())} for video in keys}
        lost = [(number, video) for video in new for number in new[video] - used[video]]
        if not lost:
            return dropped
        number, video = max(lost)
        new[video].discard(number)
        dropped[video].add(number)


def _equal_parts(seconds: np.ndarray, count: int) -> np.ndarray:
    if not (seconds.size and count):
        return np.zeros(len(seconds), int)
    length = np.nextafter(seconds[-1] - seconds[0], np.inf) or 1.0
    return np.minimum((seconds - seconds[0]) / length * count, count - 1).astype(int)
