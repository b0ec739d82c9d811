"""Fig. 5: pictures of predictions with one branch taken from frames at growing intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.charts import new_figure
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix
from taf_keras.evaluation.pictures import class_legend, colourise
from taf_keras.studies.footage import Footage

INTERVALS = (0, 3, 7, 14)  # frames
_COLUMNS = ["clip", "branch", "interval_frames", "pixel_accuracy", "prediction"]
_CELL_INCHES = 2.2
_LEGEND_COLUMNS = 10  # at most; the rows of the legend are filled evenly


def measure(network: BranchedNetwork, footage: Footage, on_progress=None) -> pd.DataFrame:
    """Predictions of the key frames with the first of `network.branches` from |n| frames away.

    The frame after the key frame is taken, or where a clip has none, the one before it.

    Returns: columns `clip`, `branch`, `interval_frames`, `pixel_accuracy` (a share of the key frame's
        labelled pixels, in [0, 1]), and `prediction`: train ids, uint8 (height, width).
    """
    branch, classes = network.branches[0], len(footage.split.classes)
    rows = []
    for clips in footage.batches(on_progress):
        for clip in clips:
            image = footage.images([clip.key_frame])
            (label,) = footage.labels([clip.key_frame])
            features = network.features(image)
            # The frame after the key frame comes first, and a dict keeps what it gets last.
            for interval, frame in sorted(dict(reversed(footage.around(clip))).items()):
                other = network.features(footage.images([frame]))
                (prediction,) = network.predict(features | {branch: other[branch]})
                accuracy = summarise(confusion_matrix(label, prediction, classes))["pixel_accuracy"]
                rows.append((clip.name, branch, interval, accuracy, prediction.astype(np.uint8)))
    return pd.DataFrame(rows, columns=_COLUMNS)


def plot(table: pd.DataFrame, footage: Footage):
    """For each clip one row per model: image, truth, and the predictions at each interval.

    Of models with several seeds the first is shown.
    """
    classes = footage.split.classes
    table = table.drop_duplicates(["model", "clip", "interval_frames"])
    models = list(table.model.drop_duplicates())
    maps = table.set_index(["clip", "model", "interval_frames"])
    clips = footage.split.clips
    height, width = footage.images([clips[0].key_frame]).shape[1:3]
    rows, columns = len(clips) * len(models), 2 + len(footage.intervals)
    cell = (_CELL_INCHES, _CELL_INCHES * height / width)
    size = (columns * cell[0] + 1, rows * (cell[1] + 0.1) + 1.2)
    figure, grid = new_figure(rows, columns, figsize=size, squeeze=False)

    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    titles = ["image", "ground truth", *(f"|n| = {interval}" for interval in footage.intervals)]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    for clip, own in zip(clips, grid.reshape(len(clips), len(models), columns), strict=True):
        own[0, 0].imshow(footage.images([clip.key_frame])[0])
        own[0, 1].imshow(colourise(footage.labels([clip.key_frame])[0], classes))
        for model, (_, _, *cells) in zip(models, own, strict=True):
            for axes, interval in zip(cells, footage.intervals, strict=True):
                if (clip.name, model, interval) in maps.index:
                    row = maps.loc[(clip.name, model, interval)]
                    axes.imshow(colourise(row.prediction, classes))
                    axes.set_xlabel(f"{row.pixel_accuracy:.1%}", fontsize=8, labelpad=2)
            cells[0].set_ylabel(model.replace("/", "/\n"), fontsize=8)
    figure.legend(
        handles=class_legend(classes),
        loc="outside lower center",
        ncols=-(-len(classes) // -(-len(classes) // _LEGEND_COLUMNS)),
        frameon=False,
    )
    branches = ", ".join(table.branch.drop_duplicates())
    figure.suptitle(f"{branches} from |n| frames away; below: pixel accuracy")
    return figure
