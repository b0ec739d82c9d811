"""The line at a run's end on what TAF has gained, or how to find out."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from flags import parse_config, train_command
from taf_keras.command_line import TRAIN_SHOWN
from taf_keras.config import Config, DataConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.storage.run import Run
from taf_keras.training import screens
from taf_keras.training.gain import gain

OWN = Config(
    data=DataConfig("manifest", "my data", image_size=(96, 128)),
    training=TrainingConfig(batch_size=8, epochs=7, seed=3),
)
PROGRAM = ("taf-train",)
BASELINE = replace(OWN, taf=TAFConfig("baseline"), training=replace(OWN.training, batch_size=4))


@pytest.fixture
def ended(tmp_path):
    """Writes a run that has ended with a mIoU, without training it."""

    def write(name: str, config: Config, miou: float, split: str = "val") -> Run:
        folder = tmp_path / name
        folder.mkdir()
        config = replace(config, runtime=RuntimeConfig(model_dir=str(folder)))
        (folder / "config.json").write_text(json.dumps(config.to_dict()).replace("Infinity", '"inf"'))
        figures = {
            "miou": miou,
            "pixel_accuracy": 0.9,
            "per_class_iou": {"a": miou},
            "per_class_accuracy": {},
        }
        (folder / "metrics.json").write_text(json.dumps(figures | {"split": split, "frames": 4}))
        return Run(folder)

    return write


def test_without_a_baseline_the_command_is_one_of_the_same_budget(ended):
    run = ended("taf", OWN, 0.6)
    words = shlex.split(gain(run, PROGRAM).partition("a baseline beside it says: ")[2])
    assert words[0] == "taf-train"
    config = parse_config(words[1:])
    assert replace(config, runtime=RuntimeConfig()) == BASELINE
    assert config.runtime.model_dir == f"{run.folder}_baseline"


def test_the_last_screen_has_the_command_by_which_the_user_trains(ended, capsys, monkeypatch):
    run = ended("taf", OWN, 0.6)
    monkeypatch.setattr(screens, "describe", str)
    screens.last(run, run.metrics | {"seconds": 9.0, "training_seconds": 8.0}, PROGRAM)
    assert "\nwhether TAF helps here, a baseline beside it says: taf-train --" in capsys.readouterr().out


def test_the_script_says_how_it_is_started(monkeypatch):
    called = []
    monkeypatch.setattr("taf_keras.training.run.train", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(train_command, "config_from_flags", lambda: OWN)
    train_command.main()
    assert called == [(OWN, TRAIN_SHOWN)]


@pytest.mark.parametrize(("own", "text"), [(0.6123, "gained 1.23 points"), (0.55, "lost 5.00 points")])
def test_beside_a_baseline_the_difference_is_said(ended, own, text):
    baseline = ended("other name", BASELINE, 0.6)
    line = gain(ended("taf", OWN, own), PROGRAM)
    assert line.startswith(f"TAF {text} of mIoU on val against {baseline.folder} (60.00 → ")


@pytest.mark.parametrize(
    ("config", "split"),
    [
        (replace(BASELINE, training=replace(BASELINE.training, seed=4)), "val"),
        (replace(BASELINE, training=replace(BASELINE.training, batch_size=8)), "val"),
        (replace(BASELINE, data=replace(BASELINE.data, color_jitter=True)), "val"),
        (BASELINE, "test"),
        (OWN, "val"),
    ],
)
def test_a_run_of_another_budget_is_no_baseline(ended, config, split):
    ended("other", config, 0.6, split)
    assert "a baseline beside it says" in gain(ended("taf", OWN, 0.7), PROGRAM)


def test_other_methods_and_synthetic_clips_say_nothing(ended):
    assert gain(ended("baseline", BASELINE, 0.6), PROGRAM) is None
    assert gain(ended("synthetic", Config(), 0.6), PROGRAM) is None


def test_a_folder_beside_it_that_may_not_be_read_is_no_baseline(ended, tmp_path, monkeypatch):
    run = ended("taf", OWN, 0.6)
    (tmp_path / "private").mkdir()
    is_file = Path.is_file

    def refusing(path):
        if path.parent.name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refusing)
    assert "a baseline beside it says" in gain(run, PROGRAM)
