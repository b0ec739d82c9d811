"""A run on disk: what lies where, whose it is, and what has come of it."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import IO

from taf_keras.config import Config
from taf_keras.errors import UserError, first_line
from taf_keras.files import unfinished, write_json
from taf_keras.storage.lock import Held, hold, is_lock

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")
# Why a setting cannot change in the middle of a run, where that is not plain.
_REASONS = {
    "training.epochs": ": --epochs sets the learning rate of every step, the earlier ones too",
    "model.model_sha256": ": the file of --model has changed",
}


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
            settings.pop("versions", None)
            return Config.from_dict(settings)
        except FileNotFoundError:
            raise UserError(
                f"--model_dir={self.folder}: holds no run: {self.config_file.name} is missing"
            ) from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, UserError) as error:
            raise UserError(f"{self.config_file}: damaged: {first_line(error)}") from None

    @property
    def seed(self) -> int:
        return self.config.training.seed

    @property
    def has_ended(self) -> bool:
        return self.metrics_file.is_file()

    def metrics(self) -> dict:
        """The figures of a run that has ended. Raises: UserError where the file is damaged."""
        try:
            metrics = json.loads(self.metrics_file.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{self.metrics_file}: damaged: {first_line(error)}") from None
        if not isinstance(metrics, dict):
            raise UserError(f"{self.metrics_file}: damaged: is no JSON object")
        return metrics

    def check(self, config: Config) -> None:
        """Looks whether the folder is free for this run, or already its own; writes nothing.

        Settings of where and how the run executes (`runtime`) may differ; all others may not.

        Raises: UserError for a folder that holds something else.
        """
        if self.config_file.is_file():
            different = _differences(self.config.to_dict(), config.to_dict())
            if different:
                raise UserError(
                    f"--model_dir={self.folder}: holds another run ({'; '.join(different)}); "
                    "choose another folder, or the same settings to resume that run"
                )
        elif self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--model_dir={self.folder}: is a file, not a folder")
        elif self.folder.exists():
            own = unfinished(self.config_file)
            if any(path != own and not is_lock(path) for path in self.folder.iterdir()):
                raise UserError(f"--model_dir={self.folder}: is not empty and holds no config.json of a run")

    def refuse_if_held(self) -> None:
        """Raises: UserError where another process is at work on the run; it is the one to go on."""
        if self.folder.is_dir() and any(map(is_lock, self.folder.iterdir())):
            self._lock().close()

    def claim(self, config: Config) -> IO[str]:
        """Makes the folder this run's by writing config.json, unless it is there already.

        What a killed process left unfinished is deleted.

        Returns: a context manager, at whose end another process may go on with the run.
        Raises: UserError for a folder that cannot be written, or in which another process is at work.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):  # a run that goes on finds out now, too
                pass
        except OSError as error:
            raise self._cannot_be_written(error) from None
        lock = self._lock()
        try:
            self._delete_unfinished()
            if not self.config_file.is_file():
                versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
                write_json(self.config_file, config.to_dict() | {"versions": versions})
        except OSError as error:
            lock.close()
            raise self._cannot_be_written(error) from None
        return lock

    def _lock(self) -> IO[str]:
        try:
            return hold(self.folder)
        except Held as holder:
            raise UserError(
                f"--model_dir={self.folder}: {holder} is at work on this run; choose another folder, or wait "
                "until it has ended"
            ) from None
        except OSError as error:
            raise self._cannot_be_written(error) from None

    def _cannot_be_written(self, error: OSError) -> UserError:
        return UserError(f"--model_dir={self.folder}: cannot be written: {error.strerror}")

    def _delete_unfinished(self) -> None:
        for path in (self.config_file, self.history_file, self.metrics_file):
            unfinished(path).unlink(missing_ok=True)
        for path in self.checkpoints.glob("unfinished*"):
            path.unlink()
        shutil.rmtree(unfinished(self.export), ignore_errors=True)


def _differences(old: dict, new: dict) -> list[str]:
    """'group.setting=old, now new' for each setting that differs, `runtime` aside."""
    return [
        f"{group}.{name}={old[group].get(name)}, now {value}{_REASONS.get(f'{group}.{name}', '')}"
        for group, settings in new.items()
        if group != "runtime"
        for name, value in settings.items()
        if old[group].get(name) != value
    ]
