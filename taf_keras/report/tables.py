"""The figures of an experiment, over all and for each class, and how they differ: what the tables show."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from taf_keras.experiments.comparison import compare, mean_and_error, student_t, with_error
from taf_keras.experiments.grouping import FinishedArm
from taf_keras.report.gather import Experiment

LABELS = {"miou": "mIoU, %", "pixel_accuracy": "pixel accuracy, %"}


def results(experiment: Experiment, metric: str) -> list[dict]:
    """A row for each arm: means and differences to the reference as text, and their places in plots."""
    comparison = compare(experiment.results, experiment.reference)
    every = 100 * experiment.results[metric]
    differences, half_widths = (comparison[f"{metric}_difference{part}"] for part in ("", "_ci95"))
    reach = (differences.abs() + half_widths.fillna(0)).max()
    rows = []
    for index, row in comparison.iterrows():
        mean, difference, half_width = row[metric], differences[index], half_widths[index]
        bounds = difference - half_width, difference + half_width
        rows.append(
            {
                "mean": with_error(mean, row[f"{metric}_se"]),
                "difference": _signed(difference),
                "bounds": "" if math.isnan(half_width) else " … ".join(map(_signed, bounds)),
                "verdict": _verdict(difference, half_width),
                "seeds": row.seeds,
                "runs_at": _places(every[experiment.results.arm == row.arm], every.min(), every.max()),
                "mean_at": _places([mean], every.min(), every.max()),
                "difference_at": _places([difference], -reach, reach),
                "bounds_at": _places(bounds, -reach, reach),
            }
        )
    return rows


def classes(experiment: Experiment, metric: str) -> list[tuple[str, list[dict]]]:
    """(class, for each arm its mean over seeds and its paired difference to the reference, as text)."""
    return [
        (name, [_class_figures(arm, experiment.arms[0], metric, name) for arm in experiment.arms])
        for name in experiment.classes
    ]


def _class_figures(arm: FinishedArm, reference: FinishedArm, metric: str, name: str) -> dict[str, str]:
    own, base = (
        pd.Series({run.seed: 100 * run.metrics[metric].get(name, math.nan) for run in runs})
        for runs in (arm.runs, reference.runs)
    )
    paired = (own - base).dropna()
    difference, error = (math.nan, math.nan) if arm is reference else mean_and_error(paired)
    return {
        "mean": with_error(own.mean(), math.nan, ".1f"),
        "difference": _signed(difference, "+.1f"),
        "verdict": _verdict(difference, student_t(len(paired) - 1) * error),
    }


def weights(experiment: Experiment) -> str:
    """Which weights the figures are of."""
    best = [arm.name for arm in experiment.arms if arm.config.training.export_weights == "best"]
    if not best:
        return "All figures are of the last weights."
    others = "" if len(best) == len(experiment.arms) else "; of the last ones for all other arms"
    return f"Figures are of the weights with the best validation for {', '.join(best)}{others}."


def _verdict(difference: float, half_width: float) -> str:
    """The style of a difference: `up`, `down`, or `open` where its interval contains 0, or is unknown."""
    if not abs(difference) > half_width:
        return "open"
    return "up" if difference > 0 else "down"


def _signed(value: float, form: str = "+.2f") -> str:
    return "" if math.isnan(value) else format(value, form).replace("-", "−")


def _places(values: Iterable[float], low: float, high: float) -> list[float]:
    """Where the values lie between low (0) and high (1); NaN lies nowhere."""
    width = high - low
    return [
        min(1.0, max(0.0, (value - low) / width)) if width > 0 else 0.5
        for value in values
        if not math.isnan(value)
    ]
