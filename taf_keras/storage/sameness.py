"""What must be the same when a run goes on: its settings, its classes, and the clips of its training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import zip_longest

from taf_keras.errors import UserError

# Why a setting cannot change in the middle of a run, where that is not plain.
_REASONS = {
    "training.epochs": ": --epochs sets the learning rate of every step, the earlier ones too",
    "model.model_sha256": ": the file of --model has changed",
}


def differences(old: dict, new: dict) -> list[str]:
    """'group.setting=old, now new' for each setting that differs, `runtime` aside."""
    return [
        f"{group}.{name}={old[group].get(name)}, now {value}{_REASONS.get(f'{group}.{name}', '')}"
        for group, settings in new.items()
        if group != "runtime"
        for name, value in settings.items()
        if old[group].get(name) != value
    ]


def require_same_classes(place, trained: Sequence[str], names: Sequence[str]) -> None:
    """Raises: UserError unless `trained`, the classes of the model at `place`, are those of the data set."""
    for position, (there, here) in enumerate(zip_longest(trained, names)):
        if there != here:
            raise UserError(
                f"{place}: was trained on other classes: class {position} is {there or 'none'} there, and "
                f"{here or 'none'} in this data set"
            )


def describe_clips(clips: Sequence) -> dict:
    """How many clips there are, and a digest of their names and key frames: the same in another folder."""
    names = json.dumps([(clip.name, clip.key_number) for clip in clips])
    return {"count": len(clips), "sha256": hashlib.sha256(names.encode()).hexdigest()}
