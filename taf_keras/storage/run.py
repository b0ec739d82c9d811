"""A run on disk: what lies where, whose it is, and what has come of it."""

from __future__ import annotations

import json
import math
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import IO

from taf_keras.config import SPLITS, Config
from taf_keras.errors import UserError, first_line
from taf_keras.files import require_writable, unfinished, write_json, writes
from taf_keras.storage.earlier import without_unused_weight
from taf_keras.storage.lock import Held, hold, is_lock
from taf_keras.storage.sameness import describe_clips, differences, require_same_classes

METRICS = ("miou", "pixel_accuracy")  # by which runs are compared, shares in [0, 1]
PER_CLASS = ("per_class_iou", "per_class_accuracy")
_DAMAGE = (OSError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, UserError)
_BESIDE = ("versions", "classes", "train_clips", "measured_rates")  # in config.json beside the settings
_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")


class Run:
    """A run on disk: its settings, what has come of it, and where its files lie.

    Attributes:
        folder: all of it lies there; the same as its `--model_dir`.
        checkpoints, tensorboard, step_logs, export: folders.
        config_file, history_file, metrics_file: the last is written when the run has ended.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.config_file = self.folder / "config.json"
        self.history_file = self.folder / "history.csv"
        self.metrics_file = self.folder / "metrics.json"
        self.checkpoints = self.folder / "checkpoints"
        self.tensorboard = self.folder / "tensorboard"
        self.step_logs = self.tensorboard / "steps"
        self.export = self.folder / "export"

    @cached_property
    def config(self) -> Config:
        """The settings. Raises: UserError where there are none, or the file is damaged."""
        try:
            settings = json.loads(self.config_file.read_text())
            for name in _BESIDE:
                settings.pop(name, None)
            without_unused_weight(settings)
            return Config.from_dict(settings)
        except FileNotFoundError:
            raise UserError(
                f"--model_dir={self.folder}: holds no run: {self.config_file.name} is missing"
            ) from None
        except _DAMAGE as error:
            raise UserError(f"{self.config_file}: damaged: {first_line(error)}") from None

    @property
    def seed(self) -> int:
        return self.config.training.seed

    @property
    def has_measured_rates(self) -> bool:
        """Whether its change rates were measured: not for numbers that were given, `rates_from` or not.

        Runs of earlier versions do not say: theirs are taken for measured where they may be.
        """
        possible = self.config.uses_measured_rates and not self.config.model.is_own
        return possible and self.beside("measured_rates") is not False

    @property
    def has_ended(self) -> bool:
        return self.metrics_file.is_file()

    @cached_property
    def metrics(self) -> dict:
        """metrics.json; METRICS and PER_CLASS are floats in it, NaN for what has no value.

        Raises: UserError where the run has not ended, or the file is damaged.
        """
        if not self.has_ended:
            raise UserError(f"{self.folder}: has not ended")
        try:
            metrics = json.loads(self.metrics_file.read_text())
            if not isinstance(metrics, dict):
                raise ValueError("is no JSON object")
            metrics |= {name: _number(metrics, name) for name in METRICS}
            for table in PER_CLASS:
                if not isinstance(metrics.get(table), dict):
                    raise ValueError(f"{table} is no table of numbers")
                metrics[table] = {name: _number(metrics[table], name) for name in metrics[table]}
            if metrics.get("split") not in SPLITS or not isinstance(metrics.get("frames"), int):
                raise ValueError("names no split with its number of frames")
        except _DAMAGE as error:
            raise UserError(f"{self.metrics_file}: damaged: {first_line(error)}") from None
        return metrics

    def check_classes(self, names: Sequence[str]) -> None:
        """Looks whether the run was trained on these classes in this order: its labels are numbers of them.

        Raises: UserError that names the first one that differs.
        """
        trained = self.beside("classes")
        if trained is None:  # of version 0.1, which has them when it has ended
            trained = list(self.metrics["per_class_iou"]) if self.has_ended else names
        require_same_classes(self.folder, trained, names)

    @property
    def train_clips(self) -> dict | None:
        """The clips that it began with, as `describe_clips` has it; None in runs of earlier versions."""
        clips = self.beside("train_clips")
        return clips if isinstance(clips, dict) else None

    def check_clips(self, clips: Sequence) -> None:
        """Looks whether the run began with these training clips: its steps are counted in batches of them.

        Raises: UserError where it did not.
        """
        begun = self.train_clips
        if begun and begun != describe_clips(clips):
            raise UserError(
                f"--model_dir={self.folder}: its run began with other training clips ({begun.get('count')} "
                f"then, {len(clips)} now): bring those back, or give another --model_dir"
            )

    def beside(self, name: str):
        """What config.json has beside the settings; None where it does not say, or there is none."""
        try:
            return json.loads(self.config_file.read_text()).get(name)
        except _DAMAGE:
            return None

    def as_begun(self, config: Config) -> Config:
        """`config` with what `auto` became when this run began: measured rates, and the backbone's weights.

        Rates are those if it asks for the same ones.
        """
        if not self._has_begun():
            return config
        if config.model.backbone_weights == "auto" and not self.config.model.is_own:
            weights = self.config.model.backbone_weights
            config = replace(config, model=replace(config.model, backbone_weights=weights))
        asked, begun = config.taf, self.config.taf
        same = (asked.rates_from, asked.rates_quantile) == (begun.rates_from, begun.rates_quantile)
        if not config.measures_rates or not same:
            return config
        return replace(config, taf=replace(asked, change_rates=begun.change_rates))

    def check(self, config: Config) -> None:
        """Looks whether the folder is free for this run, or already its own; writes nothing.

        Settings of where and how the run executes (`runtime`) may differ; all others may not.

        Raises: UserError for a folder that holds something else.
        """
        if self._has_begun():
            different = differences(self.config.to_dict(), config.to_dict())
            if different:
                raise UserError(
                    f"--model_dir={self.folder}: holds another run ({'; '.join(different)}); "
                    "choose another folder, or the same settings to resume that run"
                )
        elif self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--model_dir={self.folder}: is a file, not a folder")
        elif self.folder.exists():
            own = unfinished(self.config_file)
            with writes(f"--model_dir={self.folder}"):
                others = [path for path in self.folder.iterdir() if path != own and not is_lock(path)]
            if others:
                raise UserError(f"--model_dir={self.folder}: is not empty and holds no config.json of a run")

    def require_usable(self) -> None:
        """Looks whether this process may write the run, before it does any work.

        Raises: UserError for a folder that cannot be written or made, or in which another process is at
            work: that is the one to go on.
        """
        require_writable(f"--model_dir={self.folder}", self.folder)
        with writes(f"--model_dir={self.folder}"):
            if self.folder.is_dir() and any(map(is_lock, self.folder.iterdir())):
                self._lock().close()

    def _has_begun(self) -> bool:
        with writes(f"--model_dir={self.folder}"):  # a folder on the way to it may not be searched
            return self.config_file.is_file()

    def claim(
        self, config: Config, classes: Sequence[str] = (), clips: Sequence = (), measured_rates: bool = False
    ) -> IO[str]:
        """Makes the folder this run's by writing config.json, unless it is there already.

        What a killed process left unfinished is deleted.

        Args:
            classes: names of the classes that it is trained on, for `check_classes`.
            clips: those of training, for `check_clips`.
            measured_rates: whether the change rates were `auto`, for `has_measured_rates`.

        Returns: a context manager, at whose end another process may go on with the run.
        Raises: UserError for a folder that cannot be written, or in which another process is at work.
        """
        with writes(f"--model_dir={self.folder}"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):  # a run that goes on finds out now, too
                pass
            lock = self._lock()
            try:
                self._delete_unfinished()
                if not self.config_file.is_file():
                    versions = {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES}
                    beside = {"versions": versions, "classes": list(classes) or None}
                    beside |= {"train_clips": describe_clips(clips) if clips else None}
                    beside |= {"measured_rates": measured_rates}
                    write_json(self.config_file, config.to_dict() | beside)
            except OSError:
                lock.close()
                raise
        return lock

    def _lock(self) -> IO[str]:
        try:
            return hold(self.folder)
        except Held as holder:
            raise UserError(
                f"--model_dir={self.folder}: {holder} is at work on this run; choose another folder, or wait "
                "until it has ended"
            ) from None

    def _delete_unfinished(self) -> None:
        for path in (self.config_file, self.history_file, self.metrics_file):
            unfinished(path).unlink(missing_ok=True)
        for path in self.checkpoints.glob("unfinished*"):
            path.unlink()
        shutil.rmtree(unfinished(self.export), ignore_errors=True)


def _number(values: dict, name: str) -> float:
    value = values.get(name, "")
    if not isinstance(value, float | int | None):
        raise ValueError(f"{name} is no number")
    return math.nan if value is None else float(value)
