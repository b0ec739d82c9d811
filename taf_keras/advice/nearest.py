"""The map of experiments, and its cells that are nearest to a user's clips."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

MAP = Path(__file__).with_name("map.csv")
COLUMNS = (
    *("cell", "data", "motion_px_per_frame", "image_width", "motion_share_per_frame", "light_change_5"),
    *("labels", "label_share", "places", "seeds", "baseline", "taf", "taf_se", "all", "all_se", "source"),
)
FAR = 1.5  # octaves; up to it, motion and light are within a factor of two or nearly so
_LEAST_SHARE, _LEAST_LIGHT = 5e-4, 0.5  # of the width, of 255: below, it is noise


def read_map() -> pd.DataFrame:
    """The cells: differences of mIoU to the baseline in points, standard errors of the paired differences.

    motion_share_per_frame is mean |flow| per frame over the width, light_change_5 mean |ΔRGB| over about 5
    frames, 0 to 255; label_share the labelled frames of all; `all`: labels on every frame.
    """
    return pd.read_csv(MAP)


def nearest_cells(cells: pd.DataFrame, motion_share: float, light: float, places: str | None) -> pd.DataFrame:
    """The cells with a column `distance`, nearest first; those of other places are left out.

    The distance is in octaves, log2 of the ratios of motion and of light. Of cells with one distance, such as
    an experiment with and without augmentation, the one with the best baseline comes first.

    Args:
        motion_share: mean |flow| per frame as a share of the width.
        light: mean |ΔRGB| over 5 frames; NaN compares motion alone.
        places: "same", "new", or None for cells of either kind.
    """
    cells = cells if places is None else cells[cells.places == places]
    motion = _octaves(cells.motion_share_per_frame, motion_share, _LEAST_SHARE)
    change = 0.0 if math.isnan(light) else _octaves(cells.light_change_5, light, _LEAST_LIGHT)
    cells = cells.assign(distance=np.hypot(motion, change).round(6))
    return cells.sort_values(["distance", "baseline"], ascending=[True, False], ignore_index=True)


def _octaves(values: pd.Series, own: float, least: float) -> pd.Series:
    return np.log2(values.clip(lower=least) / max(own, least)).abs()
