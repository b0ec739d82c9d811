"""The runs of an experiment: which there are, what their flags mean, and what has come of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from taf_keras.config import Config, check_weights_file, with_model_file
from taf_keras.errors import UserError
from taf_keras.experiments.arms import Arm
from taf_keras.experiments.comparison import results_of, uneven_classes
from taf_keras.experiments.same_data import uneven_frames, uneven_training
from taf_keras.storage.run import Run

Parse = Callable[[Sequence[str]], Config]  # arguments of train.py -> the run that they describe, or UserError


@dataclass(frozen=True)
class Job:
    """One training: the name of its arm, the arguments of train.py, and the settings that they mean."""

    arm: str
    arguments: tuple[str, ...]
    config: Config

    @cached_property
    def run(self) -> Run:
        return Run(self.config.runtime.model_dir)

    @property
    def seed(self) -> int:
        return self.config.training.seed

    @property
    def log(self) -> Path:
        """What train.py says."""
        return self.run.folder.with_name(f"{self.run.folder.name}.log")

    @property
    def needs(self) -> dict[str, str]:
        """The runs that must have ended before, which it begins with and learns from.

        Returns: {resolved folder: the flag that names it}.
        """
        needed = {}
        if self.config.taf.method == "pseudo":
            needed["teacher"] = self.config.partner_labels.teacher
        if self.config.measures_rates:
            needed["rates_from"] = self.config.taf.rates_from
        if self.config.training.init_from:
            needed["init_from"] = self.config.training.init_from
        return {os.path.realpath(folder): f"--{flag}={folder}" for flag, folder in needed.items()}

    @property
    def epochs_done(self) -> int:
        """All of a run that has ended; else as history.csv has them, a row for each under the names."""
        if self.run.has_ended:
            return self.config.training.epochs
        history = self.run.history_file
        return max(0, len(history.read_bytes().splitlines()) - 1) if history.is_file() else 0


def plan(
    arms: Sequence[Arm], seeds: Sequence[int], folder: Path, parse: Parse, common: Sequence[str] = ()
) -> list[Job]:
    """All runs, seed by seed, so that paired differences come early.

    The last of two equal flags wins: an arm's over `common`. `{seed}` in a flag is the run's seed.

    Raises: UserError for flags that are not allowed, with the arm's name.
    """
    jobs = []
    for seed in seeds:
        for arm in arms:
            flags = [flag.replace("{seed}", str(seed)) for flag in (*common, *arm.flags)]
            arguments = (*flags, f"--seed={seed}", f"--model_dir={folder / arm.name / f'seed-{seed}'}")
            try:
                config = parse(arguments)
            except UserError as error:
                raise UserError(f"arm {arm.name!r}: {error}") from None
            check_weights_file(config.model.backbone_weights)
            jobs.append(Job(arm.name, arguments, with_model_file(config)))
    return jobs


def parse_seeds(text: str) -> list[int]:
    """'0,1,2' -> [0, 1, 2]. Raises: UserError for what is no seed, or is there twice."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds={text}: write whole numbers of 0 or more, each once, such as 0,1,2")
    return seeds


def collect(jobs: Iterable[Job]) -> pd.DataFrame:
    """The results of the runs that have ended (see `results_of`)."""
    return results_of(_ended(jobs))


def data_warnings(jobs: Sequence[Job], results: pd.DataFrame) -> list[str]:
    """A line for each reason not to compare the runs that have ended as they stand.

    Args:
        results: of `collect`.
    """
    found = (uneven_classes(results), uneven_frames(results), uneven_training(_ended(jobs)))
    return [warning for warning in found if warning]


def _ended(jobs: Iterable[Job]) -> list[tuple[str, Run]]:
    return [(job.arm, job.run) for job in jobs if job.run.has_ended]
