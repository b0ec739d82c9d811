"""The command: from a list of frames to its report, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from advice_examples import moving

from taf_keras import advise
from taf_keras.config import Config, DataConfig, ModelConfig, TAFConfig
from taf_keras.storage.run import Run

ROOT = Path(__file__).parents[2]
CLASSES = '{"classes": [{"name": "road", "colour": [1, 2, 3]}, {"name": "car", "colour": [4, 5, 6]}]}'


def write_clips(folder: Path, clips: int = 12) -> Path:
    """Textures that move by 4 px a frame, five frames with a label in the middle."""
    folder.mkdir()
    (folder / "classes.json").write_text(CLASSES)
    label = np.repeat(np.uint8([[0], [1]]), 24, axis=0).repeat(64, axis=1)
    cv2.imwrite(str(folder / "label.png"), label)
    for split, count in (("train", clips), ("val", clips)):
        rows = ["clip,frame,image,label"]
        for i in range(count):
            for n, picture in moving(4, range(-2, 3), (48, 64), seed=i).items():
                name = f"{split}_{i}_{n + 2}.png"
                cv2.imwrite(str(folder / name), picture)
                rows.append(f"{split}{i},{n + 2},{name},{'label.png' if n == 0 else ''}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("advise") / "my clips")


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = 0
    try:
        advise.main(list(arguments))
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


def test_a_report_and_the_same_as_json(clips, tmp_path, capsys):
    file = tmp_path / "advice.json"
    code, out, err = run(capsys, "--dataset=manifest", f"--data_dir={clips}", f"--json={file}")
    assert (code, err) == (0, "")
    found = json.loads(file.read_text())
    assert found["measured"]["motion"]["px_per_frame"] == pytest.approx(4, abs=0.4)
    assert (found["measured"]["key_frames"], found["measured"]["frames"]) == (12, 60)
    assert found["cells"][0]["cell"] in out
    assert found["advice"]["flags"]["temporal_context"] == "1"  # 4 of 64 px a frame
    assert f"TAF: {found['advice']['verdict']}" in out
    assert f"'--data_dir={clips}'" in out  # a folder with a blank in its name
    assert (
        run(capsys, "--dataset=manifest", f"--data_dir={clips}")[1].splitlines()[-5:] == out.splitlines()[-5:]
    )


def test_places_can_be_said(clips, capsys):
    for places in ("same", "new"):
        out = run(capsys, "--dataset=manifest", f"--data_dir={clips}", f"--places={places}")[1]
        assert "as --places says" in out
        assert ("other places, not other moments" in out) == (places == "new")


def test_many_clips_are_sampled(clips, capsys, monkeypatch):
    monkeypatch.setattr("taf_keras.advice.survey._CLIPS", 5)
    out = run(capsys, "--dataset=manifest", f"--data_dir={clips}")[1]
    assert "5 of 12 of train" in out


def test_motion_is_that_of_val_where_train_has_frames_far_apart(tmp_path, capsys):
    """Train at every tenth frame."""
    folder = write_clips(tmp_path / "clips")
    rows = (folder / "train.csv").read_text().splitlines()
    apart = [re.sub(r",(\d+),", r",\g<1>0,", row, count=1) for row in rows]
    (folder / "train.csv").write_text("\n".join(apart) + "\n")
    out = run(capsys, "--dataset=manifest", f"--data_dir={folder}")[1]
    assert "motion (of val" in out
    assert "10 frames from the key frame" in out
    assert "as far a frame as your clips" in out


def test_without_near_frames_no_experiment_is_found(tmp_path, capsys):
    """Both splits at every tenth frame. What flow finds there is not the motion of any experiment."""
    folder, file = write_clips(tmp_path / "clips"), tmp_path / "advice.json"
    for name in ("train.csv", "val.csv"):
        rows = (folder / name).read_text().splitlines()
        apart = [re.sub(r",(\d+),", r",\g<1>0,", row, count=1) for row in rows]
        (folder / name).write_text("\n".join(apart) + "\n")
    out = run(capsys, "--dataset=manifest", f"--data_dir={folder}", "--places=same", f"--json={file}")[1]
    found = json.loads(file.read_text())
    assert (found["advice"]["verdict"], found["cells"]) == ("unknown", [])
    assert "as far a frame" not in out


def test_without_a_val_split_the_command_names_none(tmp_path, capsys):
    folder = write_clips(tmp_path / "clips", clips=6)
    (folder / "val.csv").write_text("clip,frame,image,label\n")
    code, out, _ = run(capsys, "--dataset=manifest", f"--data_dir={folder}")
    assert code == 0
    assert "--eval_split" not in out
    assert "There is no val split: mIoU is of train" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset=manifest"], "--dataset=manifest needs --data_dir"),
        (["--dataset=manifest", "--data_dir=NONE"], "NONE/classes.json: "),
        (["--dataset=manifest", "--data_dir=."], "classes.json: "),
        (["--dataset=unknown", "--data_dir=."], "--dataset=unknown: allowed are "),
        (["--places=old"], "--places=old: allowed are auto, same, new"),
        (["--temporal_context=0"], "--temporal_context=0: must be 1 or more"),
        (["--temporal_context=many"], "--temporal_context"),
        (["--rates_from=NONE"], "--rates_from=NONE: is not the model_dir of a run that has ended"),
        (["--json=."], "--json=.: is a folder"),
        (["--json=NONE/advice.json"], "--json=NONE/advice.json: NONE is no folder"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert message in err


def test_clips_without_a_second_frame_and_bad_files_are_refused(tmp_path, capsys):
    folder = write_clips(tmp_path / "clips", clips=3)
    (folder / "train_1_1.png").write_bytes(b"")
    code, _, err = run(capsys, "--dataset=manifest", f"--data_dir={folder}")
    assert (code, err.startswith(f"error: {folder}/train_1_1.png: ")) == (2, True)
    (folder / "train_2_2.png").write_bytes(b"")  # a key frame
    code, out, _ = run(capsys, "--dataset=manifest", f"--data_dir={folder}", "--on_bad_file=skip")
    assert code == 0
    assert "2 of 3 of train, evenly sampled; 2 bad files are left out" in out
    rows = (folder / "train.csv").read_text().splitlines()
    (folder / "train.csv").write_text("\n".join(r for r in rows if not r.endswith(",")) + "\n")
    code, _, err = run(capsys, "--dataset=manifest", f"--data_dir={folder}")
    assert code == 2
    assert "no key frame of split train has another frame" in err


def test_tensorflow_is_not_imported(clips):
    code = (
        "import sys\nfrom taf_keras import advise\n"
        f"advise.main(['--dataset=manifest', '--data_dir={clips}'])\n"
        "print('imported:', sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "imported: []"


def ended_run(folder: Path, classes=("road", "car"), **settings) -> Run:
    """What is looked at of a baseline."""
    ended = Run(folder)
    ended.claim(Config(taf=TAFConfig(method="baseline"), **settings), classes).close()
    ended.metrics_file.write_text("{}")
    ended.checkpoints.mkdir()
    (ended.checkpoints / "step-00000001.weights.h5").touch()
    return ended


@pytest.fixture
def asked(monkeypatch) -> list[Config]:
    """The settings with which rates are measured."""
    asked = []

    def rates_on(split, config):
        asked.append(config)
        return (1e-4,) * len(config.branches)

    monkeypatch.setattr("taf_keras.training.measure_rates.rates_on", rates_on)
    return asked


def advise_with(capsys, clips: Path, baseline: Run) -> tuple[int, str, str]:
    return run(capsys, "--dataset=manifest", f"--data_dir={clips}", f"--rates_from={baseline.folder}")


def test_rates_are_measured_on_a_baseline_that_pasted_frames(clips, tmp_path, capsys, asked):
    """Which no pair does."""
    data = DataConfig("manifest", str(clips), cutmix=True)
    code, out, err = advise_with(capsys, clips, ended_run(tmp_path / "baseline", data=data))
    assert (code, err) == (0, "")
    assert not asked[0].data.cutmix
    assert "--change_rates=auto" in out
    assert "--model" not in out


def test_the_command_is_of_the_baselines_model(clips, tmp_path, capsys, asked):
    """train.py takes rates of the same --model alone."""
    data, model = DataConfig("manifest", str(clips)), ModelConfig("fcn8s")
    out = advise_with(capsys, clips, ended_run(tmp_path / "baseline", data=data, model=model))[1]
    assert " --model=fcn8s" in out.splitlines()[-1]


def test_a_baseline_that_training_refuses_is_refused_before_the_survey(clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(advise, "survey", lambda *arguments: pytest.fail("measures clips"))
    data = DataConfig("manifest", str(clips))

    def refused(baseline: Run) -> str:
        code, _, err = advise_with(capsys, clips, baseline)
        assert (code, len(err.splitlines())) == (2, 1)
        return err

    baseline = ended_run(tmp_path / "unfinished", data=data)
    baseline.metrics_file.unlink()
    assert "unfinished: is not the model_dir of a run that has ended" in refused(baseline)
    baseline = ended_run(tmp_path / "foreign", data=DataConfig())
    assert "foreign: was trained on synthetic, not manifest" in refused(baseline)
    baseline = ended_run(tmp_path / "other", classes=("road", "car", "tree"), data=data)
    assert "other: was trained on other classes: class 2 is tree there" in refused(baseline)
    baseline = ended_run(tmp_path / "empty", data=data)
    (baseline.checkpoints / "step-00000001.weights.h5").unlink()
    assert "empty: holds no checkpoint" in refused(baseline)
