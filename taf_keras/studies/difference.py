"""How far models are from the first one: mIoU and IoU of each class, over seeds and over groups of clips.

Two errors, of two questions. The standard error over seeds: what would other trainings give? The bootstrap
interval over groups of clips: what would other clips give?
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from taf_keras import tables
from taf_keras.evaluation.charts import series_style
from taf_keras.evaluation.confusion import summarise
from taf_keras.experiments.comparison import mean_and_error, with_error
from taf_keras.studies.bootstrap import interval, ious, mean_of, resampled
from taf_keras.studies.footage import Footage
from taf_keras.studies.panels import new_panels

MEAN = "mean"  # the row of the mean over classes: mIoU


def compare(
    results: Sequence[tuple[str, int, np.ndarray]], classes: Sequence[str], groups: Sequence[str]
) -> pd.DataFrame:
    """Differences to the first model, paired by seed.

    For the interval (see `bootstrap`) the same groups are drawn for all models and seeds. Of each draw the
    confusion matrices are summed, and the differences averaged over the paired seeds.

    Args:
        results: (model, seed, confusion matrices (frames, classes, classes), truth in rows) of each run.
        groups: that of each frame.
    Returns: for each model one row of class MEAN (mIoU) and one for each class, with the columns `model`,
        `seeds`, `pairs` (seeds that the first model has too), `class`; `iou` and its standard error over
        seeds `iou_se`; `difference` to the first model, its standard error `difference_se`, the ends of the
        95 % interval over groups `difference_low` and `difference_high`; and `groups`, how many there are.
        Shares in [0, 1]. NaN: the errors of a single seed, the interval of a single group, the differences of
        the first model, and a class that is neither in truth nor in prediction.
    """
    names = sorted(set(groups))
    draws = resampled(len(names)) if len(names) > 1 else None
    members = (np.array(names)[:, None] == np.array(groups)).astype(float)  # (groups, frames)
    whole: dict[str, dict[int, np.ndarray]] = {}
    drawn: dict[str, dict[int, np.ndarray]] = {}
    for model, seed, matrices in results:
        hits = np.diagonal(matrices, axis1=1, axis2=2)
        unions = matrices.sum(axis=1) + matrices.sum(axis=2) - hits
        hits, unions = members @ hits, members @ unions  # (groups, classes)
        whole.setdefault(model, {})[seed] = ious(hits.sum(axis=0), unions.sum(axis=0))
        if draws is not None:
            drawn.setdefault(model, {})[seed] = ious(draws @ hits, draws @ unions)

    rows, first = [], results[0][0]
    for model, own in whole.items():
        pairs = [seed for seed in own if seed in whole[first]]
        compared = pairs if model != first else []
        ends = np.full((2, 1 + len(classes)), math.nan)
        if draws is not None and compared:
            ends = interval(mean_of([drawn[model][seed] - drawn[first][seed] for seed in compared]))
        for i, name in enumerate((MEAN, *classes)):
            row = {"model": model, "seeds": len(own), "pairs": len(pairs), "class": name}
            row["iou"], row["iou_se"] = _over_seeds(figures[i] for figures in own.values())
            changes = (own[seed][i] - whole[first][seed][i] for seed in compared)
            row["difference"], row["difference_se"] = _over_seeds(changes)
            row["difference_low"], row["difference_high"] = ends[:, i]
            rows.append(row | {"groups": len(names)})
    return pd.DataFrame(rows)


def counted_classes(results: Sequence[tuple[str, int, np.ndarray]]) -> pd.DataFrame:
    """How many classes have an IoU in each run: `arm`, `seed`, `classes`, as `uneven_classes` takes them."""
    rows = [
        (model, seed, int(np.isfinite(summarise(matrices.sum(axis=0))["per_class_iou"]).sum()))
        for model, seed, matrices in results
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "classes"])


def describe(table: pd.DataFrame) -> str:
    """The mIoU of the models as lines for the terminal, in percent."""
    means = table[table["class"] == MEAN].drop_duplicates("model")
    first, groups = means.model.iloc[0], means.groups.iloc[0]
    over = f"95 % over {groups} groups" if groups > 1 else "no interval: 1 group"
    lines = [["model", "seeds", "mIoU %", f"to {first}", over]]
    for row in means.itertuples():
        change = with_error(100 * row.difference, 100 * row.difference_se, "+.2f")
        if row.pairs < row.seeds:
            change += f" ({row.pairs} of {row.seeds} seeds)" if row.pairs else "no seed in common"
        ends = (row.difference_low, row.difference_high)
        between = "" if math.isnan(ends[0]) else " to ".join(f"{100 * end:+.2f}" for end in ends)
        iou = with_error(100 * row.iou, 100 * row.iou_se)
        lines.append([row.model, str(row.seeds), iou, change, between])
    return "\n".join(tables.aligned(lines))


def plot(table: pd.DataFrame, footage: Footage):
    """mIoU above, classes below: differences with their intervals; without these, with errors over seeds."""
    first, groups = table.model.iloc[0], table.groups.iloc[0]
    others = [model for model in table.model.unique() if model != first]
    classes = footage.split.classes.names
    errors = f"95 % interval over {groups} groups of clips" if groups > 1 else "standard error over seeds"
    figure, panels = new_panels(
        [f"mIoU, difference to {first}: {errors}", "IoU of each class"],
        columns=1,
        xlabel="",
        ylabel="difference (% points)",
        panel_inches=(max(7.0, 0.6 * len(classes)), 3.0),
        one_scale=False,
    )
    for index, model in enumerate(others):
        rows = table[table.model == model]  # the mean comes first
        shift = 0.6 * ((index + 0.5) / len(others) - 0.5)
        places = np.arange(len(classes)) + shift
        for axes, x, own in ((panels[0], [index], rows[:1]), (panels[1], places, rows[1:])):
            bars = 100 * _bars(own, over_groups=groups > 1)
            style = {"linestyle": "", "capsize": 3, "markersize": 5} | series_style(index)
            axes.errorbar(x, 100 * own.difference, yerr=bars, label=model, **style)
    for axes, ticks in zip(panels, (others, classes), strict=True):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xticks(np.arange(len(ticks)), ticks, rotation=30, ha="right")
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False)
    return figure


def _over_seeds(values) -> tuple[float, float]:
    return mean_and_error(pd.Series(list(values), dtype=float))


def _bars(rows: pd.DataFrame, over_groups: bool) -> np.ndarray:
    """(2, rows): how far the bars go down and up; 0 where there is no error."""
    if over_groups:
        bars = [rows.difference - rows.difference_low, rows.difference_high - rows.difference]
    else:
        bars = [rows.difference_se] * 2
    # The middle of the draws need not hold the difference itself, and Matplotlib wants no bar below 0.
    return np.maximum(np.nan_to_num(np.array(bars, float)), 0)
