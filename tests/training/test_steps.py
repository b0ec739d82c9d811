"""Several steps in one call: the same run, with every figure at its step."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from taf_keras.config import RuntimeConfig
from taf_keras.errors import UserError
from taf_keras.progress import Progress
from taf_keras.taf.trainer import ReplicaMean
from taf_keras.training.callbacks import ShowProgress, StepLogs, StopAtNaN, WriteEpochs
from taf_keras.training.run import train
from taf_keras.training.steps import DeviceLogs, WriteSteps, compile_arguments, end_calls_with_epochs


class Counter(keras.Model):
    """Its weight is the number of steps; its loss their index in the data set, counted up by the metric."""

    def __init__(self):
        super().__init__()
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")
        self.seen = ReplicaMean("loss")
        self.step_metrics = [self.seen]
        self.built = True

    def train_step(self, position):
        self.count.assign_add(1.0)
        self.seen.update_state(position[None])
        return {"loss": self.seen.result()}


class Validated(Counter):
    def test_step(self, position):
        return {"miou": position}


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


class Said(list):
    """In place of a `Progress`: what it was told to say."""

    say = list.append

    def __call__(self, done, total, text):
        pass


@pytest.mark.parametrize("first_step", [0, 30])
def test_after_5_and_50_steps_the_time_to_go_is_said(monkeypatch, first_step):
    """Epochs of 5 steps; the first step takes 99 s, since it traces, the next nine 9 s, the others 4 s."""
    said, now = Said(), 0.0
    progress = ShowProgress(said, first_step, first_step + 100)
    progress.set_params({"steps": 5})
    monkeypatch.setattr("taf_keras.training.callbacks.time.monotonic", lambda: now)
    for step in range(1, 61):
        if step % 5 == 1:
            progress.on_epoch_begin(step // 5)
        now += 99 if step == 1 else 9 if step <= 10 else 4
        progress.on_train_batch_end((step - 1) % 5, {"loss": 1.0})
        assert len(said) == (step >= 5) + (step >= 50)
    assert said == [
        "a first estimate: an epoch takes 45.0 s: about 14:15 to go",
        "an epoch takes 20.0 s: about 3:20 to go",
    ]


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


def test_the_validation_does_not_count_as_time_of_its_epoch(monkeypatch):
    """Two epochs of 5 steps of 8 images; a step takes 1 s, and the validation of the second epoch 95 s."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("taf_keras.training.callbacks.time.perf_counter", lambda: clock.now)

    class Tick(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock.now += 1

        def on_test_batch_end(self, batch, logs=None):
            clock.now += 95

    model = Validated()
    model.compile(optimizer=keras.optimizers.SGD())
    values = tf.data.Dataset.from_tensor_slices(np.zeros(1, np.float32))
    history = model.fit(
        values.repeat(),
        epochs=2,
        steps_per_epoch=5,
        shuffle=False,
        callbacks=[Tick(), StepLogs(8)],
        validation_data=values,
        validation_freq=2,
        verbose=0,
    ).history
    assert clock.now == 105
    assert history["images_per_second"] == [8, 8]


def test_a_nan_stops_at_the_end_of_its_call(tmp_path):
    values = np.zeros(10, np.float32)
    values[6] = np.nan  # step 7, in the second epoch's first call: steps 6 to 8
    with pytest.raises(UserError, match="stopped at step 8: the loss is nan; no checkpoint was saved yet"):
        fit(3, 5, 2, [StopAtNaN(tmp_path, 1, 0, None, None)], values=values)


def points(folder) -> list[tuple[int, float]]:
    """(step, value) of each batch_loss."""
    (tag,) = (events := EventAccumulator(str(folder)).Reload()).Tags()["tensors"]
    assert tag == "batch_loss"
    return [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]


def test_figures_are_written_at_their_steps(tmp_path):
    """Every 4 steps, in calls of 3 and 2: the first calls to reach 4, 8, 12 end at 5, 8, 13.

    Each is the mean since the last one, within the epoch: of positions 0–4, 5–7 and 10–12.
    """
    fit(3, 5, 3, [WriteSteps(tmp_path, 4, first_step=0)])
    assert points(tmp_path) == [(5, 2.0), (8, 6.0), (13, 11.0)]


def test_a_figure_of_every_step_is_its_own(tmp_path):
    """Not the epoch's running mean, which would be 2 at the fifth step."""
    fit(1, 5, 1, [WriteSteps(tmp_path, 1, first_step=0)])
    assert points(tmp_path) == [(1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 4.0)]


def test_a_nan_is_found_where_the_loss_is_looked_at(tmp_path):
    """Every 4 steps: the mean keeps the NaN of step 2 until then."""
    values = np.arange(10, dtype=np.float32)
    values[1] = np.nan
    with pytest.raises(UserError, match="stopped at step 4: the loss is nan"):
        fit(1, 10, 1, [StopAtNaN(tmp_path, 4, 0, None, None)], values=values)


class Figure:
    """What stands on a device: each look at its number would wait for it."""

    looks = 0

    def __float__(self):
        Figure.looks += 1
        return 1.0


def test_the_device_is_waited_for_where_the_loss_is_looked_at(tmp_path, monkeypatch):
    """100 steps, a look every 25 by the stop at a NaN; the progress line shows none so soon."""
    monkeypatch.setattr(Figure, "looks", 0)
    model = Counter()
    progress = Progress("training", stream=io.StringIO())
    callbacks = [
        StepLogs(8),
        StopAtNaN(tmp_path, 25, 0, None, None),
        WriteSteps(tmp_path, 25, 0),
        WriteEpochs(str(tmp_path), update_freq="epoch", write_graph=False),
        ShowProgress(progress, 0, 1000),
    ]
    steps = DeviceLogs(callbacks, model=model, epochs=1, steps=100)
    for callback in callbacks[:3]:
        callback.on_epoch_begin(0)
    for step in range(100):
        steps.on_train_batch_end(step, {"loss": Figure()})
    assert Figure.looks == 4


def test_a_run_is_the_same_with_several_steps_a_call(finished_run, tmp_path):
    """Three steps an epoch in calls of two: the weights, the history and the checkpoints' names."""
    one, metrics = finished_run
    two = replace(one, runtime=replace(one.runtime, model_dir=str(tmp_path), steps_per_execution=2))
    assert train(two)["miou"] == pytest.approx(metrics["miou"], abs=1e-3)
    names, histories = [], []
    for folder in map(Path, (one.runtime.model_dir, tmp_path)):
        names.append(sorted(path.name for path in (folder / "checkpoints").glob("step-*")))
        histories.append(pd.read_csv(folder / "history.csv").drop(columns="images_per_second"))
    assert names[0] == names[1]
    assert any("step-00000006" in name for name in names[0])
    pd.testing.assert_frame_equal(*histories, rtol=1e-3, atol=1e-3)


# --- XLA --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "replicas", "expected"),
    [("auto", 1, "auto"), ("auto", 2, False), ("true", 1, True), ("false", 1, False), ("false", 2, False)],
)
def test_what_keras_is_told_about_xla(flag, replicas, expected):
    arguments = compile_arguments(RuntimeConfig(jit_compile=flag), replicas, deterministic=False)
    assert arguments == {"steps_per_execution": 1, "jit_compile": expected}


def test_auto_is_off_without_a_gpu():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    model = Counter()
    model.compile(optimizer="sgd", **compile_arguments(RuntimeConfig(), 1, deterministic=True))
    assert model.jit_compile is False


def test_xla_is_refused_with_replicas():
    with pytest.raises(UserError, match=r"^--jit_compile=true: XLA cannot .* that 2 replicas share"):
        compile_arguments(RuntimeConfig(jit_compile="true"), 2, deterministic=False)


def test_xla_is_refused_with_deterministic_operations():
    """Where Keras would compile nothing, and not say so."""
    with pytest.raises(UserError, match=r"^--jit_compile=true: XLA has no deterministic operations"):
        compile_arguments(RuntimeConfig(jit_compile="true"), 1, deterministic=True)


def test_several_steps_a_call_are_refused_with_replicas():
    with pytest.raises(UserError, match=r"^--steps_per_execution=3: .* do not work with 2 replicas"):
        compile_arguments(RuntimeConfig(steps_per_execution=3), 2, deterministic=True)
    arguments = compile_arguments(RuntimeConfig(steps_per_execution=3), 1, deterministic=True)
    assert arguments["steps_per_execution"] == 3
