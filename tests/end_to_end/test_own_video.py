"""docs/own_video.md: its commands as they stand, from a video to one with the classes over it."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own_video.md").read_text(encoding="utf-8")
# From the first frame to label to the whole video, without the lines that stand in for camera and annotator.
JOURNEY = ("label", "import_labels", "train.py", "predict", "view")


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("python ")]


def test_the_way_takes_six_commands_or_fewer():
    found = [re.search(r"taf_keras\.(\w+)|(train\.py)", line) for line in commands()]
    names = [match[1] or match[2] for match in found if match]
    assert tuple(names[: len(JOURNEY)]) == JOURNEY
    assert len(JOURNEY) <= 6


@pytest.mark.end_to_end
def test_the_commands_of_the_page_run_as_they_stand(tmp_path):
    for name in ("train.py", "evaluate.py", "flags", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
    }
    said = {}
    for line in commands():
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1500
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        said[line] = done.stdout

    # Every frame of the video is in the overlay, at its size, and differs from the original.
    frames, overlay = (decoded(tmp_path / name) for name in ("street.mp4", "predictions/street_overlay.mp4"))
    assert len(overlay) == len(frames) == 199
    assert overlay[0].shape == frames[0].shape
    assert np.abs(overlay[100].astype(int) - frames[100]).mean() > 5
    rows = list(csv.DictReader((tmp_path / "predictions" / "street_classes.csv").read_text().splitlines()))
    assert len(rows) == 199
    # What was trained sees more than one class, and road where there is road.
    shares = {
        name: np.mean([float(row[f"share of {name}"]) for row in rows]) for name in ("road", "building")
    }
    assert 0.2 < shares["road"] < 0.7, shares
    assert shares["building"] > 0.02, shares
    assert (tmp_path / "runs" / "my_model" / "view" / "index.html").is_file()
    (train,) = (
        text for line, text in said.items() if "--model_dir=runs/my_model" in line and "train.py" in line
    )
    assert "a baseline beside it says: python train.py" in train


def decoded(path: Path) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames
