"""Runs of an experiment in TensorBoard's HParams: what differs between them, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from taf_keras.experiments.plan import Job
from taf_keras.run_flags import as_number, differing, of_arm, settings
from taf_keras.storage.run import METRICS


def log_hparams(jobs: Sequence[Job], tensorboard: Path) -> None:
    """Writes arm, seed, the settings that differ, and METRICS (shares in [0, 1]) of each run that has ended.

    What an earlier call wrote there is replaced.
    """
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    for old in tensorboard.rglob("events.out.tfevents.*"):
        old.unlink()
    own = {job: settings(of_arm(job.config)) for job in jobs if job.run.has_ended}
    names = differing(list(own.values()))
    numeric = {name for name in names if all(math.isfinite(as_number(v[name])) for v in own.values())}
    for job, values in own.items():
        row = {"arm": job.arm, "seed": job.seed}
        row |= {name: float(values[name]) if name in numeric else values[name] for name in names}
        trial = f"{job.arm}/seed-{job.seed}"
        writer = tf.summary.create_file_writer(str(tensorboard / trial))
        with writer.as_default(step=0):
            api.hparams(row, trial_id=trial)
            for name in METRICS:
                tf.summary.scalar(name, job.run.metrics[name])
        writer.close()
