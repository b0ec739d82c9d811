"""Weights and optimizer state on disk, one file per saved step."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from pathlib import Path

import keras

from taf_keras.errors import UserError, first_line

_KEEP = 2
_NAME = re.compile(r"step-(\d+)\.weights\.h5")


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}.weights.h5"


def checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints in `folder`: step -> path, oldest first."""
    found = {}
    for path in sorted(folder.glob("step-*.weights.h5")) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return found


def latest(folder: Path) -> tuple[int, Path] | None:
    """Step and path of the newest checkpoint in `folder`; None where there is none."""
    return max(checkpoints(folder).items(), default=None)


def save(trainer: keras.Model, folder: Path, step: int) -> Path:
    """Writes the state after `step` steps and deletes all but the last two.

    The file gets its name only when it is complete, so that a kill never leaves half a checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, step)
    temporary = folder / "unfinished.weights.h5"
    trainer.save_weights(temporary)
    os.replace(temporary, path)
    for old in list(checkpoints(folder).values())[:-_KEEP]:
        old.unlink()
    return path


def load(trainer: keras.Model, path: Path) -> None:
    """Loads what `save` wrote.

    Raises: UserError naming a file that is missing, damaged, or of another model.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer, before the error that says it all
            trainer.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a checkpoint of this model, or damaged: {first_line(error)}") from None
