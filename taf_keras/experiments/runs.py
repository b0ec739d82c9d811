"""The runs of an experiment: which there are, what their flags mean, and what has come of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.command_line import FLAGS, TRAIN, environment
from taf_keras.config import Config, check_weights_file, with_model_file
from taf_keras.errors import UserError
from taf_keras.experiments.arms import Arm
from taf_keras.experiments.comparison import METRICS
from taf_keras.storage.run import Run

# The library knows no flags. This is train.py, but that it prints its settings in place of training.
_PRINT_CONFIG = f"""
import json
from {FLAGS} import CONFIG_MODULES, config_from_flags, script
script.run(lambda: print(json.dumps(config_from_flags().to_dict())), *CONFIG_MODULES)
"""


@dataclass(frozen=True)
class Job:
    """One training: an arm with a seed in a folder. `config` has the arm's settings."""

    arm: str
    seed: int
    flags: tuple[str, ...]
    config: Config
    folder: Run

    @property
    def arguments(self) -> list[str]:
        """Of train.py; the last of two equal flags wins. `{seed}` in a flag is the run's seed."""
        flags = [flag.replace("{seed}", str(self.seed)) for flag in self.flags]
        return [*flags, f"--seed={self.seed}", f"--model_dir={self.folder.folder}"]

    @property
    def needs(self) -> set[str]:
        """Resolved folders of the runs that must have ended before: the teacher's, that of measured rates."""
        needed = []
        if self.config.taf.method == "pseudo":
            needed.append(self.config.partner_labels.teacher)
        if self.config.measures_rates:
            needed.append(self.config.taf.rates_from)
        return {os.path.realpath(path.replace("{seed}", str(self.seed))) for path in needed}

    @property
    def log(self) -> Path:
        return self.folder.folder.with_name(f"{self.folder.folder.name}.log")

    @property
    def ended(self) -> bool:
        return self.folder.has_ended

    @property
    def epochs_done(self) -> int:
        """All of a run that has ended; else as history.csv has them, a row for each under the names."""
        if self.ended:
            return self.config.training.epochs
        history = self.folder.history_file
        return max(0, len(history.read_bytes().splitlines()) - 1) if history.is_file() else 0


def plan(arms: Sequence[Arm], seeds: Sequence[int], folder: Path, common: Sequence[str] = ()) -> list[Job]:
    """All runs, seed by seed, so that paired differences come early. An arm's flags win over `common`.

    Raises: UserError for flags that are not allowed, with the arm's name.
    """
    flags = [(*common, *arm.flags) for arm in arms]
    configs = read_configs(flags)
    for arm, config in zip(arms, configs, strict=True):
        if isinstance(config, UserError):
            raise UserError(f"arm {arm.name!r}: {config}")
        check_weights_file(config.model.backbone_weights)
        with_model_file(config)
    return [
        Job(arm.name, seed, own, config, Run(folder / arm.name / f"seed-{seed}"))
        for seed in seeds
        for arm, own, config in zip(arms, flags, configs, strict=True)
    ]


def read_configs(flags: Sequence[Sequence[str]]) -> list[Config | UserError]:
    """What each list of train.py's flags means: settings, or the line that refuses it."""

    def read(arguments: Sequence[str]) -> Config | UserError:
        result = _output([sys.executable, "-c", _PRINT_CONFIG, *arguments])
        if result.returncode:
            return UserError(last_line(result.stderr).removeprefix("error: "))
        return Config.from_dict(json.loads(result.stdout))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, flags))


def refuse_other_settings(runs: Sequence[Job], train: Sequence[str] = TRAIN) -> None:
    """UserError where a run has ended with settings other than those asked for.

    train.py itself tells: within a second it says that a run has ended, or that its folder is another's.
    """
    ended = [run for run in runs if run.ended]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda run: _output([*train, *run.arguments]), ended))
    refused = [last_line(result.stderr) for result in results if result.returncode]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise UserError(refused[0].removeprefix("error: ") + more)


def split_arguments(arguments: list[str] | None) -> tuple[list[str], list[str]]:
    """A command's own arguments, and the flags of train.py behind `--`; None is the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:split], arguments[split + 1 :]


def parse_seeds(text: str) -> list[int]:
    """'0,1,2' -> [0, 1, 2]. Raises: UserError for what is no seed, or is there twice."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds={text}: write whole numbers of 0 or more, each once, such as 0,1,2")
    return seeds


def collect(runs: Sequence[Job]) -> pd.DataFrame:
    """One row for each run that has ended: arm, seed and METRICS, shares in [0, 1].

    Raises: UserError for a damaged metrics.json.
    """
    rows = []
    for run in runs:
        if run.ended:
            metrics = run.folder.metrics()
            for name in METRICS:
                if not isinstance(metrics.get(name, ""), float | int | None):
                    raise UserError(f"{run.folder.metrics_file}: damaged: {name} is no number")
            rows.append({"arm": run.arm, "seed": run.seed} | {name: metrics[name] for name in METRICS})
    return pd.DataFrame(rows, columns=["arm", "seed", *METRICS])


def _output(command: Sequence[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)


def last_line(text: str) -> str:
    """The last line of a program's output: in which this project's scripts say what was wrong."""
    return (text.strip().splitlines() or ["no message"])[-1]
