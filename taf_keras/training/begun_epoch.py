"""The figures of an epoch that was interrupted: its row of history.csv is that of an undisturbed run."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np


def epoch_sums(trainer: keras.Model) -> dict[str, np.ndarray]:
    """What the metrics have summed up in this epoch, on all replicas: name -> array."""
    return {name: np.array(variable) for name, variable in _variables(trainer).items()}


class GoOnWithEpoch(keras.callbacks.Callback):
    """Gives the metrics the sums that `epoch_sums` returned, behind the reset at the first epoch's begin."""

    def __init__(self, sums: Mapping[str, np.ndarray]):
        super().__init__()
        self.sums = sums

    def on_epoch_begin(self, epoch, logs=None):
        variables = _variables(self.model)
        for name, value in self.sums.items():
            variables[name].assign(value)
        self.sums = {}


def _variables(trainer: keras.Model) -> dict[str, keras.Variable]:
    return {
        f"{metric.name}:{variable.name}": variable
        for metric in trainer.metrics
        for variable in metric.variables
    }
