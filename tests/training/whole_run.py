"""A run from beginning to end: trained, validated, evaluated, exported; some interrupted and resumed.

As a script, in a process of its own since a CPU can only be split before TensorFlow starts: one of RUNS under
MirroredStrategy on two logical devices. Usage: python whole_run.py FOLDER MODEL DTYPE METHOD
"""

import sys
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
from conftest import tiny_config
from taf_examples import every_layer

from taf_keras.config import Config
from taf_keras.evaluation.run import evaluate
from taf_keras.models import build
from taf_keras.storage.checkpoint import checkpoints
from taf_keras.training import callbacks
from taf_keras.training.run import train

# Every pair of a model, a number format and a method with or without partners.
RUNS = [
    ("deeplabv3plus", "float32", "taf"),
    ("fcn8s", "mixed_float16", "taf"),
    ("deeplabv3plus", "mixed_bfloat16", "slow"),
    ("fcn8s", "float32", "baseline"),
    ("deeplabv3plus", "mixed_float16", "baseline"),
    ("fcn8s", "mixed_bfloat16", "baseline"),
]
INTERRUPTED = RUNS[:2]  # with the optimizer of each kind; a second training takes as long as the first


def example(folder: Path, model: str, dtype: str, method: str, **runtime) -> Config:
    return tiny_config(
        folder,
        data={"image_size": (64, 64), "train_clips": 8, "val_clips": 4, "temporal_context": 2},
        model={"model": model, "backbone_width": 1.0},
        taf={"method": method},
        training={"dtype": dtype, "epochs": 2, "learning_rate": 0.02, "batch_size": 8},
        runtime=runtime,
    )


class Stop(Exception):
    pass


def whole_run(config: Config, folder: Path, interrupted: bool) -> None:
    """Trains, and evaluates the checkpoint and the export, which repeat the metrics."""

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise Stop

    run = Path(config.runtime.model_dir)
    steps = config.steps_per_epoch(config.data.train_clips)
    with mock.patch.object(build, "build_backbone", every_layer):
        if interrupted:
            with mock.patch.object(callbacks.ShowProgress, "on_epoch_end", stop), suppress(Stop):
                train(config)
            assert list(checkpoints(run / "checkpoints")) == [steps]
        metrics = train(config)
        assert list(checkpoints(run / "checkpoints")) == [steps, 2 * steps]
        again = evaluate(str(run), output_dir=str(folder / "again"))
    of_export = evaluate(str(run), saved_model=str(run / "export"), output_dir=str(folder / "of_export"))
    assert np.isfinite(metrics["miou"])
    for other in (again, of_export):
        # Equal but for rounding, where two classes are alike.
        assert abs(other["pixel_accuracy"] - metrics["pixel_accuracy"]) < 0.01


if __name__ == "__main__":
    folder, run = Path(sys.argv[1]), tuple(sys.argv[2:])
    whole_run(example(folder, *run, strategy="mirrored", replicas=2), folder, run in INTERRUPTED)
