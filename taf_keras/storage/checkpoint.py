"""Weights and optimizer state on disk, one file per saved step."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from taf_keras.errors import UserError, first_line
from taf_keras.files import replaced, sha256

UNFINISHED = "unfinished.weights.h5"
_KEEP = 2
_NAME = re.compile(r"step-(\d+)\.weights\.h5")
# After the HDF5 data, which end where their header says. So a file never parts with its checksum.
_CHECKSUM = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
_CHECKSUM_BYTES = 73
_EXTRA = "epoch_sums"  # a group beside those of Keras, which reads only what it knows
_GENERATORS = "generators"  # another: Keras does not keep the states of what samples
_BEST = "best"
_SPENT = "spent"
_THREE_PARTS = "layers/functional/layers/functional_2"  # encoder, projection and head: before version 0.2


class Best(NamedTuple):
    """The best validation of a run: the step after which it was, and its mIoU in [0, 1]."""

    step: int = 0
    miou: float = float("-inf")


class Spent(NamedTuple):
    """The seconds that a run has taken, and those of them in which it was trained."""

    seconds: float = 0.0
    training_seconds: float = 0.0


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
    """Step and path of the newest checkpoint in `folder` that is not damaged; None where there is none.

    Each newer one that is damaged is reported in a line. Raises: UserError where all are damaged.
    """
    found = checkpoints(folder)
    for step, path in sorted(found.items(), reverse=True):
        wrong = damage(path)
        if not wrong:
            return step, path
        print(f"warning: {path}: damaged: {wrong}; the checkpoint before it is used", flush=True)
    if found:
        raise UserError(
            f"{folder}: every checkpoint is damaged; delete this folder to train from the beginning"
        )
    return None


def save(
    trainer: keras.Model,
    folder: Path,
    step: int,
    sums: Mapping[str, np.ndarray],
    best: Best | None = None,
    spent: Spent | None = None,
) -> Path:
    """Writes the state after `step` steps, and deletes all but the last two up to it.

    The file gets its name only when it is complete and on the disk: neither a kill nor a power cut
    leaves half a checkpoint. Checkpoints of later steps are deleted too: had they not been damaged,
    the run would have gone on from them.

    Args:
        sums: name -> array, saved beside the state.
        best: saved too, and its checkpoint is not deleted.
        spent: what the run has taken until now, saved too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, step)
    memory = _Memory()
    trainer.save_weights(memory)
    with h5py.File(memory, "a") as file:
        for name, array in sums.items():
            file[f"{_EXTRA}/{name}"] = array
        for position, state in enumerate(_generator_states(trainer)):
            file[f"{_GENERATORS}/{position}"] = np.array(state)
        if best is not None:
            file.attrs[_BEST] = best
        if spent is not None:
            file.attrs[_SPENT] = spent
    data = memory.getbuffer()
    with replaced(path, folder / UNFINISHED) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.write(f"\nsha256 {hashlib.sha256(data).hexdigest()}\n".encode())
    known = checkpoints(folder)
    kept = sorted(other for other in known if other <= step)[-_KEEP:]
    if best is not None:
        kept.append(int(best.step))
    for other in known.keys() - set(kept):
        known[other].unlink()
    return path


class _Memory(io.BytesIO):
    """Where HDF5 writes without a disk: on one that is full it would bring the process down at its end."""

    def __str__(self):
        return UNFINISHED  # Keras asks every target for its suffix


def load(trainer: keras.Model, path: Path) -> dict[str, np.ndarray]:
    """Loads what `save` wrote. States of what samples, which earlier versions left out, stay as they are.

    Returns: the `sums` that were saved; none are in checkpoints of earlier versions.
    Raises: UserError naming a file that is missing, damaged, or of another model.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        if wrong := damage(path):
            raise ValueError(wrong)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer, before the error that says it all
            if not _load_earlier(trainer, path):
                trainer.load_weights(path)
        with h5py.File(path) as file:
            saved = file.get(_GENERATORS, {})
            for position, state in enumerate(_generator_states(trainer) if saved else ()):
                state.assign(saved[str(position)][()])
            return {name: array[()] for name, array in file.get(_EXTRA, {}).items()}
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a checkpoint of this model, or damaged: {first_line(error)}") from None


def _generator_states(trainer: keras.Model) -> list[keras.Variable]:
    """Of the network's layers that sample in training, such as dropout; the same order in every process."""
    network = getattr(trainer, "network", trainer)
    weights = {id(weight) for weight in network.weights}
    return [variable for variable in network.variables if id(variable) not in weights]


def _load_earlier(trainer: keras.Model, path: Path) -> bool:
    """Loads the network's weights by their layers' names, where its parts were models of their own.

    So it was before version 0.2. Keras' own loader goes by the layers' order, and so does the optimizer's
    state.
    Raises: UserError for a trainer that would go on with the optimizer.
    """
    with h5py.File(path) as file:
        if _THREE_PARTS not in file:
            return False
        if getattr(trainer, "optimizer", None) is not None:
            raise UserError(
                f"{path}: written by a version before 0.2, whose optimizer state has another order; finish "
                "this run with that version, or train in another --model_dir: it can still be evaluated"
            )
        saved = {}

        def add(_, group):
            if isinstance(group, h5py.Group) and group.name.endswith("/vars") and len(group):
                saved[group.attrs["name"]] = {key: values[()] for key, values in group.items()}

        file["layers/functional"].visititems(add)
    for layer in trainer.network._flatten_layers(include_self=False):
        if layer.name in saved:
            layer.load_own_variables(saved.pop(layer.name))
    if saved:
        raise ValueError(f"the network has no layer {next(iter(saved))}")
    return True


def best_until(path: Path) -> Best:
    """The best validation before the checkpoint `path`, whose file is whole; one of -inf where none was."""
    with h5py.File(path) as file:
        step, miou = file.attrs.get(_BEST, Best())
    return Best(int(step), float(miou))


def spent_until(path: Path) -> Spent:
    """What the run had taken at the checkpoint `path`, whose file is whole; 0 s where it does not say."""
    with h5py.File(path) as file:
        return Spent(*map(float, file.attrs.get(_SPENT, Spent())))


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's file; None for one that is whole.

    Of files without a checksum, those of earlier versions, only the length is looked at.
    """
    size = path.stat().st_size
    if not size:
        return "the file is empty"
    with path.open("rb") as file:
        file.seek(max(0, size - _CHECKSUM_BYTES))
        written = _CHECKSUM.fullmatch(file.read())
    if written:
        same = sha256(path, size - _CHECKSUM_BYTES) == written[1].decode()
        return None if same else "its contents differ from its checksum"
    try:
        h5py.File(path).close()
    except OSError as error:
        return first_line(error)
    return None
