"""The runs that a study compares: read, named, and held against each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taf_keras.config import TEMPORAL_CONTEXT, DataConfig
from taf_keras.datasets.load import evaluation_split
from taf_keras.errors import UserError, require
from taf_keras.experiments.grouping import FinishedArm, by_arm
from taf_keras.run_flags import frames_seen
from taf_keras.storage.run import Run


def read_arms(model_dirs: Sequence[str]) -> list[FinishedArm]:
    """The runs in `model_dirs`: folders of runs, or folders of such folders, as a sweep's arm is.

    Runs that differ by their seed alone are one arm: they are shown as one curve, the mean over the seeds
    with its standard error. An arm is named after the folder that holds its runs and no other, or its first
    run's, with as many folders above as names need to differ. Of a folder of runs, those that have not
    ended are left out, which is printed.

    Raises: UserError for a folder without a run that has ended, and for a run that is given twice.
    """
    runs = [run for text in model_dirs for run in _runs_in(text)]
    require(len(runs) > 0, "--model_dir: must not be empty")
    folders = [run.folder for run in runs]
    for folder in folders:
        require(folders.count(folder) == 1, f"--model_dir={folder}: is given twice")
    arms = list(by_arm(runs).values())
    places = [_place(arm, runs) for arm in arms]
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            break
    return [FinishedArm(name, tuple(arm)) for name, arm in zip(names, arms, strict=True)]


def _runs_in(text: str) -> list[Run]:
    run = Run(os.path.abspath(text))
    below = [Run(file.parent) for file in sorted(run.folder.glob("*/config.json"))]
    if not below or run.config_file.is_file():
        return [run]
    ended = [run for run in below if run.has_ended]
    if not ended:
        raise UserError(f"--model_dir={run.folder}: none of its {len(below)} runs has ended")
    for run in below:
        if run not in ended:
            print(f"left out  {run.folder}: has not ended")
    return ended


def _place(arm: Sequence[Run], runs: Sequence[Run]) -> Path:
    """The folder that an arm is named after."""
    parent = arm[0].folder.parent
    alone = len(arm) > 1 and [run for run in runs if run.folder.parent == parent] == arm
    return parent if alone else arm[0].folder


def common_data(runs: Sequence[Run], split: str | None, data_dir: str | None) -> tuple[DataConfig, str]:
    """The data that all runs are compared on, with the largest temporal context, and the split's name.

    Args:
        split: None is the evaluation split of the first run.
        data_dir: where the data set lies now, if not where it lay in training.
    Raises: UserError for runs that would see different frames.
    """
    datas = [run.config.data for run in runs]
    if data_dir is not None:
        datas = [replace(data, data_dir=data_dir) for data in datas]
    split = split or evaluation_split(datas[0])
    first = frames_seen(datas[0], split)
    for run, data in zip(runs, datas, strict=True):
        for name, value in frames_seen(data, split).items():
            if value != first.get(name):
                raise UserError(
                    f"--model_dir={run.folder}: has {name}={value}, {runs[0].folder} "
                    f"has {first.get(name)}: a study compares runs on the same frames"
                )
    reach = max(data.temporal_context for data in datas)
    if datas[0].dataset != "packed":  # which has no more frames than were packed
        reach = max(TEMPORAL_CONTEXT, reach)
    return replace(datas[0], temporal_context=reach), split
