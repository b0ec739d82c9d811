"""Fig. 7: how fast each class changes, seen in the accuracy of a prediction that comes too late."""

from __future__ import annotations

import numpy as np
import pandas as pd

from taf_keras.clips.clip import VOID
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix
from taf_keras.studies.footage import Footage, FramePredictions
from taf_keras.studies.panels import add_curve, new_panels

_LEAST_IOU = 0.05  # at n = 0, for a class to be plotted: the ratio of two smaller figures is noise


def measure(network: BranchedNetwork, footage: Footage, on_progress=None) -> pd.DataFrame:
    """Per-class IoU of the prediction at t ± n against the truth at t, the key frame.

    Frames before and after the key frame count alike. `relative_iou` divides by the IoU of the
    prediction at t over the same clips, each as often as it has frames at ±n.

    Returns: columns `interval_frames`, `class`, `iou`, `relative_iou`, and `truth_iou`: the same of the
        truth at t ± n, over the frames that have one (NaN where none has). Shares; NaN for a class in
        neither, and `relative_iou` for one with an IoU of 0 at t.
    """
    classes = len(footage.split.classes)
    predictions = FramePredictions(network.predict_images, footage)
    late, now, truth = (
        {n: np.zeros((classes, classes)) for n in footage.intervals} for _ in ("late", "now", "truth")
    )
    for clips in footage.batches(on_progress):
        for clip in clips:
            intervals, frames = zip(*footage.around(clip), strict=True)
            (label,), maps = footage.labels([clip.key_frame]), predictions(frames)
            at_once = confusion_matrix(label, maps[0], classes)
            for interval, frame, ids in zip(intervals, frames, maps, strict=True):
                late[interval] += confusion_matrix(label, ids, classes)
                now[interval] += at_once
                if frame.label is not None:
                    (other,) = footage.labels([frame])
                    known = np.where(other == VOID, VOID, label)
                    truth[interval] += confusion_matrix(known, other, classes)
    tables = []
    for interval in footage.intervals:
        iou, at_once, true = (summarise(m[interval])["per_class_iou"] for m in (late, now, truth))
        relative = iou / np.where(at_once > 0, at_once, np.nan)
        columns = {"iou": iou, "relative_iou": relative, "truth_iou": true}
        names = footage.split.classes.names
        tables.append(pd.DataFrame({"interval_frames": interval, "class": names} | columns))
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame, footage: Footage):
    """One chart per model, and one of the truth where it is known, with one curve per class.

    Classes that a model hardly finds at n = 0 (IoU below 5 %) are not in its chart; the table has them.
    """
    charts = {
        f"prediction at t ± n\n{model}": (rows[rows["class"].isin(_found(rows))], "relative_iou")
        for model, rows in table.groupby("model", sort=False)
    }
    if table[table.interval_frames > 0].truth_iou.notna().any():
        charts["truth at t ± n\n"] = (table.drop_duplicates(["interval_frames", "class"]), "truth_iou")
    figure, panels = new_panels(
        list(charts), 3, "interval |n| (frames)", "IoU with the truth at t / its value at n = 0", (4.2, 3.6)
    )
    handles = {}
    for axes, (rows, column) in zip(panels, charts.values(), strict=True):
        for i, name in enumerate(footage.split.classes.names):
            if name in set(rows["class"]):
                add_curve(axes, rows[rows["class"] == name], column, i, name)
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    names = [name for name in footage.split.classes.names if name in handles]
    figure.legend([handles[name] for name in names], names, loc="outside right center", frameon=False)
    return figure


def _found(rows: pd.DataFrame) -> list[str]:
    """The classes with enough IoU at n = 0, the mean over seeds."""
    at_once = rows[rows.interval_frames == 0].groupby("class").iou.mean()
    return list(at_once[at_once >= _LEAST_IOU].index)
