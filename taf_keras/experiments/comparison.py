"""Arms compared over seeds: mean ± standard error, and differences paired by seed."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd

METRICS = ("miou", "pixel_accuracy")
_FIGURES = ("", "_se", "_difference", "_difference_se", "_difference_ci95")
_COLUMNS = ["arm", "seeds", "pairs", *(metric + figure for metric in METRICS for figure in _FIGURES)]


def compare(results: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Mean, standard error and paired difference to the reference arm of each metric, in percent.

    Differences are taken between runs of the same seed, so that what a seed does to both drops out.
    The standard error is the sample standard deviation over √seeds; the interval is the half-width of
    Student's two-sided 95 % confidence interval of the difference. Both are NaN for a single seed.

    Args:
        results: one row per run: `arm`, `seed` and the METRICS, shares in [0, 1].
    Returns: one row per arm, in the order of `results`: `arm`, `seeds`, `pairs` (seeds that the reference
        has too), and for each metric M its mean `M`, `M_se`, and the difference `M_difference`,
        `M_difference_se`, `M_difference_ci95`.
    """
    rows = []
    base = results[results.arm == reference].set_index("seed")
    for arm in results.arm.drop_duplicates():
        runs = results[results.arm == arm].set_index("seed")
        row = {"arm": arm, "seeds": len(runs), "pairs": len(runs.index.intersection(base.index))}
        for name in METRICS:
            own = mean_and_error(100 * runs[name])
            mean, error = mean_and_error((100 * (runs[name] - base[name])).dropna())
            figures = (*own, mean, error, student_t(row["pairs"] - 1) * error)
            row |= {name + figure: value for figure, value in zip(_FIGURES, figures, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


def mean_and_error(values: pd.Series) -> tuple[float, float]:
    """The mean and its standard error; NaN where there are too few values."""
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else math.nan


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
    """The table of `compare` as Markdown, for terminals and for the README.

    A difference says of how many pairs it is, where the reference lacks some of the arm's seeds.
    """
    lines = [
        f"| arm | seeds | mIoU % | to {reference} | pixel accuracy % | to {reference} |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for _, row in table.iterrows():
        cells = [row.arm, str(row.seeds)]
        for name in METRICS:
            cells.append(with_error(row[name], row[f"{name}_se"]))
            difference = with_error(row[f"{name}_difference"], row[f"{name}_difference_se"], "+.2f")
            if difference and row.pairs < row.seeds:
                difference += f" ({row.pairs} {'pair' if row.pairs == 1 else 'pairs'})"
            cells.append("" if row.arm == reference else difference)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_error(mean: float, error: float, form: str = ".2f") -> str:
    """'40.56 ± 0.35'; the mean alone where there is no error, and nothing where there is no mean."""
    if math.isnan(mean):
        return ""
    return format(mean, form) if math.isnan(error) else f"{mean:{form}} ± {error:.2f}"
