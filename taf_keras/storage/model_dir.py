"""The folder of a run: what lies where, and whose run it is."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import IO

from taf_keras.atomic import replaced, unfinished
from taf_keras.config import Config
from taf_keras.errors import UserError, first_line
from taf_keras.storage.lock import Held, hold, is_lock

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")
# Why a setting cannot change in the middle of a run, where that is not plain.
_REASONS = {
    "training.epochs": ": --epochs sets the learning rate of every step, the earlier ones too",
    "model.model_sha256": ": the file of --model has changed",
}


class ModelDir:
    """Paths and small files of one run."""

    def __init__(self, path: str):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.steps = self.tensorboard / "steps"  # figures of single steps
        self.history = self.path / "history.csv"
        self.metrics = self.path / "metrics.json"
        self.export = self.path / "export"
        self.pictures = self.path / "pictures"

    def check(self, config: Config) -> None:
        """Looks whether the folder is free for this run, or already its own; writes nothing.

        Settings of where and how the run executes (`runtime`) may differ; all others may not.

        Raises: UserError for a folder that holds something else.
        """
        if self.config.is_file():
            different = _differences(self.read_config().to_dict(), config.to_dict())
            if different:
                raise UserError(
                    f"--model_dir={self.path}: holds another run ({'; '.join(different)}); "
                    "choose another folder, or the same settings to resume that run"
                )
        elif self.path.exists() and not self.path.is_dir():
            raise UserError(f"--model_dir={self.path}: is a file, not a folder")
        elif self.path.exists():
            own = unfinished(self.config)
            if any(path != own and not is_lock(path) for path in self.path.iterdir()):
                raise UserError(f"--model_dir={self.path}: is not empty and holds no config.json of a run")

    def refuse_if_held(self) -> None:
        """Raises: UserError where another process is at work on the run; it is the one to go on."""
        if self.path.is_dir() and any(map(is_lock, self.path.iterdir())):
            self._lock().close()

    def claim(self, config: Config) -> IO[str]:
        """Makes the folder this run's by writing config.json, unless it is there already.

        What a killed process left unfinished is deleted.

        Returns: a context manager, at whose end another process may go on with the run.
        Raises: UserError for a folder that cannot be written, or in which another process is at work.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):  # a run that goes on finds out now, too
                pass
        except OSError as error:
            raise self._cannot_be_written(error) from None
        lock = self._lock()
        try:
            self._delete_unfinished()
            if not self.config.is_file():
                versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
                write_json(self.config, config.to_dict() | {"versions": versions})
        except OSError as error:
            lock.close()
            raise self._cannot_be_written(error) from None
        return lock

    def _lock(self) -> IO[str]:
        try:
            return hold(self.path)
        except Held as holder:
            raise UserError(
                f"--model_dir={self.path}: {holder} is at work on this run; choose another folder, or wait "
                "until it has ended"
            ) from None
        except OSError as error:
            raise self._cannot_be_written(error) from None

    def _cannot_be_written(self, error: OSError) -> UserError:
        return UserError(f"--model_dir={self.path}: cannot be written: {error.strerror}")

    def _delete_unfinished(self) -> None:
        for path in (self.config, self.history, self.metrics):
            unfinished(path).unlink(missing_ok=True)
        for path in self.checkpoints.glob("unfinished*"):
            path.unlink()
        shutil.rmtree(unfinished(self.export), ignore_errors=True)

    def read_config(self) -> Config:
        """The configuration of the run. Raises: UserError where there is none, or it is damaged."""
        try:
            settings = json.loads(self.config.read_text())
            settings.pop("versions", None)
            return Config.from_dict(settings)
        except FileNotFoundError:
            raise UserError(f"--model_dir={self.path}: holds no run: {self.config.name} is missing") from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, UserError) as error:
            raise UserError(f"{self.config}: damaged: {first_line(error)}") from None

    def read_metrics(self) -> dict:
        """The figures of a run that has ended. Raises: UserError where the file is damaged."""
        try:
            metrics = json.loads(self.metrics.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{self.metrics}: damaged: {first_line(error)}") from None
        if not isinstance(metrics, dict):
            raise UserError(f"{self.metrics}: damaged: is no JSON object")
        return metrics


def write_json(path: Path, values) -> None:
    """Writes strict JSON (NaN becomes null) atomically: the file is the old one or the new one."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(_strict(values), indent=2, allow_nan=False) + "\n")


def _strict(value):
    if isinstance(value, dict):
        return {key: _strict(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None if value != value else ("inf" if value > 0 else "-inf")
    return value


def _differences(old: dict, new: dict) -> list[str]:
    """'group.setting=old, now new' for each setting that differs, `runtime` aside."""
    return [
        f"{group}.{name}={old[group].get(name)}, now {value}{_REASONS.get(f'{group}.{name}', '')}"
        for group, settings in new.items()
        if group != "runtime"
        for name, value in settings.items()
        if old[group].get(name) != value
    ]
