"""How a run is kept: checkpoints of its whole state, and the way back from one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from taf_keras.storage import checkpoint
from taf_keras.storage.checkpoint import Best, Spent
from taf_keras.storage.run import Run
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.interruption import StopRequest
from taf_keras.training.steps import CountSteps


class Begun(NamedTuple):
    """What a run has behind it: steps, the sums of a begun epoch, the best validation, and the time."""

    step: int = 0
    sums: Mapping[str, np.ndarray] = {}
    best: Best = Best()
    spent: Spent = Spent()


def resume(trainer: TAFTrainer, run: Run) -> Begun:
    """Loads the newest checkpoint, if there is one. Returns: what was done until then."""
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        return Begun()
    step, path = newest
    sums = checkpoint.load(trainer, path)
    print(f"resuming at step {step} from {path}")
    return Begun(step, sums, checkpoint.best_until(path), checkpoint.spent_until(path))


class Stopwatch:
    """Says what a run has taken so far, its earlier parts up to their last checkpoints among it.

    Its training goes on when this is made.

    Args:
        started: when this part of the run began, by `time.monotonic`.
        earlier: what the earlier parts have taken.
    """

    def __init__(self, started: float, earlier: Spent):
        self.started = started - earlier.seconds
        self.training = time.monotonic() - earlier.training_seconds

    def __call__(self) -> Spent:
        now = time.monotonic()
        return Spent(now - self.started, now - self.training)


class SaveCheckpoints(CountSteps):
    """Saves the whole state after some epochs, every few minutes, and where a signal ends the run.

    A signal is obeyed, and the minutes are looked at, at the end of a step; after the last step of an epoch,
    at the end of its validation. Goes last: what the others write of an epoch is written when its checkpoint
    is.

    Args:
        after: epochs, counted from 1, after which there is a checkpoint.
        minutes: age of the last checkpoint at which there is another one.
        check: called before each; raises UserError where there is nothing worth saving.
        best: None, or the best validation so far, whose checkpoint is kept.
        spent: says what the run has taken so far.
    """

    def __init__(
        self,
        folder: Path,
        after: Sequence[int],
        minutes: float,
        steps_per_epoch: int,
        first_step: int,
        request: StopRequest,
        check: Callable[[], None],
        best: Best | None = None,
        spent: Callable[[], Spent] = Spent,
    ):
        super().__init__(first_step)
        self.folder, self.after, self.seconds = folder, frozenset(after), 60 * minutes
        self.steps_per_epoch, self.request, self.check, self.best = steps_per_epoch, request, check, best
        self.spent = spent
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step % self.steps_per_epoch and self._is_due():
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        if self.best is not None and logs.get("val_miou", -math.inf) > self.best.miou:
            self.best = Best(self.step, float(logs["val_miou"]))
        if epoch + 1 in self.after or self._is_due():
            self._save()

    def _is_due(self) -> bool:
        return self.request.signal is not None or time.monotonic() - self.saved >= self.seconds

    def _save(self) -> None:
        self.check()
        whole_epoch = self.step % self.steps_per_epoch == 0
        sums = {} if whole_epoch else epoch_sums(self.model)
        path = checkpoint.save(self.model, self.folder, self.step, sums, self.best, self.spent())
        self.saved = time.monotonic()
        self.request.obey(f"step {self.step} is saved in {path}")


def epoch_sums(trainer: TAFTrainer) -> dict[str, np.ndarray]:
    """What the metrics have summed up in this epoch, on all replicas: name -> array."""
    return {name: np.array(variable) for name, variable in _variables(trainer).items()}


class GoOnWithEpoch(keras.callbacks.Callback):
    """Gives the metrics the sums that `epoch_sums` returned, after the reset at the first epoch's begin."""

    def __init__(self, sums: Mapping[str, np.ndarray]):
        super().__init__()
        self.sums = sums

    def on_epoch_begin(self, epoch, logs=None):
        variables = _variables(self.model)
        for name, value in self.sums.items():
            variables[name].assign(value)
        self.sums = {}


def _variables(trainer: TAFTrainer) -> dict[str, keras.Variable]:
    """Those of the training's own metrics. (Keras' loss can only be read by all workers together.)"""
    return {f"{m.name}:{variable.name}": variable for m in trainer.step_metrics for variable in m.variables}
