"""The figures of an epoch that was interrupted: its row of history.csv is that of an undisturbed run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras
import numpy as np


def epoch_sums(trainer: keras.Model) -> dict[str, np.ndarray]:
    """What the metrics have summed up in this epoch: name -> array, whose first axis is the replica.

    Their total would not do: other partial sums round differently.
    """
    return {
        name: np.stack([part.numpy() for part in parts]) for name, parts in _variables_by_replica(trainer)
    }


class GoOnWithEpoch(keras.callbacks.Callback):
    """Gives the metrics the sums that `epoch_sums` returned, behind the reset at the first epoch's begin."""

    def __init__(self, sums: Mapping[str, np.ndarray]):
        super().__init__()
        self.sums = sums

    def on_epoch_begin(self, epoch, logs=None):
        for name, parts in _variables_by_replica(self.model):
            if name not in self.sums:
                continue
            values = self.sums[name]
            if len(values) != len(parts):  # resumed on another number of replicas: the total is right
                values = [values.sum(axis=0), *[np.zeros_like(values[0])] * (len(parts) - 1)]
            for part, value in zip(parts, values, strict=True):
                part.assign(value)
        self.sums = {}


def _variables_by_replica(trainer: keras.Model) -> Iterator[tuple[str, tuple]]:
    parts_of = trainer.distribute_strategy.experimental_local_results
    for metric in trainer.metrics:
        for variable in metric.variables:
            yield f"{metric.name}:{variable.name}", parts_of(variable.value)
