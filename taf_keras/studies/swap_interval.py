"""Fig. 4: how accurate predictions remain when one branch comes from a frame |n| frames away."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix
from taf_keras.storage.run import METRICS
from taf_keras.studies.footage import Footage
from taf_keras.studies.panels import add_legend, add_model_curves, new_panels


def measure(network: BranchedNetwork, footage: Footage, on_progress=None) -> pd.DataFrame:
    """mIoU of the key frames' predictions with one branch swapped, for each branch and interval.

    The truth is the key frame's label. Frames before and after the key frame count alike, in one
    confusion matrix for ±n. At interval 0 the branch is taken from the key frame itself, so that its
    figures are those of the plain evaluation.

    Returns: columns `branch`, `interval_frames`, `frames` (predictions that were counted), `miou` and
        `pixel_accuracy`, both shares in [0, 1].
    """
    classes = len(footage.split.classes)
    matrices = {(b, n): np.zeros((classes, classes)) for b in network.branches for n in footage.intervals}
    frames_counted = Counter()
    for clips in footage.batches(on_progress):
        keys = [clip.key_frame for clip in clips]
        images, labels = footage.images(keys), footage.labels(keys)
        features = network.features(images)
        for interval in footage.intervals:
            for positions, frames in footage.partners(clips, interval):
                own = {name: x.numpy()[positions] for name, x in features.items()}
                other = network.features(footage.images(frames))
                frames_counted[interval] += len(frames)
                for branch in network.branches:
                    predictions = network.predict(own | {branch: other[branch]})
                    matrices[branch, interval] += confusion_matrix(labels[positions], predictions, classes)
    figures = {place: summarise(matrix) for place, matrix in matrices.items()}
    return pd.DataFrame(
        {"branch": branch, "interval_frames": interval, "frames": frames_counted[interval]}
        | {name: values[name] for name in METRICS}
        for (branch, interval), values in figures.items()
    )


def plot(table: pd.DataFrame, footage: Footage):
    """One chart per branch with one curve per model."""
    branches = list(table.branch.drop_duplicates())
    figure, panels = new_panels(
        [f"{branch} swapped" for branch in branches], 3, "swap interval |n| (frames)", "mIoU (%)"
    )
    for axes, branch in zip(panels, branches, strict=True):
        add_model_curves(axes, table[table.branch == branch], table.model.unique(), "miou")
    add_legend(figure, panels[0])
    return figure
