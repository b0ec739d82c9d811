"""Runs of an experiment in TensorBoard's HParams: what differs between them, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from taf_keras.experiments.comparison import METRICS
from taf_keras.experiments.runs import Job
from taf_keras.experiments.settings import differing, settings


def log_hparams(runs: Sequence[Job], tensorboard: Path) -> None:
    """Writes arm, seed, the settings that differ, and METRICS (shares in [0, 1]) of each run that has ended.

    What an earlier call wrote there is replaced.
    """
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    for old in tensorboard.rglob("events.out.tfevents.*"):
        old.unlink()
    own = {run: settings(run.config) for run in runs if run.ended}
    names = differing(list(own.values()))
    numeric = {name for name in names if all(_is_number(values[name]) for values in own.values())}
    for run, values in own.items():
        row = {"arm": run.arm, "seed": run.seed}
        row |= {name: float(values[name]) if name in numeric else values[name] for name in names}
        metrics = run.folder.metrics()
        trial = f"{run.arm}/seed-{run.seed}"
        writer = tf.summary.create_file_writer(str(tensorboard / trial))
        with writer.as_default(step=0):
            api.hparams(row, trial_id=trial)
            for name in METRICS:
                tf.summary.scalar(name, metrics[name])
        writer.close()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
