"""Fig. 6: what a branch contributes, seen by taking away what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
from keras import ops

from taf_keras.evaluation.branches import BranchedNetwork, mean_over_places
from taf_keras.evaluation.charts import COLOURS
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix
from taf_keras.studies.footage import Footage
from taf_keras.studies.panels import new_panels, over_seeds

MEAN = "mean"  # the row, and the bars, of the mean over classes
REPLACEMENTS = ("unmodified", "zeros", "sample_mean", "split_mean")


def measure(network: BranchedNetwork, footage: Footage, on_progress=None) -> pd.DataFrame:
    """Per-class accuracy with the feature Φ_i of one branch replaced, for each branch.

    The paper replaces "either with its sample mean or zeros", which leaves open what a sample is:
        sample_mean: the mean over height and width of each frame's own feature, one vector per frame,
            so that the branch still says what is in a frame, but not where. It changes nothing for a
            branch that is one vector already (`image_pool`).
        split_mean: the mean over the height, width and key frames of the split, one vector for all.
        zeros: zeros. FCN8s' branches are its score maps, as in training: zeros leave out their bias too.

    Returns: columns `branch`, `replacement`, `class`, `accuracy` (share of the class's pixels that are
        found, in [0, 1], NaN for a class that does not occur) and `iou`. Rows of class `mean` hold the
        mean over the classes that have one; of `iou` this is the mIoU.
    """
    classes = len(footage.split.classes)
    means = _split_means(network, footage)
    matrices = {(b, r): np.zeros((classes, classes)) for b in network.branches for r in REPLACEMENTS}
    for clips in footage.batches(on_progress):
        keys = [clip.key_frame for clip in clips]
        images, labels = footage.images(keys), footage.labels(keys)
        features = network.features(images)

        def count(changed, labels=labels):
            return confusion_matrix(labels, network.predict(changed), classes)

        unmodified = count(features)
        for branch in network.branches:
            own = features[branch]
            matrices[branch, "unmodified"] += unmodified
            for name, values in (
                ("zeros", ops.zeros_like(own)),
                ("sample_mean", mean_over_places(own)),
                ("split_mean", ops.cast(means[branch], own.dtype)),
            ):
                matrices[branch, name] += count(features | {branch: ops.broadcast_to(values, own.shape)})
    return pd.DataFrame(
        {"branch": branch, "replacement": replacement} | row
        for (branch, replacement), matrix in matrices.items()
        for row in _class_rows(matrix, footage.split.classes.names)
    )


def plot(table: pd.DataFrame, footage: Footage):
    """One chart per branch and model with bars for each class; error bars are standard errors over seeds."""
    charts = {
        f"{model}: {branch}": rows
        for branch in table.branch.unique()
        for model, rows in table[table.branch == branch].groupby("model", sort=False)
    }
    figure, panels = new_panels(
        list(charts), table.model.nunique(), "", "per-class accuracy (%)", panel_inches=(6.2, 2.4)
    )
    names = [*footage.split.classes.names, MEAN]
    width = 0.8 / len(REPLACEMENTS)
    for axes, own in zip(panels, charts.values(), strict=True):
        for i, replacement in enumerate(REPLACEMENTS):
            bars = over_seeds(own[own.replacement == replacement], "class", "accuracy").set_index("class")
            axes.bar(
                np.arange(len(names)) + (i - (len(REPLACEMENTS) - 1) / 2) * width,
                100 * bars["mean"][names],
                width,
                yerr=100 * bars["error"][names],
                color=COLOURS[i],
                ecolor="grey",
                label=replacement.replace("_", " "),
            )
        axes.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _split_means(network: BranchedNetwork, footage: Footage) -> dict[str, np.ndarray]:
    """{branch: float64 (channels,)}; all frames have one size, so that their means count alike."""
    sums = dict.fromkeys(network.branches, 0.0)
    for clips in footage.batches():
        features = network.features(footage.images([clip.key_frame for clip in clips]))
        for branch in network.branches:
            own = features[branch].numpy().astype(np.float64)
            sums[branch] += own.reshape(len(own), -1, own.shape[-1]).mean(axis=1).sum(axis=0)
    return {branch: total / len(footage.split.clips) for branch, total in sums.items()}


def _class_rows(matrix: np.ndarray, names) -> list[dict]:
    values = summarise(matrix)
    accuracy, iou = values["per_class_accuracy"], values["per_class_iou"]
    rows = [{"class": name, "accuracy": a, "iou": i} for name, a, i in zip(names, accuracy, iou, strict=True)]
    return [*rows, {"class": MEAN, "accuracy": np.nanmean(accuracy), "iou": values["miou"]}]
