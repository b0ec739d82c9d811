"""The line at a run's end on what TAF has gained, or how to find out."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from flags import parse_config
from taf_keras import run_flags
from taf_keras.config import Config, DataConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.storage.run import Run
from taf_keras.training import screens
from taf_keras.training.gain import gain

OWN = Config(
    data=DataConfig("manifest", "my data", image_size=(96, 128)),
    training=TrainingConfig(batch_size=8, epochs=7, seed=3),
)
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
    words = shlex.split(gain(run).partition("a baseline beside it says: ")[2])
    assert words[:2] == ["python", "train.py"]
    config = parse_config(words[2:])
    assert replace(config, runtime=RuntimeConfig()) == BASELINE
    assert config.runtime.model_dir == f"{run.folder}_baseline"


def test_an_installed_package_has_commands_of_its_own(ended, capsys, monkeypatch):
    """And a folder may have a blank in its name."""
    monkeypatch.setattr(run_flags, "TRAIN_SHOWN", ("taf-train",))
    monkeypatch.setattr(screens, "EVALUATE_SHOWN", ("taf-evaluate",))
    monkeypatch.setattr(screens, "describe", str)
    run = ended("my taf", OWN, 0.6)
    screens.last(run, run.metrics | {"seconds": 2.0, "training_seconds": 1.0})
    lines = {line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()}
    said = next(line for line in lines if line.startswith("taf-evaluate"))
    assert shlex.split(said)[1] == f"--model_dir={run.folder}"
    assert any("a baseline beside it says: taf-train --dataset=manifest" in line for line in lines)


@pytest.mark.parametrize(("own", "text"), [(0.6123, "gained 1.23 points"), (0.55, "lost 5.00 points")])
def test_beside_a_baseline_the_difference_is_said(ended, own, text):
    baseline = ended("other name", BASELINE, 0.6)
    line = gain(ended("taf", OWN, own))
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
    assert "a baseline beside it says" in gain(ended("taf", OWN, 0.7))


def test_a_run_on_other_clips_is_no_baseline(ended):
    """Labels came between the two."""

    def trained_on(run: Run, count: int | None) -> None:
        config = json.loads((run.folder / "config.json").read_text())
        clips = count and {"count": count, "digest": str(count)}
        (run.folder / "config.json").write_text(json.dumps(config | {"train_clips": clips}))

    run, other = ended("taf", OWN, 0.6), ended("baseline", BASELINE, 0.5)
    for own, others, is_baseline in ((10, 10, True), (12, 10, False), (12, None, True)):  # None: nobody knows
        trained_on(run, own)
        trained_on(other, others)
        assert gain(run).startswith("TAF gained") == is_baseline
    (other.folder / "metrics.json").write_text(json.dumps(other.metrics | {"frames": 5}))
    assert "a baseline beside it says" in gain(run)


def test_other_methods_and_synthetic_clips_say_nothing(ended):
    assert gain(ended("baseline", BASELINE, 0.6)) is None
    assert gain(ended("synthetic", Config(), 0.6)) is None


def test_a_folder_beside_it_that_may_not_be_read_is_no_baseline(ended, tmp_path, monkeypatch):
    run = ended("taf", OWN, 0.6)
    (tmp_path / "private").mkdir()
    is_file = Path.is_file

    def refusing(path):
        if path.parent.name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refusing)
    assert "a baseline beside it says" in gain(run)
