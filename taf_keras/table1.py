"""Table 1 of the paper, repeated: trains its rows by their recipes, and prints them beside the paper's.

    python -m taf_keras.table1 --dataset=camvid --data_dir=CAMVID --output_dir=runs/table1

Rows have the numbers of Table 2: 1 to 6 are CamVid's, 7 to 14 Cityscapes'. Flags of train.py behind `--` win
over the recipes. Runs lie in output_dir/RECIPE/seed-N; the same command again repeats none that has ended and
goes on with those that were interrupted. The table is written to table1.csv.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.command_line import RECIPES, TRAIN_SHOWN
from taf_keras.datasets.load import class_table
from taf_keras.errors import UserError
from taf_keras.experiments.arms import Arm, check_flags
from taf_keras.experiments.comparison import METRICS, compare, with_error
from taf_keras.experiments.execute import interruptible, train_all
from taf_keras.experiments.gpu_hours import SUSTAINED_TFLOPS, TRAINING_CLIPS, gpu_hours
from taf_keras.experiments.runs import TRAIN, Job, collect, parse_seeds, plan, split_arguments

_HEADER = re.compile(
    r"# Table 2, row (\d+): (.+)\.\n"
    r"# The paper reports ([\d.]+) % mIoU and ([\d.]+) % pixel accuracy"
)


@dataclass(frozen=True)
class Row:
    """A row of Tables 1 and 2: its number, its recipe's name, what it is, the paper's results in percent."""

    number: int
    recipe: str
    title: str
    miou: float
    pixel_accuracy: float

    @property
    def baseline(self) -> str:
        """The recipe without TAF."""
        return self.recipe.removesuffix("_taf").removesuffix("_baseline") + "_baseline"


def read_rows(dataset: str) -> list[Row]:
    """The rows of `camvid` or `cityscapes`, as the recipes' headers have them, in the order of the tables."""
    rows = []
    for path in RECIPES.glob(f"{dataset}*.flags"):
        number, title, *paper = _HEADER.match(path.read_text(encoding="utf-8")).groups()
        rows.append(Row(int(number), path.stem, title, *map(float, paper)))
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


def compare_with_paper(rows: Sequence[Row], results: pd.DataFrame) -> pd.DataFrame:
    """Our means ± standard errors over seeds, and gains paired by seed, beside the paper's; in percent.

    Args:
        results: of `collect`; rows without a run that has ended stay empty.
    Returns: one row for each of `rows`. The gain of a row with TAF is to its baseline.
    """
    paper = {row.recipe: row for row in read_rows("camvid") + read_rows("cityscapes")}
    table = []
    for row in rows:
        pair = results[results.arm.isin([row.recipe, row.baseline])]
        ours = compare(pair, row.baseline).set_index("arm").reindex([row.recipe]).iloc[0]
        values = {"row": row.number, "run": row.title, "seeds": int((results.arm == row.recipe).sum())}
        for name in METRICS:
            values |= {
                name: ours[name],
                f"{name}_se": ours[f"{name}_se"],
                f"{name}_paper": getattr(row, name),
            }
        if row.recipe != row.baseline:
            values |= {"gain": ours.miou_difference, "gain_se": ours.miou_difference_se}
            values["gain_paper"] = round(row.miou - paper[row.baseline].miou, 1)
        table.append(values)
    return pd.DataFrame(table)


def markdown(table: pd.DataFrame) -> str:
    """The table of `compare_with_paper` for the terminal."""
    columns = {"miou": "mIoU %", "pixel_accuracy": "pixel accuracy %", "gain": "gain in mIoU"}
    names = ["row", "run", "seeds", *(n for label in columns.values() for n in (label, "paper"))]
    lines = [names, ["---"] * len(names)]
    for _, row in table.iterrows():
        cells = [str(row.row), row.run, str(row.seeds)]
        for name in columns:
            paper = row.get(f"{name}_paper", float("nan"))
            cells.append(with_error(row.get(name, paper), row.get(f"{name}_se", paper)))
            cells.append("" if pd.isna(paper) else f"{paper:.1f}")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plan_rows(rows: Sequence[Row], options: argparse.Namespace, extra: Sequence[str]) -> list[Job]:
    """One run for each row and seed; `extra` are flags of train.py, which win over the recipe."""
    check_flags("behind --", extra)
    arms = [
        Arm(
            row.recipe, (f"--flagfile={RECIPES / row.recipe}.flags", f"--data_dir={options.data_dir}", *extra)
        )
        for row in rows
    ]
    return plan(arms, parse_seeds(options.seeds), options.output_dir)


def describe_cost(runs: Sequence[Job], sustained_tflops: float) -> str:
    """The command of each run and an estimate of its GPU hours, with what it assumes.

    Raises: UserError for a speed that is none.
    """
    if not 0 < sustained_tflops < math.inf:
        raise UserError(f"--sustained_tflops={sustained_tflops:g}: must be positive and finite")
    lines, total = [], 0.0
    for run in runs:
        hours = gpu_hours(run.config, len(class_table(run.config.data)), sustained_tflops)
        total += hours
        lines += [f"{hours:7.1f} GPU hours  {shlex.join([*TRAIN_SHOWN, *run.arguments])}"]
    clips = ", ".join(f"{count} {dataset}" for dataset, count in TRAINING_CLIPS.items())
    return "\n".join(
        [
            *lines,
            f"{total:7.1f} GPU hours in all, estimated: steps × images per step × 3 × FLOPs of a forward",
            f"        pass, the head's twice with TAF, at {sustained_tflops:.3g} sustained TFLOP/s",
            f"        (--sustained_tflops), for all training clips ({clips})",
        ]
    )


def main(arguments: list[str] | None = None, train: Sequence[str] = TRAIN) -> None:
    own, extra = split_arguments(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m taf_keras.table1",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", required=True, choices=TRAINING_CLIPS)
    parser.add_argument("--data_dir", required=True, help="folder of the data set")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--rows", help="comma list of row numbers (all of the data set)")
    parser.add_argument("--seeds", default="0", help="comma list (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (%(default)s)")
    parser.add_argument(
        "--dry_run", action="store_true", help="print commands and estimated hours; train nothing"
    )
    parser.add_argument(
        "--sustained_tflops",
        type=float,
        default=SUSTAINED_TFLOPS,
        help="of one GPU, for the estimate (%(default).3g, assumed: 30 %% of the peak of a GTX 1080 Ti)",
    )
    options = parser.parse_args(own)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with interruptible():
            rows = choose(read_rows(options.dataset), options.rows)
            runs = plan_rows(rows, options, extra)
            if options.dry_run:
                print(describe_cost(runs, options.sustained_tflops))
                return
            failed = train_all(runs, options.output_dir, options.jobs, train)
    except UserError as error:
        sys.exit(f"error: {error}")
    table = compare_with_paper(rows, collect(runs))
    table.to_csv(options.output_dir / "table1.csv", index=False)
    print(markdown(table))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
