"""The runs that a study compares: read, named, and held against each other."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taf_keras.clips.load import evaluation_split
from taf_keras.config import Config, DataConfig, require
from taf_keras.errors import UserError
from taf_keras.storage.model_dir import ModelDir

# The settings that decide which frames an evaluation sees, and those that also decide it for `train`.
_FRAMES = ("dataset", "data_dir", "image_size", "scene_seed", "drift")
_TRAINING_FRAMES = ("subset", "subset_seed", "label_fraction", "labels")


@dataclass(frozen=True)
class Run:
    """One run of a comparison.

    Attributes:
        model: its name in tables and charts. Runs that differ by their seed alone share it: they are
            shown as one curve, the mean over the seeds with its standard error.
    """

    folder: ModelDir
    config: Config
    model: str

    @property
    def seed(self) -> int:
        return self.config.training.seed


def read_runs(model_dirs: Sequence[str]) -> list[Run]:
    """The runs in `model_dirs`: folders of runs, or folders of such folders, as a sweep's arm is.

    A run is named after its folder, several seeds after the folder that holds them and no other run,
    and as many folders above are added as names need to differ.

    Raises: UserError for a folder without a run, and for a run that is given twice.
    """
    paths = [path for text in model_dirs for path in _run_folders(text)]
    require(len(paths) > 0, "--model_dir: must not be empty")
    for path in paths:
        require(paths.count(path) == 1, f"--model_dir={path}: is given twice")
    configs = {path: ModelDir(str(path)).read_config() for path in paths}
    arms = _arms(configs)
    names = _names([_place(arm, paths) for arm in arms])
    return [
        Run(ModelDir(str(path)), configs[path], name)
        for arm, name in zip(arms, names, strict=True)
        for path in arm
    ]


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
    decisive = (*_FRAMES, f"{split}_clips", *(_TRAINING_FRAMES if split == "train" else ()))
    for run, data in zip(runs, datas, strict=True):
        for name in decisive:
            if getattr(data, name) != getattr(datas[0], name):
                raise UserError(
                    f"--model_dir={run.folder.path}: has {name}={getattr(data, name)}, {runs[0].folder.path} "
                    f"has {getattr(datas[0], name)}: a study compares runs on the same frames"
                )
    reach = max(DataConfig.temporal_context, *(data.temporal_context for data in datas))
    return replace(datas[0], temporal_context=reach), split


def _run_folders(text: str) -> list[Path]:
    path = Path(os.path.abspath(text))
    below = sorted(file.parent for file in path.glob("*/config.json"))
    return below if below and not (path / "config.json").is_file() else [path]


def _arms(configs: dict[Path, Config]) -> list[list[Path]]:
    """Groups of runs that differ by their seeds alone; the same seed once more begins another group."""
    arms: dict[tuple[str, int], list[Path]] = {}
    seen = []
    for path, config in configs.items():
        settings = config.to_dict()
        settings.pop("runtime")
        whole = json.dumps(settings)
        settings["training"].pop("seed")
        arms.setdefault((json.dumps(settings), seen.count(whole)), []).append(path)
        seen.append(whole)
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
