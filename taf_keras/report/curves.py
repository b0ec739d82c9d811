"""Learning curves of arms: the mean over seeds of each figure in history.csv, with its spread."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from taf_keras.errors import first_line
from taf_keras.evaluation.charts import COLOURS, new_chart
from taf_keras.storage.run import Run

# Grey, and colours without black, are read on a light page and on a dark one.
_COLOURS = tuple(colour for colour in COLOURS if colour != "#000000")
_GREY = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_STYLE = {"svg.hashsalt": "report", "font.size": 9, "axes.titlesize": 10} | dict.fromkeys(_GREY, "#707b87")

# Column of history.csv, or what it begins with: (title, unit on the axis, factor, logarithmic). Losses fall
# by orders of magnitude.
_CURVES = {
    "loss": ("Training loss", "Eq. 6", 1, True),
    "cross_entropy": ("Cross entropy of key frames", "nats per pixel", 1, True),
    "taf": ("TAF term, before λ", "R+ of both frames", 1, True),
    "partner_cross_entropy": ("Cross entropy of partners", "nats per pixel", 1, True),
    "val_miou": ("mIoU on val", "%", 100, False),
    "val_pixel_accuracy": ("Pixel accuracy on val", "%", 100, False),
    "delta/": ("δ of {}", "mean difference of probabilities", 1, True),
    "over_slack/": ("Over the slack: {}", "% of examples", 100, False),
}


def read_histories(runs: Iterable[Run]) -> tuple[list[pd.DataFrame], list[str]]:
    """history.csv of each run that has one, indexed by epoch (from 0); and a line for each damaged one."""
    histories, damaged = [], []
    for run in runs:
        try:
            history = pd.read_csv(run.history_file).apply(pd.to_numeric, errors="coerce")
            history = history.replace([np.inf, -np.inf], np.nan)
            histories.append(history.drop_duplicates("epoch").dropna(subset="epoch").set_index("epoch"))
        except FileNotFoundError:
            continue  # it was not copied along
        except (OSError, ValueError, KeyError) as error:
            reason = "no column epoch" if isinstance(error, KeyError) else first_line(error)
            damaged.append(f"{run.history_file}: damaged: {reason}: this run is in no learning curve")
    return histories, damaged


def plot_curves(arms: Sequence[Sequence[pd.DataFrame]]) -> dict[str, tuple[str, bytes]]:
    """One chart for each column of the histories that says something: {column: (title, SVG)}.

    Args:
        arms: the histories of each arm's runs; arms have the colours of `arm_colour` by their place.
    """
    columns = dict.fromkeys(_CURVES)  # these first
    columns |= dict.fromkeys(name for histories in arms for history in histories for name in history)
    plotted = {}
    for column in columns:
        kind, slash, branch = column.partition("/")
        if kind + slash in _CURVES:
            title, *axis = _CURVES[kind + slash]
            title = title.format(branch)
            curves = [_mean_and_spread(histories, column) for histories in arms]
            if any(mean.abs().max() > 0 for mean, _ in curves):  # not a term that no arm has
                plotted[column] = title, _plot(curves, title, *axis)
    return plotted


def arm_colour(index: int) -> str:
    """The colour of the arm number `index`, here and in the page."""
    return _COLOURS[index % len(_COLOURS)]


def _mean_and_spread(histories: Iterable[pd.DataFrame], column: str) -> tuple[pd.Series, pd.Series]:
    """The mean over runs in each epoch, and the standard deviation (0 for one run), both smoothed.

    A moving mean over a fiftieth of the epochs keeps single batches from hiding the course.
    """
    columns = [history[column].dropna() for history in histories if column in history]
    runs = pd.concat(columns, axis=1) if columns else pd.DataFrame(dtype=float)
    window = max(1, len(runs) // 50)
    mean, spread = runs.mean(axis=1), runs.std(axis=1, ddof=1).fillna(0)
    return tuple(series.rolling(window, center=True, min_periods=1).mean() for series in (mean, spread))


def _plot(curves, title: str, unit: str, factor: float, logarithmic: bool) -> bytes:
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    with matplotlib.rc_context(_STYLE):
        figure, axes = new_chart(title, "epoch", unit, (4.2, 2.9))
        for index, (mean, spread) in enumerate(curves):
            if not mean.abs().max() > 0:
                continue
            mean, spread = factor * mean, factor * spread
            colour, marker = arm_colour(index), "o" if len(mean) < 20 else ""
            axes.plot(mean.index + 1, mean, color=colour, marker=marker, markersize=3, linewidth=1.4)
            # A logarithmic axis has no place for a lower end at or below 0, and shares end at 0 and 100 %.
            low = np.maximum(mean - spread, mean / 10 if logarithmic else 0)
            high = mean + spread if logarithmic else np.minimum(mean + spread, factor)
            axes.fill_between(mean.index + 1, low, high, color=colour, alpha=0.15, linewidth=0)
        if logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    return picture.getvalue()
