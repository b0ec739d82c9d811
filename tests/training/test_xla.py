"""Runs from beginning to end whose steps XLA compiles, as Keras has it on a machine with one GPU."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_config
from taf_examples import every_layer
from tensorflow.python.eager import context
from tensorflow.python.framework import config as framework

from taf_keras.evaluation.run import evaluate
from taf_keras.models import build
from taf_keras.training import callbacks, session
from taf_keras.training.run import train

# Every pair of a model, a number format and a method with or without partners.
RUNS = [
    ("deeplabv3plus", "float32", "taf"),
    ("fcn8s", "mixed_float16", "taf"),
    ("deeplabv3plus", "mixed_bfloat16", "slow"),
    ("fcn8s", "float32", "baseline"),
    ("deeplabv3plus", "mixed_float16", "baseline"),
    ("fcn8s", "mixed_bfloat16", "propagate"),
    ("fcn8s", "mixed_bfloat16", "baseline"),
]
IN_EVERY_SUITE = 2


@pytest.fixture
def xla_allowed(monkeypatch):
    """XLA compiles no deterministic operations, which a CPU takes for every run but these."""
    monkeypatch.setattr(session, "is_deterministic", lambda config: False)
    was_on = framework.is_op_determinism_enabled()
    framework.disable_op_determinism()
    yield
    if was_on:
        tf.config.experimental.enable_op_determinism()


class Stop(Exception):
    pass


def compiled_steps(known: set[str]) -> list[bool]:
    """Whether XLA must compile it, for each function of a step that TensorFlow has got since `known`."""
    names = [name for name in context.context().list_function_names() if name not in known]
    steps = [name for name in names if "one_step_on_data" in str(name)]
    return [context.context().get_function_def(name).attr["_XlaMustCompile"].b for name in steps]


@pytest.mark.parametrize(
    ("model", "dtype", "method"),
    [
        pytest.param(*run, marks=[] if i < IN_EVERY_SUITE else pytest.mark.end_to_end)
        for i, run in enumerate(RUNS)
    ],
)
def test_a_compiled_run_from_beginning_to_end(xla_allowed, tmp_path, monkeypatch, model, dtype, method):
    """Trained, interrupted, resumed, validated, evaluated, exported, and the export evaluated."""
    monkeypatch.setattr(build, "build_backbone", every_layer)
    config = tiny_config(
        tmp_path,
        data={"image_size": (64, 64), "train_clips": 4, "temporal_context": 2},
        model={"model": model, "backbone_width": 1.0},
        taf={"method": method},
        training={"dtype": dtype, "epochs": 2, "learning_rate": 0.02},
        runtime={"jit_compile": "true"},
    )
    known = set(context.context().list_function_names())
    with monkeypatch.context() as patch:

        def stop(self, epoch, logs=None):
            if epoch == 1:
                raise Stop

        patch.setattr(callbacks.ShowProgress, "on_epoch_end", stop)
        with pytest.raises(Stop):
            train(config)
    run = Path(config.runtime.model_dir)
    assert [path.name for path in (run / "checkpoints").glob("step-*")] == [f"step-{2:08d}.weights.h5"] or (
        method == "baseline"  # one step an epoch
    )
    metrics = train(config)
    compiled = compiled_steps(known)
    assert len(compiled) >= 4  # training and validation, twice
    assert all(compiled)

    assert np.isfinite(metrics["miou"])
    again = evaluate(str(run), output_dir=str(tmp_path / "again"))
    of_export = evaluate(str(run), saved_model=str(run / "export"), output_dir=str(tmp_path / "export"))
    assert again["per_class_iou"] == pytest.approx(metrics["per_class_iou"], nan_ok=True)
    assert of_export["per_class_iou"] == pytest.approx(metrics["per_class_iou"], nan_ok=True)
