"""Charts beside each other in the style of `charts.py`, and means over seeds with their errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taf_keras.evaluation.charts import COLOURS, new_figure, series_style
from taf_keras.experiments.comparison import mean_and_error

_X = "interval_frames"
_LINES = ("-", "--", ":")


def new_panels(
    titles: Sequence[str],
    columns: int,
    xlabel: str,
    ylabel: str,
    panel_inches=(3.4, 2.9),
    one_scale: bool = True,
):
    """A figure with one chart per title, row by row: (figure, [axes, …]) of matplotlib."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    size = (max(6.4, columns * panel_inches[0]), rows * panel_inches[1] + 0.6)
    figure, grid = new_figure(rows, columns, figsize=size, sharey=one_scale, squeeze=False)
    panels = list(grid.flat)
    for axes, title in zip(panels, titles, strict=False):
        axes.set(title=title, xlabel=xlabel)
    for axes in panels[len(titles) :]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel(ylabel)
    return figure, panels[: len(titles)]


def add_curve(axes, table: pd.DataFrame, y: str, index: int, label: str, scale: float = 1) -> None:
    """Plots y over the interval, the mean over all rows of one; error bars are standard errors, if any.

    The intervals become the axis's marks.

    Args:
        index: number of the curve; every one has another colour, marker or line.
    """
    curve = over_seeds(table, _X, y)
    axes.errorbar(
        curve[_X],
        scale * curve["mean"],
        yerr=scale * curve["error"] if curve["error"].notna().any() else None,
        linestyle=_LINES[index // len(COLOURS) % len(_LINES)],
        markersize=5,
        capsize=3,
        label=label,
        **series_style(index),
    )
    axes.set_xticks(curve[_X])


def add_model_curves(axes, table: pd.DataFrame, models: Sequence[str], y: str) -> None:
    """One curve for each of the models: y in percent over the interval."""
    for index, model in enumerate(models):
        add_curve(axes, table[table.model == model], y, index, model, scale=100)


def add_legend(figure, axes) -> None:
    """The legend of `axes`' models for the whole figure, below it, since their names may be long."""
    handles, labels = axes.get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": min(3, len(labels))}
    figure.legend(handles, labels, title="model", frameon=False, **place)


def over_seeds(table: pd.DataFrame, key: str, value: str) -> pd.DataFrame:
    """`key`, and over the rows that agree in it the `mean` of `value` and its standard `error`."""
    rows = [(own, *mean_and_error(rows[value])) for own, rows in table.groupby(key, sort=False)]
    return pd.DataFrame(rows, columns=[key, "mean", "error"])
