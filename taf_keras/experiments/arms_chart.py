"""mIoU over what the arms of an experiment vary: a line with error bars, or a grid with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taf_keras.evaluation.charts import COLOURS, new_chart, save_chart, series_style
from taf_keras.experiments.arms import Arm
from taf_keras.experiments.comparison import with_error

_LABEL = "mIoU, % (mean ± standard error)"


def draw_arms(
    table: pd.DataFrame, arms: Sequence[Arm], axes: Sequence[str], path: Path, tensorboard: Path
) -> Path:
    """Writes the chart of a comparison as PNG and to TensorBoard.

    With one axis its values are evenly spaced, whatever they are, and arms off the axis are horizontal
    bands; with two there is a grid. Without, or with more, each arm is a point.

    Args:
        table: as `comparison.compare` returns it.
        axes: what the values of the arms' points are.
    """
    table = table.set_index("arm")
    arms = [arm for arm in arms if arm.name in table.index]
    if len(axes) == 2 and any(arm.point for arm in arms):
        figure = _grid(table, arms, axes)
    else:
        if len(axes) != 1:
            arms, axes = [Arm(arm.name, arm.flags, (arm.name,)) for arm in arms], ("arm",)
        figure = _line(table, arms, axes[0])
    return save_chart(figure, path, tensorboard)


def _line(table: pd.DataFrame, arms: Sequence[Arm], axis: str):
    varied = [arm for arm in arms if arm.point]
    connected = all(_is_number(arm.point[0]) for arm in varied)  # names have no order
    figure, axes = new_chart("", axis, _LABEL, (max(6.4, 1.1 * len(varied)), 4.2))
    means = table.miou[[arm.name for arm in varied]]
    errors = table.miou_se[[arm.name for arm in varied]]
    axes.errorbar(
        range(len(varied)),
        means,
        errors.fillna(0),
        linestyle="-" if connected else "",
        capsize=4,
        **series_style(0),
    )
    axes.set_xticks(range(len(varied)), [arm.point[0] for arm in varied])
    axes.set_xlim(-0.5, len(varied) - 0.5)
    for index, arm in enumerate((arm for arm in arms if not arm.point), 1):
        mean, error = table.miou[arm.name], table.miou_se[arm.name]
        colour = COLOURS[index % len(COLOURS)]
        axes.axhline(mean, color=colour, linestyle="--", label=arm.name)
        axes.axhspan(mean - np.nan_to_num(error), mean + np.nan_to_num(error), color=colour, alpha=0.15)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False)
    return figure


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _grid(table: pd.DataFrame, arms: Sequence[Arm], names: Sequence[str]):
    columns, rows = (list(dict.fromkeys(arm.point[i] for arm in arms if arm.point)) for i in (0, 1))
    means = np.full((len(rows), len(columns)), np.nan)
    off = "   ".join(
        f"{arm.name} {with_error(table.miou[arm.name], table.miou_se[arm.name])}"
        for arm in arms
        if not arm.point
    )
    size = (max(6.4, 1.5 + 1.2 * len(columns)), max(3.2, 1.6 + 0.6 * len(rows)))
    figure, axes = new_chart(off, names[0], names[1], size)
    for arm in arms:
        if arm.point:
            means[rows.index(arm.point[1]), columns.index(arm.point[0])] = table.miou[arm.name]
    image = axes.imshow(means, aspect="auto", cmap="cividis")
    figure.colorbar(image, label=_LABEL)
    axes.grid(False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    for arm in arms:
        if arm.point:
            mean = table.miou[arm.name]
            axes.text(
                columns.index(arm.point[0]),
                rows.index(arm.point[1]),
                with_error(mean, table.miou_se[arm.name], ".1f"),
                ha="center",
                va="center",
                color="black" if mean > middle else "white",
            )
    return figure
