"""What a run says of itself at its beginning and at its end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import keras
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.config import Config
from taf_keras.devices import describe as describe_devices
from taf_keras.evaluation.evaluate import describe
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.progress import clock
from taf_keras.run_flags import EVALUATE_SHOWN
from taf_keras.storage.run import Run
from taf_keras.training.gain import gain


def announce(
    config: Config,
    splits: Mapping[str, Split],
    network: keras.Model,
    strategy: tf.distribute.Strategy,
    cluster: Cluster,
) -> None:
    """Prints what is about to be trained, on what, and how long."""
    counts = ", ".join(f"{len(split.clips)} {name}" for name, split in splits.items())
    on = "" if config.model.is_own else f" on {config.model.backbone}"
    replicas = strategy.num_replicas_in_sync
    gpus = tf.config.list_physical_devices("GPU")
    steps = config.training.epochs * config.steps_per_epoch(len(splits["train"].clips))
    shared = f" on {replicas} replicas" if replicas > 1 else ""
    print(f"data    {config.data.dataset}: {counts} clips")
    print(f"model   {config.model.model}{on}, {network.count_params():,} parameters")
    print(f"method  {_method(config)}")
    print(f"devices {describe_devices(gpus, replicas // len(cluster.workers))}")  # of this machine
    print(f"steps   {steps} of {config.key_frames_per_step} key frames{shared}", flush=True)


def _method(config: Config) -> str:
    method, labels = config.taf.method, config.partner_labels
    if method == "baseline":
        return "baseline, key frames only"
    pairs = zip(config.branches, config.change_rates, strict=True)
    rates = ", ".join(f"{branch} {rate:g}" for branch, rate in pairs)
    taf = f", λ = {config.taf.weight:g}, change rates {rates}"
    if not config.labels_partners:
        return f"{method}{taf}"
    made = {
        "propagate": f"labels by optical flow that returns to within {labels.flow_tolerance_px:g} px",
        "pseudo": f"labels of {labels.teacher} where it is {labels.confidence:.0%} sure",
        "mean_teacher": f"labels of the average network where it is {labels.confidence:.0%} sure",
    }
    return f"{method}, {made[method]}{taf * config.swaps}"


def last(run: Run, metrics: dict) -> None:
    """Prints what was reached, where it lies, and what can be done with it."""
    split = "val" if run.config.runtime.validations else metrics["split"]  # not all data sets have val
    folder, tensorboard, export = (
        shlex.quote(str(path)) for path in (run.folder, run.tensorboard, run.export)
    )
    print(
        f"\n{describe(metrics)}\n"
        f"{clock(metrics['seconds'])} in all, {clock(metrics['training_seconds'])} of it training\n\n"
        f"everything is in {run.folder}: metrics.json, history.csv, checkpoints/, tensorboard/, export/\n"
        f"  look at it     tensorboard --logdir={tensorboard}\n"
        f"  evaluate it    {' '.join(EVALUATE_SHOWN)} --model_dir={folder} --split={split}\n"
        f"  use it         python -m taf_keras.predict --model={export} IMAGE… --output_dir=DIR"
    )
    if line := gain(run):
        print(f"\n{line}")
