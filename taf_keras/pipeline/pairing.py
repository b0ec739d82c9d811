"""Which example a training step sees, and how it is sampled: pure functions of (seed, epoch, example).

Nothing here keeps state, so the sequence is the same for any number of replicas, workers and reader
threads, and can be taken up at any position after an interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from taf_keras.clips.clip import Clip

# One stream of random numbers for each purpose, so that more of one never shifts another.
_ORDER, _AUGMENT, _PAIR, _COLOUR, _OTHER, _BLUR, _PASTE, _SIDE = range(8)

# Largest changes of colour: of brightness as a share of the range, of contrast and saturation as factors
# 1 ± this.
BRIGHTNESS, CONTRAST, SATURATION = 0.25, 0.4, 0.4
# Half of the examples are blurred and half pasted into. Standard deviations are those of SimCLR (Chen et al.
# 2020) at 224 px, as shares of the crop's height; a rectangle covers up to half of a crop, which is what
# CutMix-Seg (French et al. 2020) pastes.
BLURRED, LEAST_BLUR, MOST_BLUR = 0.5, 0.1 / 224, 2 / 224
PASTED, LEAST_AREA, MOST_AREA, MOST_ASPECT = 0.5, 0.1, 0.5, 2.0


class Place(NamedTuple):
    """An example's place in the whole training, of which all that is random about it is a function.

    Attributes:
        seed, epoch: of the training, and within it.
        example: index of the clip.
        repeat: more than 0 in the surplus that fills up the last batch of an epoch.
    """

    seed: int
    epoch: int
    example: int
    repeat: int

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([stream, *self])


@dataclass(frozen=True)
class Sample:
    """The random choices of one training example.

    Attributes:
        offset_frames: n, the partner's frame number minus the key frame's.
        key_branch: i1, index of the branch that the key frame takes from the partner (Eq. 6).
        partner_branch: i2, index of the branch that the partner takes from the key frame.
        flip: mirror left and right.
        scale: factor on the image's size.
        crop_y, crop_x: position of the crop in its range, in [0, 1).
    """

    offset_frames: int
    key_branch: int
    partner_branch: int
    flip: bool
    scale: float
    crop_y: float
    crop_x: float


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, examples: int) -> np.ndarray:
    """A permutation of range(`examples`)."""
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(examples)


def locate(position: int, seed: int, examples: int, examples_per_epoch: int) -> Place:
    """Place of one position in the sequence of the whole training.

    `examples_per_epoch` is `examples` rounded up to whole batches; the surplus repeats the beginning
    of the epoch's order with samples of its own.
    """
    epoch, index = divmod(position, examples_per_epoch)
    repeat, index = divmod(index, examples)
    return Place(seed, epoch, int(epoch_order(seed, epoch, examples)[index]), repeat)


def sample(
    place: Place,
    clip: Clip,
    temporal_context: int,
    swap_branches: Sequence[int],
    scale_range: tuple[float, float],
    flip: bool,
) -> Sample:
    """Samples one example. n is uniform over the frames that exist in the window (Section 2.2).

    i1 and i2 are independent and uniform over `swap_branches`; 0 where that is empty, and then unused.
    The two streams do not touch: a baseline and a TAF run of one seed see the same crops.
    """
    augment = place._random(_AUGMENT)
    offsets, branches = clip.offsets(temporal_context), swap_branches or (0,)
    n, i1, i2 = place._random(_PAIR).random(3)
    return Sample(
        offset_frames=offsets[int(n * len(offsets))],
        key_branch=branches[int(i1 * len(branches))],
        partner_branch=branches[int(i2 * len(branches))],
        flip=bool(augment.random() < 0.5) and flip,
        scale=float(augment.uniform(*scale_range)),
        crop_y=float(augment.random()),
        crop_x=float(augment.random()),
    )


def sample_jitter(place: Place) -> np.ndarray:
    """Change of colour of one example, float32 (3,): brightness shift (share of the range), and factors of
    contrast and saturation."""
    u = place._random(_COLOUR).uniform(-1, 1, 3)
    return np.float32([BRIGHTNESS * u[0], 1 + CONTRAST * u[1], 1 + SATURATION * u[2]])


def sample_blur(place: Place) -> float:
    """Standard deviation of one example's Gaussian blur, as a share of the crop's height; 0 is none."""
    is_blurred, amount = place._random(_BLUR).random(2)
    return float(LEAST_BLUR + (MOST_BLUR - LEAST_BLUR) * amount) if is_blurred < BLURRED else 0.0


def sample_rectangle(place: Place) -> tuple[float, float, float, float]:
    """Where one example shows another: (top, left, bottom, right) as shares of the crop; empty is nowhere.

    Its area is uniform, its aspect log-uniform, and it lies inside the crop.
    """
    is_pasted, area, aspect, y, x = place._random(_PASTE).random(5)
    if is_pasted >= PASTED:
        return 0.0, 0.0, 0.0, 0.0
    area, stretch = LEAST_AREA + (MOST_AREA - LEAST_AREA) * area, MOST_ASPECT ** (aspect - 0.5)
    height, width = min(1.0, area**0.5 * stretch), min(1.0, area**0.5 / stretch)
    top, left = y * (1 - height), x * (1 - width)
    return top, left, top + height, left + width


def sample_side(place: Place) -> bool:
    """Whether the partner of one pair takes a branch, and not its key frame, for `--symmetric=sampled`."""
    return bool(place._random(_SIDE).random() < 0.5)


def sample_stranger(place: Place, clips: Sequence[Clip], temporal_context: int) -> tuple[Clip, int]:
    """A frame of another clip, for `--partner=other_clip`: the clip, and the offset to its key frame."""
    u = place._random(_OTHER).random(2)
    other = int(u[0] * (len(clips) - 1))
    other += other >= place.example
    offsets = clips[other].offsets(temporal_context)
    return clips[other], offsets[int(u[1] * len(offsets))]
