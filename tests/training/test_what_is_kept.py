"""What a run keeps: checkpoints by the clock, the best validation, and nothing that is not finite."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import tiny_config
from test_run import weights

from taf_keras.config import RuntimeConfig, TrainingConfig
from taf_keras.errors import PartlyDone, UserError
from taf_keras.evaluation.evaluate import network_predictor
from taf_keras.evaluation.network import reported_checkpoint
from taf_keras.evaluation.run import evaluate
from taf_keras.storage.checkpoint import Spent, best_until, checkpoints
from taf_keras.storage.run import Run
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training import callbacks
from taf_keras.training import checkpoints as saving
from taf_keras.training.callbacks import StopAtNaN
from taf_keras.training.run import train

pytestmark = pytest.mark.usefixtures("small_backbone")


class Stop(Exception):
    pass


# --- Checkpoints by the clock ---


@pytest.mark.end_to_end
def test_a_run_goes_on_in_the_middle_of_an_epoch_bit_for_bit(tmp_path, monkeypatch):
    """With 0 minutes there is a checkpoint at every step; the last one before a crash is used.

    The undisturbed run has one at each of its two validations alone, and its last weights by default.
    """
    whole = tiny_config(tmp_path, training={"epochs": 4}, runtime={"model_dir": str(tmp_path / "whole")})
    metrics = train(whole)
    assert (metrics["weights"], metrics["weights_step"]) == ("last", 8)
    assert list(checkpoints(tmp_path / "whole" / "checkpoints")) == [4, 8]
    parts = replace(
        whole, runtime=replace(whole.runtime, model_dir=str(tmp_path / "parts"), checkpoint_minutes=0.0)
    )
    with monkeypatch.context() as patch:

        def crash(self, batch, logs=None):
            if self.model.optimizer.iterations == 6:  # the end of the third epoch's second step
                raise Stop

        patch.setattr(callbacks.StepLogs, "on_train_batch_end", crash)
        with pytest.raises(Stop):
            train(parts)
    folder = tmp_path / "parts" / "checkpoints"
    assert list(checkpoints(folder)) == [4, 5]
    train(parts)
    name = "checkpoints/step-00000008.weights.h5"
    a, b = weights(Path(whole.runtime.model_dir) / name), weights(tmp_path / "parts" / name)
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    histories = [
        pd.read_csv(Path(run) / "history.csv").drop(columns="images_per_second")
        for run in (whole.runtime.model_dir, tmp_path / "parts")
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)


@pytest.mark.parametrize(("minutes", "expected"), [(2.0, [2, 4]), (3.0, [3]), (float("inf"), [])])
def test_a_checkpoint_is_written_when_the_last_one_is_old_enough(tmp_path, monkeypatch, minutes, expected):
    """A clock that goes a minute a step: five steps of one long epoch."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(saving.time, "monotonic", lambda: clock.now)
    saved = []
    monkeypatch.setattr(saving.checkpoint, "save", lambda model, folder, step, *rest: saved.append(step))
    monkeypatch.setattr(saving, "epoch_sums", lambda model: {})
    request = SimpleNamespace(signal=None, obey=lambda text: None)
    save = saving.SaveCheckpoints(tmp_path, [1], minutes, 100, 0, request, lambda: None)
    save.set_params({"steps": 100})
    for step in range(5):
        clock.now += 60
        save.on_train_batch_end(step)
    assert saved == expected


def test_the_time_of_a_run_is_that_of_all_its_parts(monkeypatch):
    """A second part begins at 10 s of its clock, and trains from 15 s on."""
    clock = SimpleNamespace(now=15.0)
    monkeypatch.setattr(saving.time, "monotonic", lambda: clock.now)
    spent = saving.Stopwatch(10.0, Spent(100.0, 60.0))
    assert spent() == Spent(105.0, 60.0)
    clock.now = 20.0
    assert spent() == Spent(seconds=110.0, training_seconds=65.0)


# --- The best validation ---


@pytest.mark.end_to_end
def test_the_best_validation_is_kept_and_exported(tmp_path, monkeypatch, capsys):
    """The second of four validations is made the best. The last two checkpoints are kept as ever."""
    mious = [0.1, 0.9, 0.3, 0.9]  # an equal one later does not count
    original = callbacks.StepLogs.on_epoch_end

    def with_miou(self, epoch, logs=None):
        original(self, epoch, logs)
        logs["val_miou"] = mious[epoch]

    monkeypatch.setattr(callbacks.StepLogs, "on_epoch_end", with_miou)
    config = tiny_config(
        tmp_path,
        training={"epochs": 4, "keep_best": "miou", "export_weights": "best"},
        runtime={"validations": 4},
    )
    with monkeypatch.context() as patch:  # the run ends before its last checkpoint, and goes on

        def stop(self, epoch, logs=None):
            if epoch == 3:
                raise Stop

        patch.setattr(callbacks.ShowProgress, "on_epoch_end", stop)
        with pytest.raises(Stop):
            train(config)
    metrics = train(config)
    folder = tmp_path / "run"
    kept = checkpoints(folder / "checkpoints")
    assert list(kept) == [4, 6, 8]
    assert best_until(kept[8]) == (4, 0.9)
    assert (metrics["weights"], metrics["weights_step"]) == ("best", 4)
    assert reported_checkpoint(Run(folder)) == kept[4]
    of_best = evaluate(str(folder), output_dir=str(tmp_path / "best"))
    of_export = evaluate(str(folder), saved_model=str(folder / "export"), output_dir=str(tmp_path / "export"))
    for again in (of_best, of_export):
        assert again["per_class_iou"] == pytest.approx(metrics["per_class_iou"], nan_ok=True)
    last = weights(kept[8])
    assert any(not np.array_equal(last[name], value) for name, value in weights(kept[4]).items())


def test_the_best_needs_what_measures_it(tmp_path):
    with pytest.raises(UserError, match=r"^--export_weights=best needs --keep_best=miou"):
        TrainingConfig(export_weights="best")
    with pytest.raises(UserError, match=r"^--keep_best=miou: needs --validations of 1 or more"):
        tiny_config(tmp_path, training={"keep_best": "miou"}, runtime={"validations": 0})


# --- Nothing that is not finite ---


@pytest.mark.parametrize("learning_rate", [1e12, 1e38])
def test_what_the_last_update_did_is_found_before_anything_is_kept(untraced, tmp_path, learning_rate):
    """One step: its loss is finite, its weights, or what they predict, are not."""
    config = tiny_config(
        tmp_path,
        data={"train_clips": 2},
        training={"epochs": 1, "learning_rate": learning_rate, "warmup_steps": 0},
    )
    with pytest.raises(UserError, match=r"^training stopped at step 1: .*not finite.*no checkpoint was"):
        train(config)
    run = tmp_path / "run"
    assert not any((run / name).exists() for name in ("metrics.json", "export", "history.csv"))
    assert not checkpoints(run / "checkpoints")


def test_finite_weights_whose_predictions_are_not_are_found(tmp_path):
    """Two layers of weights of 1e30: each is a finite number, their product is none."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(1e30))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, kernel_initializer="ones")(layer(image)))
    stop = StopAtNaN(tmp_path, 1, 0, network_predictor(network), np.full((4, 4, 3), 255, np.uint8))
    model = SimpleNamespace(network=network, optimizer=SimpleNamespace(variables=[]))
    stop.set_model(model)
    stop.check()  # 1e30 · 765 is finite
    layer.kernel.assign(layer.kernel * 1e8)
    with pytest.raises(UserError, match="step 0: the network's predictions are not finite"):
        stop.check()
    layer.bias.assign([np.nan, 0.0])
    with pytest.raises(UserError, match=f"step 0: {layer.bias.path} is not finite"):
        stop.check()


def test_a_network_that_has_diverged_is_not_evaluated(tmp_path):
    """As checkpoints of earlier versions may hold one."""
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, bias_initializer="ones")(image))
    network.layers[-1].bias.assign([np.nan, 0.0])
    with pytest.raises(UserError, match="predictions are not finite: its training has diverged"):
        network_predictor(network)(np.zeros((1, 4, 4, 3), np.uint8))


# --- What is optional ---


def test_a_format_that_fails_costs_itself_alone_and_is_tried_again(
    finished_run, tmp_path, monkeypatch, capsys
):
    """Of a copy of the run, which goes on at its last checkpoint, behind the last step."""
    whole, folder = finished_run[0], tmp_path / "run"
    shutil.copytree(whole.runtime.model_dir, folder, ignore=shutil.ignore_patterns("metrics.json", "export"))
    formats = {"model_dir": str(folder), "export_formats": ("litert", "onnx")}
    config = replace(whole, runtime=replace(whole.runtime, **formats))
    for module in ("training.formats", "training.run"):
        monkeypatch.setattr(f"taf_keras.{module}.check_formats", lambda formats: None)

    def export(model, path, format, **kwargs):
        Path(path).write_text("half of it, or all")
        if format == "onnx":
            raise ValueError("no such operation\nin many words")

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "export", export)
        with pytest.raises(PartlyDone, match=r"^--export_formats=onnx: .*\(ValueError: no such operation\)"):
            train(config)
    run = tmp_path / "run"
    assert json.loads((run / "metrics.json").read_text())["frames"] == 3
    names = {path.name for path in (run / "export").iterdir()}
    assert {"saved_model.pb", "model.tflite"} <= names
    assert not any("onnx" in name for name in names)

    asked = []

    def export_again(model, path, format, **kwargs):
        asked.append(format)
        Path(path).write_text("whole")

    monkeypatch.setattr(keras.Model, "export", export_again)
    assert train(config)["frames"] == 3
    assert asked == ["onnx"]
    assert (run / "export" / "model.onnx").read_text() == "whole"
    assert "has ended already" in capsys.readouterr().out


def test_a_training_without_memory_ends_with_what_needs_less(tmp_path, monkeypatch):
    def fit(self, *args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,64]")

    monkeypatch.setattr(TAFTrainer, "fit", fit)
    names = "--batch_size or --crop_size .* --gradient_accumulation_steps; .* --eval_batch_size"
    with pytest.raises(UserError, match=f"^the device has no memory left: .*{names}$"):
        train(tiny_config(tmp_path))


def test_minutes_may_be_infinite_but_not_negative():
    assert RuntimeConfig(checkpoint_minutes=float("inf")).checkpoint_minutes == float("inf")
    for minutes in (-1.0, float("nan")):
        with pytest.raises(UserError, match="must be 0 or more minutes; inf is never"):
            RuntimeConfig(checkpoint_minutes=minutes)
