"""The finished runs of a report: found, grouped into arms, and arms into experiments."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.config import SPLITS, Config
from taf_keras.errors import UserError
from taf_keras.experiments.comparison import METRICS
from taf_keras.experiments.settings import frames_seen, of_arm
from taf_keras.storage.run import Run

PER_CLASS = ("per_class_iou", "per_class_accuracy")


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended. `metrics` is its metrics.json, with NaN for what has no value."""

    folder: Run
    config: Config
    metrics: dict

    @property
    def seed(self) -> int:
        return self.config.training.seed


@dataclass(frozen=True)
class ReportArm:
    """Runs that differ in the seed alone, by seed."""

    name: str
    runs: tuple[FinishedRun, ...]

    @property
    def config(self) -> Config:
        """What its runs have in common (see `settings.of_arm`)."""
        return of_arm(self.runs[0].config)


@dataclass(frozen=True)
class Experiment:
    """Arms that were evaluated on the same frames. `results` has their runs as `comparison.compare` wants."""

    title: str
    classes: tuple[str, ...]
    arms: tuple[ReportArm, ...]
    reference: str

    @property
    def results(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"arm": arm.name, "seed": run.seed} | {name: run.metrics[name] for name in METRICS}
            for arm in self.arms
            for run in arm.runs
        )


def gather(folders: Iterable[Path]) -> tuple[list[FinishedRun], list[str]]:
    """The runs in the folders and below them, and a line for each that is left out.

    Raises: UserError for a folder that does not exist, or where there is no finished run at all.
    """
    runs, left_out, seen = [], [], set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: is not a folder")
        for path in sorted(folder.rglob("config.json")):
            run = Run(path.parent)
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                runs.append(read_run(run))
            except UserError as error:
                left_out.append(str(error))
    if not runs:
        raise UserError(
            f"{', '.join(map(str, folders))}: no run here has ended (config.json and metrics.json)"
        )
    return runs, left_out


def read_run(run: Run) -> FinishedRun:
    """Raises: UserError for a run that has not ended, or files that are not a run's."""
    config = run.config
    if not run.has_ended:
        raise UserError(f"{run.folder}: has not ended")
    try:
        metrics = run.metrics()
        metrics |= {name: _number(metrics[name]) for name in METRICS}
        for name in PER_CLASS:
            metrics[name] = {label: _number(value) for label, value in metrics[name].items()}
        metrics["frames"] = int(metrics["frames"])
        if metrics["split"] not in SPLITS:
            raise ValueError(f"split {metrics['split']}")
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{run.metrics_file}: damaged: {error!r}") from None
    return FinishedRun(run, config, metrics)


def _number(value) -> float:
    return math.nan if value is None else float(value)


def group(runs: Sequence[FinishedRun], reference: str | None = None) -> tuple[list[Experiment], list[str]]:
    """The experiments of the runs, and a line for each run that is there twice.

    Args:
        reference: the arm to compare with; None is the first with `--method=baseline`, else the first.
    Raises: UserError where no experiment has that arm.
    """
    experiments, left_out = {}, []
    for run in runs:
        metrics = run.metrics
        split = metrics["split"]
        frames = tuple(frames_seen(run.config.data, split).items())
        key = (split, metrics["frames"], tuple(metrics["per_class_iou"]), frames)
        arms = experiments.setdefault(key, {})
        own = arms.setdefault(of_arm(run.config), {})
        if run.seed in own:
            twin = own[run.seed].folder.folder
            left_out.append(f"{run.folder.folder}: has the settings and the seed of {twin}")
        own.setdefault(run.seed, run)
    built = []
    differing = _differing(dict(frames) for *_, frames in experiments)
    for (split, count, classes, frames), arms in experiments.items():
        several = [tuple(run for _, run in sorted(own.items())) for own in arms.values()]
        named = list(map(ReportArm, _names(several), several))
        chosen = _reference(named, reference)
        named.sort(key=lambda arm: arm.name != chosen)  # first the one with which the others are compared
        dataset = dict(frames)["dataset"]
        own = (f"{name}={value}" for name, value in frames if (dataset, name) in differing)
        title = ", ".join([dataset, split, f"{count} frames", *own])
        built.append(Experiment(title, classes, tuple(named), chosen))
    if reference is not None and all(experiment.reference != reference for experiment in built):
        known = ", ".join(arm.name for experiment in built for arm in experiment.arms)
        raise UserError(f"--reference={reference}: allowed are {known}")
    return built, left_out


def _differing(several: Iterable[dict]) -> set[tuple[str, str]]:
    """(data set, setting) of what differs between experiments on the same data set."""
    values = {}
    for own in several:
        for name, value in own.items():
            values.setdefault((own["dataset"], name), set()).add(value)
    return {place for place, found in values.items() if len(found) > 1}


def _names(arms: Sequence[Sequence[FinishedRun]]) -> list[str]:
    """The name of each arm's folder; its path where that is not enough, or its first run's."""
    folders = []
    for runs in arms:
        path = runs[0].folder.folder
        folders.append(path.parent if re.fullmatch(r"seed-\d+", path.name) else path)
    names = [folder.name for folder in folders]
    for longer in (folders, [runs[0].folder.folder for runs in arms]):
        names = [
            str(path) if names.count(name) > 1 else name for name, path in zip(names, longer, strict=True)
        ]
    return names


def _reference(arms: Sequence[ReportArm], wanted: str | None) -> str:
    names = [arm.name for arm in arms]
    if wanted in names:
        return wanted
    return next((arm.name for arm in arms if arm.config.taf.method == "baseline"), names[0])
