"""The finished runs of a report: found, grouped into arms, and arms into experiments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.errors import UserError
from taf_keras.experiments.comparison import results_of
from taf_keras.experiments.grouping import FinishedArm, by_arm, named_runs
from taf_keras.run_flags import frames_seen
from taf_keras.storage.run import Run


@dataclass(frozen=True)
class Experiment:
    """Arms that were evaluated on the same frames, first the one with which the others are compared."""

    title: str
    classes: tuple[str, ...]
    arms: tuple[FinishedArm, ...]
    reference: str

    @property
    def results(self) -> pd.DataFrame:
        """Of its runs, as `comparison.compare` wants them."""
        return results_of(named_runs(self.arms))


def gather(folders: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """The runs in the folders and below them, and a line for each that is left out.

    Raises: UserError for a folder that does not exist, or where there is no finished run at all.
    """
    runs, left_out, seen = [], [], set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: is not a folder")
        for path in sorted(folder.rglob("config.json")):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            run = Run(path.parent)
            try:
                _ = run.config, run.metrics  # both are sound
                runs.append(run)
            except UserError as error:
                left_out.append(str(error))
    if not runs:
        raise UserError(
            f"{', '.join(map(str, folders))}: no run here has ended (config.json and metrics.json)"
        )
    return runs, left_out


def group(runs: Sequence[Run], reference: str | None = None) -> tuple[list[Experiment], list[str]]:
    """The experiments of the runs, and a line for each that is left out: another has its settings and seed.

    Args:
        reference: the arm to compare with; None is the first with `--method=baseline`, else the first.
    Raises: UserError where no experiment has that arm.
    """
    on_frames: dict[tuple, list[Run]] = {}
    for run in runs:
        split = run.metrics["split"]
        frames = tuple(frames_seen(run.config.data, split).items())
        key = (split, run.metrics["frames"], tuple(run.metrics["per_class_iou"]), frames)
        on_frames.setdefault(key, []).append(run)
    titled = _differing(dict(frames) for *_, frames in on_frames)
    experiments, left_out = [], []
    for (split, count, classes, frames), own in on_frames.items():
        arms, twins = _arms(own)
        left_out += twins
        chosen = _reference(arms, reference)
        arms.sort(key=lambda arm: arm.name != chosen)
        dataset = dict(frames)["dataset"]
        differing = (f"{name}={value}" for name, value in frames if (dataset, name) in titled)
        title = ", ".join([dataset, split, f"{count} frames", *differing])
        experiments.append(Experiment(title, classes, tuple(arms), chosen))
    if reference is not None and all(experiment.reference != reference for experiment in experiments):
        known = ", ".join(arm.name for experiment in experiments for arm in experiment.arms)
        raise UserError(f"--reference={reference}: allowed are {known}")
    return experiments, left_out


def _differing(several: Iterable[dict]) -> set[tuple[str, str]]:
    """(data set, setting) of what differs between experiments on the same data set."""
    values = {}
    for own in several:
        for name, value in own.items():
            values.setdefault((own["dataset"], name), set()).add(value)
    return {place for place, found in values.items() if len(found) > 1}


def _arms(runs: Sequence[Run]) -> tuple[list[FinishedArm], list[str]]:
    """Arms with their runs by seed, and a line for each run whose settings and seed another has, or a run
    beside it."""
    groups = by_arm(runs)
    first = {(settings, run.seed): run for (settings, n), own in groups.items() if n == 0 for run in own}
    twins = []
    for (settings, n), own in groups.items():
        for run in own if n > 0 else ():
            beside = [each for each in own if each.folder.parent == run.folder.parent]
            twin = next((each for each in (run, *beside) if (settings, each.seed) in first), None)
            if twin is None:  # the others of its folder are in another group
                twins.append(f"{run.folder}: has the settings and the seed of a run beside it")
                continue
            lies = "" if twin is run else f"lies beside {twin.folder}, which "
            known = first[settings, twin.seed].folder
            twins.append(f"{run.folder}: {lies}has the settings and the seed of {known}")
    several = [sorted(own, key=lambda run: run.seed) for (_, n), own in groups.items() if n == 0]
    return list(map(FinishedArm, _names(several), map(tuple, several))), twins


def _names(arms: Sequence[Sequence[Run]]) -> list[str]:
    """The name of each arm's folder; its path where that is not enough, or its first run's."""
    runs = [own[0].folder for own in arms]
    folders = [path.parent if re.fullmatch(r"seed-\d+", path.name) else path for path in runs]
    names = [folder.name for folder in folders]
    for longer in (folders, runs):
        names = [
            str(path) if names.count(name) > 1 else name for name, path in zip(names, longer, strict=True)
        ]
    return names


def _reference(arms: Sequence[FinishedArm], wanted: str | None) -> str:
    names = [arm.name for arm in arms]
    if wanted in names:
        return wanted
    return next((arm.name for arm in arms if arm.config.taf.method == "baseline"), names[0])
