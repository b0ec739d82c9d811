"""The paper's Tables 1 and 2 as recipes of train.py, and what comes of them beside the paper's figures."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras import tables
from taf_keras.datasets.load import class_table
from taf_keras.errors import UserError
from taf_keras.experiments.arms import Arm
from taf_keras.experiments.comparison import compare, with_error
from taf_keras.experiments.gpu_hours import TRAINING_CLIPS, gpu_hours
from taf_keras.experiments.plan import Job
from taf_keras.storage.run import METRICS

_HEADER = re.compile(
    r"# Table 2, row (\d+): (.+)\.\n"
    r"# The paper reports ([\d.]+) % mIoU and ([\d.]+) % pixel accuracy"
)


@dataclass(frozen=True)
class Row:
    """A row of Tables 1 and 2: its number, its recipe, what it is, the paper's results in percent."""

    number: int
    file: Path
    title: str
    miou: float
    pixel_accuracy: float

    @property
    def recipe(self) -> str:
        return self.file.stem

    @property
    def baseline(self) -> str:
        """The recipe without TAF."""
        return self.recipe.removesuffix("_taf").removesuffix("_baseline") + "_baseline"

    def arm(self, *flags: str) -> Arm:
        return Arm(self.recipe, (f"--flagfile={self.file}", *flags))


def read_rows(recipes: Path, dataset: str) -> list[Row]:
    """The rows of `camvid` or `cityscapes`, as the recipes' headers have them, in the order of the tables."""
    rows = []
    for path in recipes.glob(f"{dataset}*.flags"):
        number, title, *paper = _HEADER.match(path.read_text(encoding="utf-8")).groups()
        rows.append(Row(int(number), path, title, *map(float, paper)))
    return sorted(rows, key=lambda row: row.number)


def choose(rows: Sequence[Row], numbers: str | None) -> list[Row]:
    """The rows with the numbers of a comma list; all for None. Raises: UserError for other numbers."""
    if numbers is None:
        return list(rows)
    chosen = [row for row in rows if str(row.number) in numbers.split(",")]
    if len(chosen) < len(numbers.split(",")):
        allowed = ", ".join(str(row.number) for row in rows)
        raise UserError(f"--rows={numbers}: allowed are {allowed}, each once, with commas between them")
    return chosen


def compare_with_paper(chosen: Sequence[Row], rows: Sequence[Row], results: pd.DataFrame) -> pd.DataFrame:
    """Our means ± standard errors over seeds, and gains paired by seed, beside the paper's; in percent.

    Args:
        rows: all of the data set.
        results: of `plan.collect`; rows without a run that has ended stay empty.
    Returns: one row for each that is chosen. The gain of a row with TAF is to its baseline.
    """
    paper = {row.recipe: row for row in rows}
    table = []
    for row in chosen:
        pair = results[results.arm.isin([row.recipe, row.baseline])]
        ours = compare(pair, row.baseline).set_index("arm").reindex([row.recipe]).iloc[0]
        values = {"row": row.number, "run": row.title, "seeds": int((results.arm == row.recipe).sum())}
        for name in METRICS:
            values |= {name: ours[name], f"{name}_se": ours[f"{name}_se"]}
            values[f"{name}_paper"] = getattr(row, name)
        if row.recipe != row.baseline:
            values |= {"gain": ours.miou_difference, "gain_se": ours.miou_difference_se}
            values["gain_paper"] = round(row.miou - paper[row.baseline].miou, 1)
        table.append(values)
    return pd.DataFrame(table)


def markdown(table: pd.DataFrame) -> str:
    """The table of `compare_with_paper` for the terminal."""
    head = ["row", "run", "seeds", "mIoU %", "paper", "pixel accuracy %", "paper", "gain in mIoU", "paper"]
    rows = []
    for _, row in table.iterrows():
        cells = [row.row, row.run, row.seeds]
        for name in (*METRICS, "gain"):
            paper = row.get(f"{name}_paper", math.nan)
            cells.append(with_error(row.get(name, paper), row.get(f"{name}_se", paper)))
            cells.append("" if pd.isna(paper) else f"{paper:.1f}")
        rows.append(cells)
    return tables.markdown(head, rows)


def describe_cost(jobs: Sequence[Job], sustained_tflops: float, train: Sequence[str]) -> str:
    """The command of each run and an estimate of its GPU hours, with what it assumes.

    Args:
        train: the command to which a run's arguments are added.
    Raises: UserError for a speed that is none.
    """
    if not 0 < sustained_tflops < math.inf:
        raise UserError(f"--sustained_tflops={sustained_tflops:g}: must be positive and finite")
    lines, total = [], 0.0
    for job in jobs:
        hours = gpu_hours(job.config, len(class_table(job.config.data)), sustained_tflops)
        total += hours
        lines.append(f"{hours:7.1f} GPU hours  {shlex.join([*train, *job.arguments])}")
    clips = ", ".join(f"{count} {dataset}" for dataset, count in TRAINING_CLIPS.items())
    lines += [
        f"{total:7.1f} GPU hours in all, estimated: steps × images per step × 3 × FLOPs of a forward",
        f"        pass, the head's twice with TAF, at {sustained_tflops:.3g} sustained TFLOP/s",
        f"        (--sustained_tflops), for all training clips ({clips})",
    ]
    return "\n".join(lines)
