"""The runs that a study compares: read, named, and held against each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taf_keras.config import Config, DataConfig, require
from taf_keras.datasets.load import evaluation_split
from taf_keras.errors import UserError
from taf_keras.experiments.settings import frames_seen, of_arm
from taf_keras.storage.run import Run


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        model: its name in tables and charts. Runs that differ by their seed alone share it: they are
            shown as one curve, the mean over the seeds with its standard error.
    """

    folder: Run
    config: Config
    model: str

    @property
    def seed(self) -> int:
        return self.config.training.seed


def read_runs(model_dirs: Sequence[str]) -> list[ComparedRun]:
    """The runs in `model_dirs`: folders of runs, or folders of such folders, as a sweep's arm is.

    A run is named after its folder, several seeds after the folder that holds them and no other run,
    and as many folders above are added as names need to differ. Of a folder of runs, those that have not
    ended are left out, which is printed.

    Raises: UserError for a folder without a run that has ended, and for a run that is given twice.
    """
    paths = [path for text in model_dirs for path in _run_folders(text)]
    require(len(paths) > 0, "--model_dir: must not be empty")
    for path in paths:
        require(paths.count(path) == 1, f"--model_dir={path}: is given twice")
    configs = {path: Run(path).config for path in paths}
    arms = _arms(configs)
    names = _names([_place(arm, paths) for arm in arms])
    return [
        ComparedRun(Run(path), configs[path], name)
        for arm, name in zip(arms, names, strict=True)
        for path in arm
    ]


def common_data(
    runs: Sequence[ComparedRun], split: str | None, data_dir: str | None
) -> tuple[DataConfig, str]:
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
                    f"--model_dir={run.folder.folder}: has {name}={value}, {runs[0].folder.folder} "
                    f"has {first.get(name)}: a study compares runs on the same frames"
                )
    reach = max(DataConfig.temporal_context, *(data.temporal_context for data in datas))
    return replace(datas[0], temporal_context=reach), split


def _run_folders(text: str) -> list[Path]:
    path = Path(os.path.abspath(text))
    below = sorted(file.parent for file in path.glob("*/config.json"))
    if not below or (path / "config.json").is_file():
        return [path]
    ended = [run for run in below if Run(run).has_ended]
    if not ended:
        raise UserError(f"--model_dir={path}: none of its {len(below)} runs has ended")
    for run in below:
        if run not in ended:
            print(f"left out  {run}: has not ended")
    return ended


def _arms(configs: dict[Path, Config]) -> list[list[Path]]:
    """Groups of runs that differ by their seeds alone; the same seed once more begins another group."""
    arms: dict[tuple[Config, int], list[Path]] = {}
    seen = []
    for path, config in configs.items():
        arm = of_arm(config)
        run = (arm, config.training.seed)
        arms.setdefault((arm, seen.count(run)), []).append(path)
        seen.append(run)
    return list(arms.values())


def _place(arm: list[Path], paths: list[Path]) -> Path:
    """The folder that an arm is named after."""
    parent = arm[0].parent
    if len(arm) > 1 and [path for path in paths if path.parent == parent] == arm:
        return parent
    return arm[0]


def _names(places: list[Path]) -> list[str]:
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            break
    return names
