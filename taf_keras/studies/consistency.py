"""Temporal consistency: whether the predictions of two frames agree on what both of them show."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from taf_keras.clips.clip import VOID
from taf_keras.config import PartnerLabelConfig
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix
from taf_keras.pipeline.propagate import propagate_label
from taf_keras.studies.footage import Footage, FramePredictions
from taf_keras.studies.panels import add_legend, add_model_curves, new_panels

_CHARTS = {
    "agreement": "moved by optical flow:\nshare that agrees (%)",
    "miou": "moved by optical flow:\nmIoU of the two (%)",
    "masked": "left out by the flow (%)",
    "agreement_where_truth_stays": "where the truth stays:\nshare that agrees (%)",
}


def measure(network: BranchedNetwork, footage: Footage, on_progress=None) -> pd.DataFrame:
    """How far the predictions at t and t ± n agree, t being the key frame. It needs no labels.

    The prediction at t ± n is moved to t along the optical flow; pixels at which the flow there and
    back does not return to within a pixel (occlusions, and where the flow fails) do not count. A
    network that always says the same agrees with itself: read it beside the mIoU.

    Where both frames are labelled there is a second figure without flow: how many of the pixels
    whose true class is the same at t and t ± n also have the same predicted class.

    Returns: columns `interval_frames` (without 0), `frames` (pairs counted), `agreement` (share of
        the pixels that count with equal classes), `miou` (between the two predictions), `masked`
        (share of all pixels that do not count), `agreement_where_truth_stays` and `truth_stays` (share
        of the pixels labelled in both). Shares in [0, 1]; NaN where nothing counts.
    """
    classes = len(footage.split.classes)
    predictions = FramePredictions(network.predict_images, footage)
    tolerance_px = PartnerLabelConfig.flow_tolerance_px
    matrices = {n: np.zeros((classes, classes)) for n in footage.intervals[1:]}
    counts = {n: Counter() for n in matrices}
    for clips in footage.batches(on_progress):
        for clip in clips:
            intervals, frames = zip(*footage.around(clip), strict=True)
            images, maps = footage.images(frames), predictions(frames)
            for i in range(1, len(frames)):  # 0 is the key frame
                moved = propagate_label(images[i], images[0], maps[i], tolerance_px)
                matrices[intervals[i]] += confusion_matrix(moved, maps[0], classes)
                counts[intervals[i]].update(frames=1, pixels=moved.size)
                if frames[i].label is not None:
                    truth = footage.labels([frames[0], frames[i]])
                    counts[intervals[i]].update(_where_truth_stays(*truth, maps[0] == maps[i]))
    return pd.DataFrame(_row(n, matrix, counts[n]) for n, matrix in matrices.items())


def plot(table: pd.DataFrame, footage: Footage):
    """One chart per figure with one curve per model."""
    columns = [name for name in _CHARTS if table[name].notna().any()]
    figure, panels = new_panels(
        [_CHARTS[name] for name in columns], 2, "interval |n| (frames)", "", one_scale=False
    )
    for axes, column in zip(panels, columns, strict=True):
        add_model_curves(axes, table, table.model.unique(), column)
    add_legend(figure, panels[0])
    return figure


def _row(interval: int, matrix: np.ndarray, count: Counter) -> dict:
    compared = matrix.sum()
    return {
        "interval_frames": interval,
        "frames": count["frames"],
        "agreement": _share(np.trace(matrix), compared),
        "miou": summarise(matrix)["miou"] if compared else np.nan,
        "masked": 1 - _share(compared, count["pixels"]),
        "agreement_where_truth_stays": _share(count["stays_and_agrees"], count["stays"]),
        "truth_stays": _share(count["stays"], count["labelled"]),
    }


def _where_truth_stays(first: np.ndarray, second: np.ndarray, agrees: np.ndarray) -> dict[str, int]:
    labelled = (first != VOID) & (second != VOID)
    stays = labelled & (first == second)
    masks = {"labelled": labelled, "stays": stays, "stays_and_agrees": stays & agrees}
    return {name: int(mask.sum()) for name, mask in masks.items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
