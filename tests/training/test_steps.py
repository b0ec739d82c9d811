"""Several steps in one call: the same run, with every figure at its step."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from taf_keras.config import RuntimeConfig
from taf_keras.errors import UserError
from taf_keras.training.callbacks import ShowProgress, StepLogs, StopAtNaN
from taf_keras.training.run import train
from taf_keras.training.steps import WriteSteps, compile_arguments, end_calls_with_epochs


class Counter(keras.Model):
    """Its weight is the number of steps; its loss their index in the data set, counted up by the metric."""

    def __init__(self):
        super().__init__()
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")
        self.seen = keras.metrics.Mean(name="loss")
        self.built = True

    def train_step(self, position):
        self.count.assign_add(1.0)
        self.seen.update_state(position)
        return {"loss": self.seen.result()}


class EpochEnds(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.counts = []

    def on_epoch_end(self, epoch, logs=None):
        self.counts.append((int(self.model.count.numpy()), float(logs["loss"])))


def fit(per_call: int, steps_per_epoch: int, epochs: int, callbacks=(), first_epoch=0, values=None) -> list:
    """(steps done, mean position of the epoch's steps) at the end of each epoch."""
    model, ends = Counter(), EpochEnds()
    model.compile(optimizer="sgd", steps_per_execution=per_call)
    values = np.arange(steps_per_epoch * epochs, dtype=np.float32) if values is None else values
    batches = tf.data.Dataset.from_tensor_slices(values[first_epoch * steps_per_epoch :])
    end_calls_with_epochs(model, steps_per_epoch)
    model.fit(
        batches.repeat(),
        epochs=epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,
        callbacks=[*callbacks, ends],
        verbose=0,
    )
    return ends.counts


@pytest.mark.parametrize("per_call", [1, 2, 3, 5, 7])
def test_epochs_end_where_they_do_with_one_step_a_call(per_call):
    """Five steps an epoch: positions 0–4 have the mean 2, 5–9 the mean 7, 10–14 the mean 12."""
    assert fit(per_call, 5, 3) == [(5, 2.0), (10, 7.0), (15, 12.0)]


@pytest.mark.parametrize(
    ("per_call", "expected"),
    [(1, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]), (2, [7, 9, 10, 12, 14, 15]), (9, [10, 15])],
)
def test_progress_counts_steps(per_call, expected):
    """A training of three epochs of five steps, resumed behind the first."""
    shown = []
    progress = ShowProgress(lambda step, steps, text: shown.append((step, steps)), first_step=5, steps=15)
    fit(per_call, 5, 3, [progress], first_epoch=1)
    assert shown == [(step, 15) for step in expected]


def test_images_per_second_counts_steps(monkeypatch):
    """A clock that says 2 s at every look: 2, 4, 5 steps of 8 images are 8, 16, 20 images per second."""
    logs = StepLogs(images_per_step=8)
    logs.set_params({"steps": 5})
    monkeypatch.setattr("taf_keras.training.callbacks.time.perf_counter", iter([0, 2, 2, 2]).__next__)
    logs.on_epoch_begin(0)
    rates = []
    for batch in (1, 3, 5):  # what Keras says for two steps a call
        figures = {}
        logs.on_train_batch_end(batch, figures)
        rates.append(figures["images_per_second"])
    assert rates == [8, 16, 20]


def test_a_nan_stops_at_the_end_of_its_call(tmp_path):
    values = np.zeros(10, np.float32)
    values[6] = np.nan  # step 7, in the second epoch's first call: steps 6 to 8
    with pytest.raises(UserError, match="the loss is nan at step 8; no checkpoint was saved yet"):
        fit(3, 5, 2, [StopAtNaN(tmp_path, 0)], values=values)


def test_figures_are_written_at_their_steps(tmp_path):
    """Every 4 steps, in calls of 3 and 2: the first calls to reach 4, 8, 12 end at 5, 8, 13."""
    fit(3, 5, 3, [WriteSteps(tmp_path, 4, first_step=0)])
    (tag,) = (events := EventAccumulator(str(tmp_path)).Reload()).Tags()["tensors"]
    assert (tag, [event.step for event in events.Tensors(tag)]) == ("batch_loss", [5, 8, 13])


def test_a_run_is_the_same_with_several_steps_a_call(tmp_path):
    """Three steps an epoch in calls of two: the weights, the history and the checkpoints' names."""
    found = []
    for per_call in (1, 2):
        config = tiny_config(
            tmp_path,
            data={"train_clips": 6},
            runtime={"model_dir": str(tmp_path / str(per_call)), "steps_per_execution": per_call},
        )
        metrics = train(config)
        folder = Path(config.runtime.model_dir)
        names = sorted(path.name for path in (folder / "checkpoints").iterdir() if "step-" in path.name)
        history = pd.read_csv(folder / "history.csv").drop(columns="images_per_second")
        found.append((metrics["miou"], names, history))
    assert found[0][1] == found[1][1]
    assert any("step-00000006" in name for name in found[0][1])
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-3)
    pd.testing.assert_frame_equal(found[0][2], found[1][2], rtol=1e-3, atol=1e-3)


# --- XLA --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "replicas", "expected"),
    [("auto", 1, "auto"), ("auto", 2, False), ("true", 1, True), ("false", 1, False), ("false", 2, False)],
)
def test_what_keras_is_told_about_xla(flag, replicas, expected):
    arguments = compile_arguments(RuntimeConfig(jit_compile=flag), replicas)
    assert arguments == {"steps_per_execution": 1, "jit_compile": expected}


def test_auto_is_off_without_a_gpu():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    model = Counter()
    model.compile(optimizer="sgd", **compile_arguments(RuntimeConfig(), 1))
    assert model.jit_compile is False


def test_xla_is_refused_with_replicas():
    with pytest.raises(UserError, match=r"^--jit_compile=true: XLA cannot .* that 2 replicas share"):
        compile_arguments(RuntimeConfig(jit_compile="true"), 2)


def test_several_steps_a_call_are_refused_with_replicas():
    with pytest.raises(UserError, match=r"^--steps_per_execution=3: .* do not work with 2 replicas"):
        compile_arguments(RuntimeConfig(steps_per_execution=3), 2)
    assert compile_arguments(RuntimeConfig(steps_per_execution=3), 1)["steps_per_execution"] == 3


@pytest.mark.slow
def test_a_run_that_xla_compiles_is_the_same(tmp_path):
    config = tiny_config(tmp_path)
    compiled = replace(
        config, runtime=replace(config.runtime, model_dir=str(tmp_path / "xla"), jit_compile="true")
    )
    for each in (config, compiled):
        train(each)
    one, other = (pd.read_csv(Path(c.runtime.model_dir) / "history.csv") for c in (config, compiled))
    # Random weights magnify the other rounding: the losses of two epochs differed by 2 and 0.6 %.
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=0.1)
