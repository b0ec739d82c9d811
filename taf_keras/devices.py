"""The GPUs of this machine: made ready, named, and missed where there should be some."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taf_keras.config import usable_cores
from taf_keras.errors import UserError

_DRIVER = Path("/proc/driver/nvidia/version")


def require_tensorflow() -> None:
    """UserError where Keras is set to another backend, without the seconds that it takes to import it."""
    settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "keras.json")
    try:
        backend = json.loads(settings.read_text()).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        backend = "tensorflow"  # Keras, too, then takes its defaults
    backend = os.environ.get("KERAS_BACKEND") or backend
    if backend != "tensorflow":
        raise UserError(
            f"KERAS_BACKEND={backend}: commands run on TensorFlow; set KERAS_BACKEND=tensorflow. The library "
            f"(taf_keras.TAF) runs on {backend} too"
        )


def prepare() -> list:
    """TensorFlow's GPUs, which then take memory as they need it, so that a shared card stays shared.

    This must come before TensorFlow's first operation, and refuses another backend of Keras. A machine that
    has an NVIDIA driver, but no GPU for TensorFlow, gets a warning that says what is missing.
    """
    require_tensorflow()
    import tensorflow as tf  # not before --help

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # TensorFlow has already started: in a notebook, or in an earlier run
            break
    if not gpus and _has_driver() and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1"):
        print(
            "warning: this machine has an NVIDIA driver, but TensorFlow sees no GPU and works on the CPU: "
            'pip install "tensorflow[and-cuda]" brings what it needs',
            flush=True,
        )
    return gpus


def _has_driver() -> bool:
    return _DRIVER.exists() or shutil.which("nvidia-smi") is not None


def describe(gpus: list, replicas: int) -> str:
    """For the terminal: '2 GPUs (NVIDIA A100)', 'CPU (8 cores)'; with the replicas that split a CPU."""
    import tensorflow as tf

    if not gpus:
        split = f", split into {replicas} devices" if replicas > 1 else ""
        return f"CPU ({usable_cores()} cores{split})"
    used = gpus[:replicas]
    details = (tf.config.experimental.get_device_details(gpu) for gpu in used)
    names = Counter(found.get("device_name", "GPU") for found in details)
    return f"{len(used)} GPU{'s' * (len(used) > 1)} ({', '.join(names)})"


@contextmanager
def out_of_memory(remedy: str) -> Iterator[None]:
    """Inside, a device that runs out of memory is a UserError that says the `remedy`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if "memory" not in error.message.lower() and "OOM" not in error.message:
            raise  # a full disk
        raise UserError(f"the device has no memory left: {remedy}") from None
