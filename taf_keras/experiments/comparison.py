"""Arms compared over seeds: mean ± standard error, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
import pandas as pd

from taf_keras import tables
from taf_keras.experiments.same_data import evaluated_on
from taf_keras.storage.run import METRICS, Run

_FIGURES = ("", "_se", "_difference", "_difference_se", "_difference_ci95")
_COLUMNS = ["arm", "seeds", "pairs", *(metric + figure for metric in METRICS for figure in _FIGURES)]


def results_of(runs: Iterable[tuple[str, Run]]) -> pd.DataFrame:
    """One row for each (arm's name, run): `arm`, `seed`, METRICS, `classes`, `evaluated_on`.

    METRICS are shares in [0, 1]. `classes` is how many have an IoU: what is neither in the labels nor
    predicted has none. `evaluated_on` is a text, equal where it was on the same frames (see `same_data`).

    Raises: UserError for a run that has not ended, or whose files are damaged.
    """
    runs = list(runs)
    rows = [
        (arm, run.seed, *(run.metrics[name] for name in METRICS), _with_iou(run.metrics["per_class_iou"]))
        for arm, run in runs
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", *METRICS, "classes"])
    return table.assign(evaluated_on=evaluated_on([run for _, run in runs]))


def _with_iou(per_class: Mapping[str, float]) -> int:
    return sum(map(math.isfinite, per_class.values()))


def uneven_classes(results: pd.DataFrame) -> str:
    """A warning where the mIoU of some runs is the mean of more classes than that of others; else empty.

    Args:
        results: as of `results_of`.
    """
    least, most = results.classes.min(), results.classes.max()
    if not least < most:
        return ""
    first = results[results.classes == most].iloc[0]
    return (
        f"warning: mIoU is the mean of {least} to {most} classes. One that no label has counts, with 0, "
        f"where a run predicts it, as in {first.arm}, seed {first.seed}: compare the IoU of the others"
    )


def compare(results: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Mean, standard error and paired difference to the reference arm of each metric, in percent.

    Differences are taken between runs of the same seed, so that what a seed does to both drops out, and only
    where both were evaluated on the same frames. The interval is the half-width of Student's two-sided 95 %
    confidence interval of the difference. Error and interval are NaN for a single seed.

    Args:
        results: as of `results_of`.
    Returns: one row per arm, in the order of `results`: `arm`, `seeds`, `pairs` (seeds that the reference
        has too, on the same frames), and for each metric M its mean `M`, `M_se`, and the difference
        `M_difference`, `M_difference_se`, `M_difference_ci95`.
    """
    rows = []
    base = results[results.arm == reference].set_index("seed")
    for arm in results.arm.drop_duplicates():
        runs = results[results.arm == arm].set_index("seed")
        paired = runs[runs.evaluated_on == base.evaluated_on.reindex(runs.index)]
        row = {"arm": arm, "seeds": len(runs), "pairs": len(paired)}
        for name in METRICS:
            mean, error = mean_and_error(100 * (paired[name] - base[name]))
            interval = student_t(row["pairs"] - 1) * error
            figures = (*mean_and_error(100 * runs[name]), mean, error, interval)
            row |= {name + figure: value for figure, value in zip(_FIGURES, figures, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


def mean_and_error(values: pd.Series) -> tuple[float, float]:
    """The mean and its standard error: the sample standard deviation over √(number of values).

    NaN does not count, and comes back where there are too few values.
    """
    return values.mean(), values.sem()


@cache
def student_t(freedom: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t: |t| stays below it with the probability `confidence`.

    Args:
        freedom: degrees of freedom; NaN comes back for less than 1.
    """
    if freedom < 1:
        return math.nan
    # With t = √freedom · tan(angle), the density of the angle is proportional to cos(angle)^(freedom − 1).
    angle = np.linspace(0, np.pi / 2, 100_001)
    density = np.cos(angle) ** (freedom - 1)
    within = np.cumsum(density[1:] + density[:-1])  # trapezoids
    return math.sqrt(freedom) * math.tan(np.interp(confidence, within / within[-1], angle[1:]))


def markdown(table: pd.DataFrame, reference: str) -> str:
    """The table of `compare` as Markdown, for terminals and pages.

    A difference says of how many pairs it is, where they are fewer than the arm's seeds.
    """
    rows = []
    for _, row in table.iterrows():
        cells = [row.arm, row.seeds]
        for name in METRICS:
            difference = with_error(row[f"{name}_difference"], row[f"{name}_difference_se"], "+.2f")
            if difference and row.pairs < row.seeds:
                difference += f" ({row.pairs} {'pair' if row.pairs == 1 else 'pairs'})"
            cells += [with_error(row[name], row[f"{name}_se"]), "" if row.arm == reference else difference]
        rows.append(cells)
    to = f"to {reference}"
    return tables.markdown(["arm", "seeds", "mIoU %", to, "pixel accuracy %", to], rows)


def with_error(mean: float, error: float, form: str = ".2f") -> str:
    """'40.56 ± 0.35'; the mean alone where there is no error, and nothing where there is no mean."""
    if math.isnan(mean):
        return ""
    return format(mean, form) if math.isnan(error) else f"{mean:{form}} ± {error:.2f}"
