"""The whole of a run, small: what it writes, that it can be taken up again, and what stops it."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from taf_keras.errors import UserError
from taf_keras.storage.checkpoint import spent_until
from taf_keras.training.run import train
from taf_keras.training.steps import validated_epochs

pytestmark = pytest.mark.usefixtures("small_backbone")


def weights(path):
    """name -> array of every data set in a checkpoint."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None)
    return found


def test_the_folder_holds_what_the_readme_says(finished_run):
    config, metrics = finished_run
    folder = Path(config.runtime.model_dir)
    names = {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert names == {"config.json", "checkpoints", "tensorboard", "history.csv", "metrics.json", "export"}
    written = json.loads((folder / "metrics.json").read_text())
    assert written["miou"] == metrics["miou"]
    assert written["frames"] == 3
    assert set(written["per_class_iou"]) >= {"sky", "road", "car"}

    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    # The rate after the last step has decayed to 0.
    assert history["learning_rate"].iloc[-1] == 0
    assert np.isfinite(history["loss"]).all()
    # 2 validations in 4 epochs.
    assert history["val_miou"].notna().tolist() == [False, True, False, True]


def test_tensorboard_has_the_scalars_and_pictures(finished_run):
    folder = Path(finished_run[0].runtime.model_dir) / "tensorboard"
    names = ("train", "validation", "steps")
    tags = {name: EventAccumulator(str(folder / name)).Reload().Tags() for name in names}
    pictures = EventAccumulator(str(folder / "pictures")).Reload().Tags()
    # Keras writes its scalars as tensors.
    assert {"epoch_loss", "epoch_taf", "epoch_cross_entropy", "epoch_learning_rate"} <= set(
        tags["train"]["tensors"]
    )
    of_steps = {"batch_loss", "batch_delta/image_pool", "batch_over_slack/conv1x1", "batch_images_per_second"}
    assert of_steps <= set(tags["steps"]["tensors"])
    assert {"epoch_miou", "epoch_iou/road"} <= set(tags["validation"]["tensors"])
    assert len(pictures["tensors"]) == 2  # two validation clips


def test_a_run_that_ended_is_not_run_again(finished_run, capsys):
    config, metrics = finished_run
    before = sorted(Path(config.runtime.model_dir).rglob("*"))
    assert train(config)["miou"] == metrics["miou"]
    assert "has ended already" in capsys.readouterr().out
    assert sorted(Path(config.runtime.model_dir).rglob("*")) == before


def test_an_interrupted_run_ends_with_the_same_weights(finished_run, tmp_path):
    """A copy without what came after the third epoch: the last checkpoint, of the second, is gone on from."""
    whole = Path(finished_run[0].runtime.model_dir)
    later = shutil.ignore_patterns("step-00000012*", "metrics.json", "export")
    parts = shutil.copytree(whole, tmp_path / "parts", ignore=later)
    rows = (whole / "history.csv").read_text().splitlines(keepends=True)
    (parts / "history.csv").write_text("".join(rows[:4]))
    config = replace(finished_run[0], runtime=replace(finished_run[0].runtime, model_dir=str(parts)))
    before, started = spent_until(parts / "checkpoints" / "step-00000006.weights.h5"), time.monotonic()
    metrics = train(config)
    own = time.monotonic() - started
    # The time of a run is that of both its parts.
    assert 0 < before.training_seconds < before.seconds
    assert own < metrics["seconds"] < before.seconds + own
    assert before.training_seconds < metrics["training_seconds"] < before.training_seconds + own
    assert pd.read_csv(parts / "history.csv")["epoch"].tolist() == [0, 1, 2, 3]
    assert metrics["per_class_iou"] == pytest.approx(finished_run[1]["per_class_iou"], abs=0, nan_ok=True)

    name = "checkpoints/step-00000012.weights.h5"
    a, b = weights(whole / name), weights(parts / name)
    assert a.keys() == b.keys()
    assert any("optimizer" in key for key in a)
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_a_loss_that_is_not_finite_stops_with_step_and_checkpoint(untraced, tmp_path):
    # A learning rate of 1e30 makes the second step's loss infinite or NaN.
    config = tiny_config(tmp_path, training={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"stopped at step [23]: .*(nan|inf|not finite); no checkpoint"):
        train(config)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_baseline_on_files_sees_key_frames_only(untraced, tmp_path, camvid):
    """A batch of 4 is 4 labelled examples: 0.6 of 5 labels are 3 key frames, so 1 step an epoch."""
    config = tiny_config(
        tmp_path,
        data={"dataset": "camvid", "data_dir": str(camvid), "temporal_context": 30, "label_fraction": 0.6},
        taf={"method": "baseline"},
        training={"epochs": 1, "dtype": "mixed_bfloat16"},
        runtime={"validations": 1},
    )
    metrics = train(config)
    assert keras.config.dtype_policy().name == "float32"  # the caller's
    assert metrics["steps"] == 1
    assert (metrics["split"], metrics["frames"]) == ("val", 2)
    assert set(metrics["per_class_iou"]) >= {"sky", "bicyclist"}
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert not [name for name in history if name.startswith("delta/")]


def test_a_run_does_not_go_on_with_other_training_clips(untraced, tmp_path, camvid):
    """It had one more clip than --on_bad_file=skip leaves now. When it has ended, that is of no interest."""
    config = tiny_config(
        tmp_path,
        data={"dataset": "camvid", "data_dir": str(camvid), "on_bad_file": "skip"},
        taf={"method": "baseline"},
        training={"epochs": 1},
        runtime={"validations": 0},
    )
    metrics = train(config)
    still = camvid / "train" / "Seq05VD_f00030.png"
    contents = still.read_bytes()
    still.write_bytes(b"")
    assert train(config)["miou"] == metrics["miou"]
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"run: its run began with other training clips \(5 then, 4 now\): "):
        train(config)
    still.write_bytes(contents)
    assert train(config)["miou"] == metrics["miou"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"data": {"crop_size": (64, 64)}}, "--crop_size=64x64: must not exceed the image size 32x48"),
        ({"data": {"dataset": "camvid", "data_dir": "/nowhere"}}, "/nowhere/train: no such folder"),
        ({"model": {"backbone_weights": "/no/such.h5"}}, "--backbone_weights=/no/such.h5: no such file"),
        ({"runtime": {"strategy": "mirrored", "replicas": 3}}, "cannot be shared evenly by 3 replicas"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, groups, message):
    with pytest.raises(UserError, match=message):
        train(tiny_config(tmp_path, **groups))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_refused_before_a_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("taf_keras.training.run.load_checked", lambda *_: pytest.fail("reads the data"))
    (tmp_path / "notes").write_text("")
    with pytest.raises(UserError, match=r"notes/run: cannot be written: .*/notes is a file$"):
        train(tiny_config(tmp_path / "notes"))


@pytest.mark.parametrize(
    ("epochs", "validations", "expected"),
    [
        (300, 10, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300]),
        (25, 10, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]),
        (3, 10, [1, 2, 3]),
        (19, 1, [19]),
        (19, 0, [19]),  # a checkpoint alone
    ],
)
def test_validations_are_as_many_as_asked_for_and_one_is_at_the_end(tmp_path, epochs, validations, expected):
    config = tiny_config(
        tmp_path, training={"epochs": epochs}, runtime={"validations": validations, "model_dir": "run"}
    )
    assert validated_epochs(config) == expected
