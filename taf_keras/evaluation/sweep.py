"""Trains several arms over several seeds and compares them: mean ± standard error, paired by seed.

    python -m taf_keras.evaluation.sweep --output_dir=runs/gain --seeds=0,1,2,3,4 --jobs=2 \\
        --arm "baseline: --method=baseline --batch_size=8" --arm "taf: --method=taf" -- --epochs=100

An arm is NAME: FLAGS of train.py; flags behind `--` go to every arm. The first arm is the reference.
Runs lie in output_dir/NAME/seed-N. Finished runs are not repeated, interrupted ones go on, and a run
that fails stops no other. The table is written to results.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from taf_keras.errors import UserError
from taf_keras.progress import Progress

TRAIN = Path(__file__).resolve().parents[2] / "train.py"
METRICS = ("miou", "pixel_accuracy")


@dataclass(frozen=True)
class Run:
    """One training: an arm's name and flags, its seed and its folder."""

    arm: str
    seed: int
    folder: Path
    flags: tuple[str, ...]

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"


def plan(arms: dict[str, Sequence[str]], seeds: Sequence[int], folder: Path, common=()) -> list[Run]:
    """All runs, seed by seed, so that paired differences come early."""
    return [
        Run(name, seed, folder / name / f"seed-{seed}", (*common, *flags))
        for seed in seeds
        for name, flags in arms.items()
    ]


def execute(runs: Sequence[Run], jobs: int) -> list[Run]:
    """Trains what has not ended yet, `jobs` at a time, each with its share of the cores.

    Returns: the runs that failed; the end of each one's log says why.
    """
    waiting = [run for run in runs if not run.metrics.is_file()]
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    failed = []
    with ThreadPoolExecutor(jobs) as pool, Progress("runs") as progress:
        for done, run in enumerate(pool.map(lambda run: _train(run, environment), waiting), 1):
            if not run.metrics.is_file():
                failed.append(run)
            progress(done, len(waiting), f"{run.arm} seed {run.seed}")
    return failed


def _train(run: Run, environment) -> Run:
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(TRAIN), *run.flags, f"--seed={run.seed}", f"--model_dir={run.folder}"]
    with _log(run).open("w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)
    return run


def _log(run: Run) -> Path:
    return run.folder.with_name(f"{run.folder.name}.log")


def collect(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each run that has ended: arm, seed and METRICS, shares in [0, 1]."""
    rows = []
    for run in runs:
        if run.metrics.is_file():
            metrics = json.loads(run.metrics.read_text())
            rows.append({"arm": run.arm, "seed": run.seed} | {name: metrics[name] for name in METRICS})
    return pd.DataFrame(rows, columns=["arm", "seed", *METRICS])


def compare(results: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Mean, standard error and paired difference to the reference arm, in percent.

    Differences are taken between runs of the same seed, so that what a seed does to both drops out.
    The standard error is the sample standard deviation over √seeds, NaN for a single seed.
    """
    rows = []
    base = results[results.arm == reference].set_index("seed")
    for arm in results.arm.drop_duplicates():
        runs = results[results.arm == arm].set_index("seed")
        row = {"arm": arm, "seeds": len(runs)}
        for name in METRICS:
            row[name], row[f"{name}_se"] = _mean_and_error(100 * runs[name])
            difference = (100 * (runs[name] - base[name])).dropna()
            row[f"{name}_difference"], row[f"{name}_difference_se"] = _mean_and_error(difference)
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_and_error(values: pd.Series) -> tuple[float, float]:
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan


def markdown(table: pd.DataFrame, reference: str) -> str:
    """The table as Markdown, for terminals and for the README."""
    lines = [
        f"| arm | seeds | mIoU % | to {reference} | pixel accuracy % | to {reference} |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for _, row in table.iterrows():
        cells = [row.arm, str(row.seeds)]
        for name in METRICS:
            cells.append(_cell(row[name], row[f"{name}_se"], ".2f"))
            difference = _cell(row[f"{name}_difference"], row[f"{name}_difference_se"], "+.2f")
            cells.append("" if row.arm == reference else difference)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(mean: float, error: float, form: str) -> str:
    return format(mean, form) if np.isnan(error) else f"{mean:{form}} ± {error:.2f}"


def parse_arms(texts: Sequence[str]) -> dict[str, list[str]]:
    """'NAME: FLAGS' -> {NAME: [FLAG, …]}. Raises: UserError for a repeated or malformed arm."""
    arms = {}
    for text in texts:
        name, colon, flags = text.partition(":")
        name = name.strip()
        if not colon or not name or "/" in name or name in arms:
            raise UserError(f"--arm={text!r}: write NAME: FLAGS, each NAME once and without a slash")
        arms[name] = shlex.split(flags)
    return arms


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m taf_keras.evaluation.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output_dir", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--arm", action="append", required=True, help="NAME: FLAGS; repeat for each arm")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma list (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (%(default)s)")
    options = parser.parse_args(arguments[:split])
    try:
        arms = parse_arms(options.arm)
        seeds = [int(seed) for seed in options.seeds.split(",")]
        runs = plan(arms, seeds, options.output_dir, arguments[split + 1 :])
        failed = execute(runs, options.jobs)
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")
    results = collect(runs)
    reference = next(iter(arms))
    if len(results):
        table = compare(results, reference)
        results.to_csv(options.output_dir / "runs.csv", index=False)
        table.to_csv(options.output_dir / "results.csv", index=False)
        print(markdown(table, reference))
    for run in failed:
        last = _log(run).read_text().strip().splitlines()[-1:] or ["no output"]
        print(f"failed  {run.arm} seed {run.seed}: {last[0]} ({_log(run)})")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
