"""mIoU over what the arms of a sweep vary: a line with error bars, or a grid with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taf_keras.evaluation.charts import COLOURS, new_chart, save_chart, series_style
from taf_keras.experiments.arms import Arm
from taf_keras.experiments.comparison import with_error
from taf_keras.experiments.presets import Sweep
from taf_keras.run_flags import as_number

_LABEL = "mIoU, % (mean ± standard error)"


def plot_arms(table: pd.DataFrame, sweep: Sweep, path: Path, tensorboard: Path) -> Path:
    """Writes the chart of a comparison as PNG and to TensorBoard.

    With one axis its values are evenly spaced, whatever they are, and arms off the axis are horizontal
    bands; with two there is a grid. Without, or with more, each arm is a point.

    Args:
        table: as `comparison.compare` returns it.
    """
    table = table.set_index("arm")
    arms = [arm for arm in sweep.arms if arm.name in table.index]
    on = [arm for arm in arms if arm.point]
    off = [arm for arm in arms if not arm.point]
    if len(sweep.axes) == 2 and on:
        figure = _grid(table, on, off, sweep.axes)
    elif len(sweep.axes) == 1:
        figure = _line(table, on, off, sweep.axes[0])
    else:
        figure = _line(table, [Arm(arm.name, arm.flags, (arm.name,)) for arm in arms], [], "arm")
    return save_chart(figure, path, tensorboard)


def _line(table: pd.DataFrame, on: Sequence[Arm], off: Sequence[Arm], axis: str):
    values = [arm.point[0] for arm in on]
    rows = table.loc[[arm.name for arm in on]]
    figure, axes = new_chart("", axis, _LABEL, (max(6.4, 1.1 * len(on)), 4.2))
    axes.errorbar(
        range(len(on)),
        rows.miou,
        rows.miou_se.fillna(0),
        linestyle="" if any(math.isnan(as_number(value)) for value in values) else "-",  # names have no order
        capsize=4,
        **series_style(0),
    )
    axes.set_xticks(range(len(on)), values)
    axes.set_xlim(-0.5, len(on) - 0.5)
    for index, arm in enumerate(off, 1):
        mean, error = table.miou[arm.name], np.nan_to_num(table.miou_se[arm.name])
        colour = COLOURS[index % len(COLOURS)]
        axes.axhline(mean, color=colour, linestyle="--", label=arm.name)
        axes.axhspan(mean - error, mean + error, color=colour, alpha=0.15)
    if off:
        axes.legend(frameon=False)
    return figure


def _grid(table: pd.DataFrame, on: Sequence[Arm], off: Sequence[Arm], names: Sequence[str]):
    columns, rows = (list(dict.fromkeys(arm.point[i] for arm in on)) for i in (0, 1))
    title = "   ".join(f"{arm.name} {with_error(*table.loc[arm.name, ['miou', 'miou_se']])}" for arm in off)
    size = (max(6.4, 1.5 + 1.2 * len(columns)), max(3.2, 1.6 + 0.6 * len(rows)))
    figure, axes = new_chart(title, *names, size)
    cells = {arm.name: (rows.index(arm.point[1]), columns.index(arm.point[0])) for arm in on}
    means = np.full((len(rows), len(columns)), np.nan)
    for name, cell in cells.items():
        means[cell] = table.miou[name]
    image = axes.imshow(means, aspect="auto", cmap="cividis")
    figure.colorbar(image, label=_LABEL)
    axes.grid(False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    for name, (row, column) in cells.items():
        text = with_error(means[row, column], table.miou_se[name], ".1f")
        colour = "black" if means[row, column] > middle else "white"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    return figure
