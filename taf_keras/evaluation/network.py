"""The trained network of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model
from taf_keras.storage.checkpoint import latest, load
from taf_keras.storage.model_dir import ModelDir
from taf_keras.taf.trainer import TAFTrainer


def load_network(config: Config, class_names: Sequence[str], checkpoint: Path) -> keras.Model:
    """The single-frame model of a run with the weights of one of its checkpoints.

    Raises: UserError for a checkpoint that is missing, damaged or of another model.
    """
    random = replace(config.model, backbone_weights="random")  # the checkpoint holds all weights
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.training.dtype)
    try:
        network = build_model(random, len(class_names))
    finally:
        keras.config.set_dtype_policy(policy)
    load(TAFTrainer(network, config, ConfusionMatrix(class_names)), checkpoint)
    return network


def latest_checkpoint(run: ModelDir) -> Path:
    """The newest checkpoint of `run`. Raises: UserError where it has none."""
    newest = latest(run.checkpoints)
    if newest is None:
        raise UserError(f"--model_dir={run.path}: holds no checkpoint yet")
    return newest[1]
