"""The commands that an import prints at its end can be run as they stand."""

import shlex
from pathlib import Path

import pytest
from labelled_street import run, street_masks, write_still, write_video

from taf_keras import check
from taf_keras.annotation import import_report
from taf_keras.annotation.import_lists import has_partners
from taf_keras.annotation.import_report import commands

KEYS = (10, 30, 50, 70, 90, 110)
BASELINE = [
    "python -m taf_keras.check --dataset=manifest --data_dir=my_data --method=baseline",
    "python train.py --flagfile=own_video_baseline --data_dir=my_data --image_size=48x72 "
    "--model_dir=runs/my_data",
]


@pytest.fixture
def masks(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return street_masks(tmp_path / "export", KEYS)


def printed(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()[-3:]


def test_without_context_the_baseline_trains(tmp_path, masks, capsys):
    movie = write_video(tmp_path / "street.avi")
    assert run(masks, f"--video={movie}", "--output_dir=my_data", "--temporal_context=0") == 0
    checks, train, _ = printed(capsys)
    assert [checks, train] == BASELINE
    check.main(shlex.split(checks)[3:])
    assert "training would start" in capsys.readouterr().out


def test_frames_too_far_apart_leave_the_baseline(tmp_path, masks, capsys):
    for number in [*KEYS, 20]:
        write_still(tmp_path / "frames" / "street" / f"{number:06d}.png", number)
    options = ["--output_dir=my_data", "--val_share=0.3"]
    assert run(masks, "--frames=frames", *options, "--temporal_context=9") == 0
    *commands_, predict = printed(capsys)
    assert commands_ == BASELINE
    assert " frames/street --output_dir" in predict  # which has the images, unlike frames
    assert run(masks, "--frames=frames", *options, "--temporal_context=10") == 0
    checks, train, _ = printed(capsys)
    assert checks == "python -m taf_keras.check --dataset=manifest --data_dir=my_data --temporal_context=10"
    assert "--flagfile=own_video --data_dir=my_data --temporal_context=10 --image_size" in train


def test_a_training_begins_with_its_own_context_where_that_reaches_a_partner(tmp_path, masks, capsys):
    """However many frames were taken from the video."""
    movie = write_video(tmp_path / "street.avi")
    assert run(masks, f"--video={movie}", "--output_dir=my_data", "--temporal_context=9") == 0
    assert not any("--temporal_context" in line for line in printed(capsys))


def test_an_installed_package_trains_by_its_own_command(tmp_path, masks, capsys, monkeypatch):
    monkeypatch.setattr(import_report, "TRAIN_SHOWN", ("taf-train",))
    movie = write_video(tmp_path / "street.avi")
    assert run(masks, f"--video={movie}", "--output_dir=my_data", "--temporal_context=3") == 0
    assert printed(capsys)[1].startswith("taf-train --flagfile=own_video --data_dir=my_data ")


@pytest.mark.parametrize(("context", "said"), [(3, ""), (15, " --temporal_context=15")])
def test_checks_and_training_have_one_context(context, said):
    checks, train, _ = commands(Path("d"), (48, 72), context, Path("street.mp4"))
    assert checks == f"python -m taf_keras.check --dataset=manifest --data_dir=d{said}"
    assert train == (
        f"python train.py --flagfile=own_video --data_dir=d{said} --image_size=48x72 --model_dir=runs/d"
    )


def test_a_labelled_frame_can_be_the_partner_of_another():
    rows = [["a", "1", "a.jpg", "a.png"], ["a", "9", "b.jpg", "b.png"], ["b", "10", "c.jpg", "c.png"]]
    assert has_partners(rows, 8)
    assert not has_partners(rows, 7)
    assert not has_partners([[*row[:3], ""] for row in rows], 8)  # none is labelled
