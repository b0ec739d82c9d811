"""The trained network of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.models.build import build_model, dtype_policy
from taf_keras.storage.checkpoint import best_until, checkpoint_path, damage, latest, load
from taf_keras.storage.run import Run
from taf_keras.taf.objectives import KeyFrames
from taf_keras.taf.trainer import TAFTrainer


def load_network(config: Config, class_names: Sequence[str], checkpoint: Path) -> keras.Model:
    """The single-frame model of a run with the weights of one of its checkpoints.

    Raises: UserError for a checkpoint that is missing, damaged or of another model.
    """
    random = replace(config.model, backbone_weights="random")  # the checkpoint holds all weights
    with dtype_policy(config.training.dtype):
        network = build_model(random, len(class_names))
    load(TAFTrainer(KeyFrames(network), ConfusionMatrix(class_names)), checkpoint)
    return network


def latest_checkpoint(run: Run) -> Path:
    """The newest checkpoint of `run`. Raises: UserError where it has none."""
    return _latest(run)[1]


def reported_checkpoint(run: Run) -> Path:
    """The checkpoint that a run's figures are of: what it exported; the newest where it has not ended.

    Raises: UserError where there is none, or it is damaged.
    """
    return exported_checkpoint(run, run.config)[1] if run.has_ended else latest_checkpoint(run)


def exported_checkpoint(run: Run, config: Config) -> tuple[int, Path]:
    """Step and path of the checkpoint whose weights the run exports: the newest, or the best.

    Raises: UserError where there is none, or it is damaged.
    """
    newest = _latest(run)
    if config.training.export_weights == "last":
        return newest
    step = best_until(newest[1]).step
    path = checkpoint_path(run.checkpoints, step)
    wrong = damage(path) if path.is_file() else "no such file"
    if wrong:
        raise UserError(f"--export_weights=best: {path}: {wrong}")
    return step, path


def _latest(run: Run) -> tuple[int, Path]:
    newest = latest(run.checkpoints)
    if newest is None:
        raise UserError(f"--model_dir={run.folder}: holds no checkpoint yet")
    return newest
