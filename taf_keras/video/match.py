"""Finds annotated stills among a video's frames: which index has the frame that a still's number names?

Difference is the root mean square difference of two small grey pictures, each brought to mean 0 and standard
deviation 1, so that brightness and contrast do not count: 0 for equal pictures, 1.4 for unrelated ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.decode import read_image
from taf_keras.video.frames import decode, image_size

MATCHED, UNDECIDED, UNLIKE, ABSENT = "matched", "undecided", "unlike all", "not in the video"

_WIDTH_PX = 160
_FLAT = 0.5  # grey levels: a standard deviation below this is noise, which must not be blown up
# Measured on the 101 stills of CamVid's 0016E5, 15 Hz, encoded as MPEG-4 and MJPEG at 240×180 to 960×720: a
# still differs from its own frame by 0.01 to 0.08, from the most alike neighbour by 0.17 to 0.43.
_UNLIKE = 0.3
_CLEAR, _FLOOR = 1.3, 0.002  # the second best must exceed the best by this factor, plus this much
# Where the best candidate is the outermost, the right one may lie one further out. Differences grow no
# faster than distance, so that its neighbours would then be at 1 : 2 at most; a true match has a steeper end.
_CLEAR_AT_END = 3.0
_GLANCE = 50  # every so many frames one is looked at beside the candidates


@dataclass(frozen=True, eq=False)
class Match:
    """How much one still differs from each frame that might be its own.

    Attributes:
        number: the still's frame number.
        first: offset (index − number) of the first candidate; the others follow one by one.
        differences: float (candidates,), NaN where the video has no such frame.
    """

    number: int
    first: int
    differences: np.ndarray

    @property
    def offset(self) -> int | None:
        """Offset of the best candidate; None where the video has no candidate."""
        if np.isnan(self.differences).all():
            return None
        return self.first + int(np.nanargmin(self.differences))

    @property
    def difference(self) -> float:
        return self.at(self.offset)

    @property
    def margin(self) -> float:
        """Difference of the second best candidate less that of the best; NaN where there is no second."""
        best, second = np.sort(self.differences)[:2]  # NaN last
        return float(second - best)

    @property
    def verdict(self) -> str:
        """MATCHED, UNDECIDED, UNLIKE or ABSENT."""
        if self.offset is None:
            return ABSENT
        if self.difference > _UNLIKE:
            return UNLIKE
        at_end = np.isnan([self.at(self.offset - 1), self.at(self.offset + 1)]).any()
        clear = self.difference + self.margin > _tolerance(self.difference, at_end)  # NaN is not clear
        return MATCHED if clear else UNDECIDED

    def at(self, offset: int | None) -> float:
        """The difference of the candidate at `offset`; NaN where there is none."""
        position = -1 if offset is None else offset - self.first
        return float(self.differences[position]) if 0 <= position < len(self.differences) else np.nan

    def contradicts(self, offset: int) -> bool:
        """Whether the still speaks against `offset`: another candidate is clearly better, or all are unlike.

        An undecided still contradicts no offset at which it differs as little as at the best.
        """
        if np.isnan(self.at(offset)):
            return self.verdict == MATCHED
        return self.verdict == UNLIKE or self.at(offset) > _tolerance(self.difference)


def _tolerance(difference: float, at_end: bool = False) -> float:
    return (_CLEAR_AT_END if at_end else _CLEAR) * difference + _FLOOR


def consensus(matches: Iterable[Match]) -> int | None:
    """The offset of more than half of the matched stills; None where there is none."""
    votes = Counter(match.offset for match in matches if match.verdict == MATCHED)
    offset, most = votes.most_common(1)[0] if votes else (None, 0)
    return offset if 2 * most > votes.total() else None


def find_stills(
    video: Path,
    stills: dict[int, str],
    start: int,
    search: int,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Match], list[float], int]:
    """Compares each still with the frames at index = number + start − search … number + start + search.

    Frames between them are glanced at as well, so that a scene that stands still or fades to black around the
    stills is not taken for a decoder that fails.

    Args:
        stills: frame number -> image file.
        on_progress: called with (frames decoded, frames to decode).
    Returns: a match for each still, ascending; the times of all frames decoded, ms; and how many frames were
        looked at, where all show one picture that is none of the stills', else 0. OpenCV says success and
        gives such a picture, black or left in memory, for all frames of an interlaced video that it cannot
        convert.
    Raises: UserError for a still or a video that cannot be read.
    """
    numbers = np.array(sorted(stills))
    pictures = [cv2.cvtColor(read_image(stills[n]), cv2.COLOR_RGB2GRAY) for n in numbers.tolist()]
    first, frames = start - search, int(numbers[-1]) + start + search + 1
    differences = np.full((len(numbers), 2 * search + 1), np.nan)

    def candidate_of(index: int) -> np.ndarray:
        return np.flatnonzero(np.abs(numbers + start - index) <= search)

    def is_looked_at(index: int) -> bool:
        return index % _GLANCE == 0 or candidate_of(index).size > 0

    height, width = image_size(video)
    narrow = min(_WIDTH_PX, width, *(picture.shape[1] for picture in pictures))
    size = (narrow, max(1, round(narrow * height / width)))
    thumbnails = np.stack([thumbnail(picture, size) for picture in pictures])
    times_ms, shown = [], Counter()  # how many frames show each picture
    for frame in islice(decode(video, is_looked_at), max(0, frames)):
        times_ms.append(frame.time_ms)
        if frame.image is not None:
            rows = candidate_of(frame.index)
            seen = thumbnail(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), size)
            squares = (thumbnails[rows] - seen) ** 2  # (stills, height, width)
            differences[rows, frame.index - first - numbers[rows]] = np.sqrt(squares.mean(axis=(1, 2)))
            shown[hash(seen.tobytes())] += 1
        on_progress(frame.index + 1, frames)
    matches = [Match(int(n), first, row) for n, row in zip(numbers, differences, strict=True)]
    verdicts = {match.verdict for match in matches} - {ABSENT}
    stuck = len(shown) == 1 < shown.total() and verdicts == {UNLIKE}
    return matches, times_ms, shown.total() if stuck else 0


def thumbnail(grey: np.ndarray, size: tuple[int, int], flat: float = _FLAT) -> np.ndarray:
    """float32 (height, width) of mean 0 and standard deviation 1; next to 0 for an even picture.

    Args:
        size: (width, height), px.
        flat: grey levels, the standard deviation below which a picture counts as even.
    """
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(small.std(), flat)


def table(matches: Sequence[Match]) -> list[str]:
    """One line per still for the terminal, under a header."""
    lines = ["key frame  offset  difference  margin  verdict"]
    for match in matches:
        offset = "" if match.offset is None else f"{match.offset:+d}"
        lines.append(
            f"{match.number:>9}  {offset:>6}  {match.difference:10.3f}  {match.margin:6.3f}  {match.verdict}"
        )
    return lines


def summary(matches: Iterable[Match]) -> str:
    """For example '96 matched at +1, 4 undecided'."""
    verdicts = (f"{m.verdict} at {m.offset:+d}" if m.verdict == MATCHED else m.verdict for m in matches)
    return ", ".join(f"{number} {what}" for what, number in Counter(verdicts).most_common())
