"""Runs from beginning to end on the paths of a machine with one GPU, and with several, without either."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import config as framework
from whole_run import INTERRUPTED, RUNS, example, whole_run

from taf_keras.evaluation.confusion import confusion_matrices
from taf_keras.models.layers import resize
from taf_keras.training import strategy
from taf_keras.training.checkpoints import SaveCheckpoints

ROOT = Path(__file__).parents[2]


@pytest.fixture
def xla_allowed(monkeypatch):
    """XLA compiles no deterministic operations, which a CPU takes for every run but these."""
    monkeypatch.setattr(strategy, "is_deterministic", lambda config: False)
    was_on = framework.is_op_determinism_enabled()
    framework.disable_op_determinism()
    yield
    if was_on:
        tf.config.experimental.enable_op_determinism()


def compiled_steps(known: set) -> list[bool]:
    """Whether XLA must compile it, for each function of a step that TensorFlow has got since `known`."""
    names = [name for name in context.context().list_function_names() if name not in known]
    steps = [name for name in names if "one_step_on_data" in str(name)]
    return [context.context().get_function_def(name).attr["_XlaMustCompile"].b for name in steps]


@pytest.mark.end_to_end
@pytest.mark.parametrize("run", RUNS, ids="-".join)
def test_a_run_that_xla_compiles_from_beginning_to_end(xla_allowed, tmp_path, monkeypatch, run):
    known, compiled = set(context.context().list_function_names()), []
    save = SaveCheckpoints._save

    def look_and_save(self):  # while the trainer lives
        compiled.append(compiled_steps(known))
        save(self)

    monkeypatch.setattr(SaveCheckpoints, "_save", look_and_save)
    whole_run(example(tmp_path, *run, jit_compile="true"), tmp_path, run in INTERRUPTED)
    assert len(compiled) == 2  # of the two epochs, before and after an interruption
    for steps in compiled:
        assert len(steps) >= 2  # of training and of validation
        assert all(steps)


@pytest.mark.end_to_end
@pytest.mark.parametrize("run", RUNS, ids="-".join)
def test_a_run_on_two_replicas_from_beginning_to_end(tmp_path, run):
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "taf")))
    command = [sys.executable, str(Path(__file__).with_name("whole_run.py")), str(tmp_path), *run]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert result.returncode == 0, result.stderr[-3000:]
    assert "split into 2 devices" in result.stdout


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_xla_has_a_gradient_of_the_resize(dtype):
    @tf.function(jit_compile=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(resize(x, (8, 12)))
        return tape.gradient(total, x)

    result = gradient(tf.ones((1, 4, 6, 2), dtype))
    assert result.dtype == dtype
    assert float(tf.reduce_sum(tf.cast(result, tf.float32))) == pytest.approx(8 * 12 * 2, rel=0.01)


def test_xla_compiles_the_confusion_matrix():
    """Frames of 2·3 pixels: void, which does not count, and a class taken for another."""
    labels = tf.constant([[[0, 0, 1], [1, 255, 2]], [[2, 2, 2], [0, 0, 255]]], tf.uint8)
    predictions = tf.constant([[[0, 1, 1], [1, 0, 2]], [[2, 0, 2], [0, 0, 0]]])
    counts = tf.function(confusion_matrices, jit_compile=True)(labels, predictions, 3)
    assert counts.dtype == tf.int64
    assert counts.numpy().tolist() == [
        [[1, 1, 0], [0, 2, 0], [0, 0, 1]],
        [[2, 0, 0], [0, 0, 0], [1, 0, 2]],
    ]
