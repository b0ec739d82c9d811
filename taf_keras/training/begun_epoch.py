"""The figures of an epoch that was interrupted: its row of history.csv is that of an undisturbed run."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from taf_keras.taf.trainer import TAFTrainer


def epoch_sums(trainer: TAFTrainer) -> dict[str, np.ndarray]:
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


def _variables(trainer: TAFTrainer) -> dict[str, keras.Variable]:
    """Those of the training's own metrics. (Keras' loss can only be read by all workers together.)"""
    return {f"{m.name}:{variable.name}": variable for m in trainer.step_metrics for variable in m.variables}
