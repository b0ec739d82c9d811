"""Frames that show nothing of their own: what a decoder that failed has left in a data set."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.config import DataConfig
from taf_keras.inspection.blank_frames import find_blank_frames
from taf_keras.inspection.data_report import DataReport, survey
from taf_keras.inspection.data_tables import csv_text, text
from taf_keras.inspection.look import look_at


@pytest.fixture
def data(camvid) -> DataConfig:
    """Train: 0001TP 6690, 6720, 6750 and Seq05VD 0, 30."""
    return DataConfig("camvid", str(camvid), temporal_context=30)


def extract(data: DataConfig, video: str, number: int, picture, suffix: str = ".png") -> str:
    path = Path(data.data_dir) / "frames" / video / f"{number:06d}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.uint8(picture))
    return str(path)


def report_of(data: DataConfig, thorough: bool = True, method: str = "taf") -> DataReport:
    return survey(data, method, thorough=thorough, threads=1)


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.mark.parametrize("colour", [(0, 0, 0), (16, 128, 128), (255, 255, 255)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_frames_of_one_colour_are_counted_and_the_first_is_named(data, colour, suffix):
    frames = [extract(data, "0001TP", n, np.full((48, 64, 3), colour), suffix) for n in (6700, 6701, 6702)]
    extract(data, "0001TP", 6703, noise(6703))
    report = report_of(data)
    assert [(f.file, f.detail) for f in report.splits[0].blank] == [
        (file, "holds one colour alone") for file in frames
    ]
    ((split, sentence),) = report.warnings
    assert split == "train"
    assert sentence.startswith(
        f"train has frames that hold one colour alone, 3 of 9, the first {frames[0]}: a decoder may have "
    )
    assert "ffmpeg -i VIDEO -vf yadif" in sentence
    lines = text(report).splitlines()
    assert f"warning: {sentence}" in lines
    assert lines[-1] == "training would start, but see the warning above"
    rows = list(csv.reader(csv_text(report).splitlines()))
    assert [row for row in rows if row[1] == "blank_frame"] == [
        ["train", "blank_frame", file, "", "holds one colour alone"] for file in frames
    ]
    assert report.refusal is None


def test_a_dark_frame_is_not_blank(data):
    """A lamp of 4 × 4 px, between the pixels that are looked at first; and noise of a few levels."""
    night = np.full((48, 64, 3), 3)
    night[20:24, 20:24] = 40
    extract(data, "0001TP", 6700, night)
    extract(data, "0001TP", 6701, noise(1) // 32)
    assert report_of(data).warnings == []


def test_a_frame_with_the_bytes_of_another_is_not_one_of_its_own(data):
    """What is left in memory is no single colour, and the same in every frame."""
    first, *others = (extract(data, "0001TP", n, noise(99)) for n in (6700, 6701, 6725))
    extract(data, "Seq05VD", 10, noise(99))  # of another video
    report = report_of(data)
    assert [(f.file, f.detail) for f in report.splits[0].blank] == [
        (file, f"has the same bytes as {first}") for file in others
    ]
    ((_, sentence),) = report.warnings
    assert "have the same bytes as another frame of their video, 2 of 9, the first" in sentence


def test_a_quick_look_finds_no_blank_frames_and_claims_none(data):
    """Large files may be alike in the bytes at which it looks."""
    for number in (6700, 6701):
        extract(data, "0001TP", number, noise(99))
    extract(data, "0001TP", 6702, np.zeros((48, 64, 3)))
    assert report_of(data, thorough=False).warnings == []


def test_only_what_training_reads_is_looked_at(data):
    extract(data, "0001TP", 6700, np.zeros((48, 64, 3)))
    assert report_of(data, method="baseline").warnings == []


def test_warnings_and_leakage_are_both_pointed_at(data):
    root = Path(data.data_dir)
    for annot in ("", "annot"):
        file = (root / f"val{annot}/0016E5_07961.png").read_bytes()
        (root / f"train{annot}/0006R0_f00100.png").write_bytes(file)
    extract(data, "0006R0", 101, np.zeros((48, 64, 3)))
    assert report_of(data).verdict == (
        "training would start, but see the warning and the leakage above: metrics of val may be too good"
    )


def test_arrays_were_not_decoded():
    """Synthetic clips in which nothing happens."""
    picture = np.zeros((8, 8, 3), np.uint8)
    clip = Clip("c", tuple(Frame(n, picture.copy(), picture[..., 0]) for n in range(3)), 1)
    looks = look_at(Split("train", (clip,), ClassTable(("a",), ((0, 0, 0),))), 1, thorough=True, digests=True)
    assert find_blank_frames([clip], 1, looks) == ()
