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
from taf_keras.config import Config, DataConfig, TAFConfig
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
        (["--rates_from=NONE"], "--rates_from=NONE: holds no run: config.json is missing"),
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


def test_rates_are_measured_on_a_baseline_that_pasted_frames(clips, tmp_path, capsys, monkeypatch):
    """Which no pair does."""
    asked = []

    def rates_on(split, config):
        asked.append(config)
        return (1e-4,) * len(config.branches)

    monkeypatch.setattr("taf_keras.training.measure_rates.rates_on", rates_on)
    run_folder = Run(tmp_path / "baseline")
    data = DataConfig("manifest", str(clips), cutmix=True)
    run_folder.claim(Config(data=data, taf=TAFConfig(method="baseline"))).close()
    run_folder.checkpoints.mkdir()
    (run_folder.checkpoints / "step-00000001.weights.h5").touch()
    flags = ("--dataset=manifest", f"--data_dir={clips}", f"--rates_from={run_folder.folder}")
    code, out, err = run(capsys, *flags)
    assert (code, err) == (0, "")
    assert not asked[0].data.cutmix
    assert "--change_rates=auto" in out
