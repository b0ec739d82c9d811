"""Where a run executes: one device, or all of a machine's."""

from __future__ import annotations

import tensorflow as tf

from taf_keras.config import Config
from taf_keras.errors import UserError


def build_strategy(config: Config) -> tf.distribute.Strategy:
    """The strategy of `config.runtime.strategy`; `auto` is mirrored where there are two GPUs or more.

    Without a GPU, `mirrored` splits the CPU into `replicas` logical devices: slower than one, and good
    for trying it out. This must then come before TensorFlow's first operation.

    Raises: UserError where the devices do not exist or cannot share the batch evenly.
    """
    runtime = config.runtime
    gpus = tf.config.list_logical_devices("GPU") if tf.config.list_physical_devices("GPU") else []
    mirrored = runtime.strategy == "mirrored" or (runtime.strategy == "auto" and len(gpus) > 1)
    if not mirrored:
        if (runtime.replicas or 1) != 1:
            raise UserError(f"--replicas={runtime.replicas}: more than one needs --strategy=mirrored")
        return tf.distribute.get_strategy()

    count = runtime.replicas or max(1, len(gpus))
    keys = config.key_frames_per_step
    if keys % count:
        raise UserError(
            f"--batch_size={config.training.batch_size}: {keys} key frames a step cannot be shared evenly by "
            f"{count} replicas"
        )
    if gpus:
        if count > len(gpus):
            raise UserError(f"--replicas={count}: this machine has {len(gpus)} GPUs")
        return tf.distribute.MirroredStrategy([device.name for device in gpus[:count]])
    return tf.distribute.MirroredStrategy(_logical_cpus(count))


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
