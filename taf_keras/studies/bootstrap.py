"""What chance in the choice of clips does to a figure: groups of clips are drawn with replacement.

Frames of one video, or videos of one place, are much alike: so whole groups are drawn, as many as there are.
Of what comes of the draws, the middle 95 % are the interval (the percentile interval: Efron and Tibshirani
1993, An Introduction to the Bootstrap, chapter 13). Of few groups it is somewhat too narrow.
"""

from __future__ import annotations

import math

import numpy as np

RESAMPLES, _SEED = 10_000, 0
_PERCENT = (2.5, 97.5)


def resampled(groups: int) -> np.ndarray:
    """How often each of the groups is in each draw, (RESAMPLES, groups): always the same."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(groups, np.full(groups, 1 / groups), RESAMPLES).astype(float)


def interval(drawn: np.ndarray) -> np.ndarray:
    """(RESAMPLES, columns) -> (2, columns): between these lie 95 % of each column; NaN does not count."""
    known = [column[~np.isnan(column)] for column in drawn.T]
    return np.transpose([np.percentile(c, _PERCENT) if len(c) else (math.nan, math.nan) for c in known])


def ious(hits: np.ndarray, unions: np.ndarray) -> np.ndarray:
    """mIoU, then the IoU of each class, as `summarise` has them: (…, classes) pixels -> (…, 1 + classes)."""
    present = unions > 0
    iou = hits / np.where(present, unions, 1)
    mean = iou.sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
    return np.concatenate([mean[..., None], np.where(present, iou, np.nan)], axis=-1)


def mean_of(several: list[np.ndarray]) -> np.ndarray:
    """The mean, place by place, of those that are no NaN."""
    known = np.sum([~np.isnan(one) for one in several], axis=0)
    return np.where(known, np.nansum(several, axis=0) / np.maximum(known, 1), np.nan)
