"""The tables of a report: what the arms reach, over all and for each class, and how they differ."""

from __future__ import annotations

import math

import pandas as pd

from taf_keras.experiments.comparison import compare, mean_and_error, student_t, with_error
from taf_keras.report.curves import arm_colour
from taf_keras.report.gather import Experiment, ReportArm
from taf_keras.report.html import Markup, dots, element, escaped, folded, interval, table

LABELS = {"miou": "mIoU, %", "pixel_accuracy": "pixel accuracy, %"}


def results(experiment: Experiment) -> list[Markup]:
    """Means and differences to the reference, as numbers and as small plots."""
    comparison = compare(experiment.results, experiment.reference)
    parts = [element("h3", "Results")]
    for metric, label in LABELS.items():
        every = 100 * experiment.results[metric]
        difference, half_width = (comparison[f"{metric}_difference{part}"] for part in ("", "_ci95"))
        reach = (difference.abs() + half_width.fillna(0)).max()
        rows = []
        for index, row in comparison.iterrows():
            own = every[experiment.results.arm == row.arm]
            rows.append(
                [
                    named(experiment, index),
                    with_error(row[metric], row[f"{metric}_se"]),
                    *(
                        ("", "")
                        if row.arm == experiment.reference
                        else (
                            _difference(difference[index], half_width[index]),
                            interval(difference[index], half_width[index], reach),
                        )
                    ),
                    dots(own, row[metric], every.min(), every.max()),
                    row.seeds,
                ]
            )
        head = ["arm", label, f"to {experiment.reference}, points", "", "runs", "seeds"]
        parts.append(table(head, rows, "results"))
    note = (
        "Mean ± standard error over seeds; a dot is a run, the bar their mean. Differences are paired by "
        "seed, with Student's 95 % confidence interval; coloured where it does not contain 0. "
        + _weights(experiment)
    )
    return [*parts, element("p", note, class_="soft")]


def _weights(experiment: Experiment) -> str:
    """Which weights the figures are of."""
    best = [arm.name for arm in experiment.arms if arm.config.training.export_weights == "best"]
    if not best:
        return "All figures are of the last weights."
    others = "" if len(best) == len(experiment.arms) else "; of the last ones for all other arms"
    return f"Figures are of the weights with the best validation for {', '.join(best)}{others}."


def _difference(mean: float, half_width: float) -> Markup:
    """'+2.06 (+0.39 … +3.73)', coloured where the interval does not contain 0."""
    if math.isnan(mean):
        return Markup("")
    if math.isnan(half_width):
        return escaped(_signed(mean))
    bounds = f" ({_signed(mean - half_width)} … {_signed(mean + half_width)})"
    number = element("span", _signed(mean), class_=_verdict(mean, half_width))
    return element("span", number, element("small", bounds, class_="bounds"))


def _verdict(mean: float, half_width: float) -> str:
    """The style of a difference: `up`, `down`, or `open` where its interval contains 0, or is unknown."""
    if not abs(mean) > half_width:
        return "open"
    return "up" if mean > 0 else "down"


def _signed(value: float, form: str = "+.2f") -> str:
    return format(value, form).replace("-", "−")


def named(experiment: Experiment, index: int) -> Markup:
    """The name of the arm number `index`, behind a dot in its colour."""
    swatch = element("span", class_="swatch", style=f"background:{arm_colour(index)}")
    return element("span", swatch, experiment.arms[index].name, class_="arm")


def classes(experiment: Experiment) -> list[Markup]:
    """IoU and accuracy of each class."""
    parts = [element("h3", "Classes")]
    for metric, label in (("per_class_iou", "IoU"), ("per_class_accuracy", "Accuracy")):
        base = next(arm for arm in experiment.arms if arm.name == experiment.reference)
        rows = []
        for name in experiment.classes:
            reference = _by_seed(base, metric, name)
            rows.append(
                [name, *(_class_cell(_by_seed(arm, metric, name), reference) for arm in experiment.arms)]
            )
        head = ["class", *(named(experiment, i) for i in range(len(experiment.arms)))]
        note = element(
            "p",
            f"{label} per class, %: mean over seeds, and its paired difference to {base.name}.",
            class_="soft",
        )
        content = [note, table(head, rows)]
        parts += content if metric == "per_class_iou" else [folded("Accuracy per class", *content)]
    return parts


def _by_seed(arm: ReportArm, metric: str, name: str) -> dict[int, float]:
    return {run.seed: 100 * run.metrics[metric].get(name, math.nan) for run in arm.runs}


def _class_cell(own: dict[int, float], reference: dict[int, float]) -> Markup:
    mean, _ = mean_and_error(pd.Series(own).dropna())
    if math.isnan(mean):
        return Markup("")
    if own == reference:
        return escaped(f"{mean:.1f}")
    paired = pd.Series([own[seed] - reference[seed] for seed in own if seed in reference]).dropna()
    difference, error = mean_and_error(paired)
    if math.isnan(difference):
        return escaped(f"{mean:.1f}")
    kind = _verdict(difference, student_t(len(paired) - 1) * error)
    return element("span", f"{mean:.1f} ", element("small", _signed(difference, "+.1f"), class_=kind))
