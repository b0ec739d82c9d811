"""Where a run executes: one device, all of a machine's, or those of several machines."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from taf_keras.config import Config, RuntimeConfig
from taf_keras.devices import prepare
from taf_keras.errors import UserError
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.multi_worker.connection import connect
from taf_keras.pipeline.share import Share


def build_strategy(config: Config, cluster: Cluster) -> tf.distribute.Strategy:
    """The strategy of `config.runtime.strategy`; `auto` takes all GPUs, and all workers of a cluster.

    Without a GPU, `mirrored` splits the CPU into `replicas` logical devices: slower than one, and good
    for trying it out. This must come before TensorFlow's first operation: it makes the GPUs ready.

    Raises: UserError where the devices do not exist or cannot share the batch evenly, or a worker of the
        cluster cannot be reached.
    """
    runtime = config.runtime
    gpus = prepare()
    auto = runtime.strategy in ("auto", "multi_worker") and len(gpus) > 1  # a cluster may have one worker
    if not cluster.is_distributed and runtime.strategy != "mirrored" and not auto:
        if (runtime.replicas or 1) != 1:
            raise UserError(
                f"--replicas={runtime.replicas}: more than one needs several GPUs, or --strategy=mirrored"
            )
        return tf.distribute.get_strategy()

    count = runtime.replicas or max(1, len(gpus))
    if gpus and count > len(gpus):
        raise UserError(f"--replicas={count}: this machine has {len(gpus)} GPUs")
    keys, workers = config.key_frames_per_step, len(cluster.workers)
    if keys % (count * workers):
        on = f" on each of {workers} workers" if workers > 1 else ""
        raise UserError(
            f"--batch_size={config.training.batch_size}: {keys} key frames a step cannot be shared evenly by "
            f"{count} replicas{on}"
        )
    if cluster.is_distributed:
        if not gpus and count > 1:
            raise UserError(f"--replicas={count}: a worker without a GPU has one")
        tf.config.set_visible_devices(gpus[:count], "GPU")
        return connect(cluster, config)
    devices = [f"/gpu:{i}" for i in range(count)] if gpus else _logical_cpus(count)
    return tf.distribute.MirroredStrategy(devices)


def is_deterministic(runtime: RuntimeConfig) -> bool:
    """Whether operations give the same each time. It costs nothing on a CPU, but keeps XLA off."""
    return runtime.deterministic or not tf.config.list_physical_devices("GPU")


def distribute(strategy: tf.distribute.Strategy, batches: Callable[[Share], tf.data.Dataset]):
    """The batches of all replicas: `batches(share)` reads those of this worker, whose share it is told."""
    if strategy.num_replicas_in_sync == 1:
        return batches(Share())
    return strategy.distribute_datasets_from_function(
        lambda part: batches(
            Share(part.input_pipeline_id, part.num_input_pipelines, part.num_replicas_in_sync)
        )
    )


def _logical_cpus(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > 1:
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            )
        except RuntimeError:  # TensorFlow has already started; fine if it has enough devices
            if len(tf.config.list_logical_devices("CPU")) < count:
                raise
    return [f"/cpu:{i}" for i in range(count)]
