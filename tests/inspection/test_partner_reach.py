"""A temporal context that reaches no partner is a fault of the setting, not of hundreds of files."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_check import extract, run

from taf_keras import pack
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import UserError
from taf_keras.inspection.check import load_checked
from taf_keras.inspection.data_report import survey


@pytest.fixture
def data(camvid) -> DataConfig:
    """Stills 30 frames apart, with the default context of 15."""
    return DataConfig("camvid", str(camvid))


def refusal(data: DataConfig) -> str:
    with pytest.raises(UserError) as refused:
        load_checked(data, "train", partners_within=data.temporal_context)
    return str(refused.value)


@pytest.mark.parametrize("on_bad_file", ["refuse", "skip"])
def test_it_is_one_sentence_about_the_setting(data, on_bad_file, capsys):
    data = replace(data, on_bad_file=on_bad_file)
    message = refusal(data)
    assert message == (
        "--temporal_context=15: no key frame of split train has another frame of its video within ±15 "
        "frames, the nearest is 30 frames away: give --temporal_context=30, more frames, or --method=baseline"
    )
    report = survey(data, "taf", threads=1)
    assert report.refusal == message
    assert [split.bad for split in report.splits] == [(), ()]
    code, out, _ = run(
        capsys, "--dataset=camvid", f"--data_dir={data.data_dir}", f"--on_bad_file={on_bad_file}"
    )
    assert (code, out.splitlines()[-1]) == (2, f"training would not start: {message}")
    # What it names works.
    assert len(load_checked(replace(data, temporal_context=30), "train", 30).clips) == 5
    assert len(load_checked(data, "train", 0).clips) == 5
    assert survey(data, "baseline", threads=1).refusal is None


def test_the_rest_of_the_report_is_there(data):
    """The figures of the key frames, and files that are bad besides."""
    report = survey(data, "taf", threads=1).splits[0]
    assert report.values("partners") == {0: 5}
    assert (report.values("count")["clips"], report.values("count")["frames"]) == (5, 5)
    assert report.split.label_pixels.shape == (5, 12)


def test_it_comes_before_what_the_labels_hold(data):
    for file in Path(data.data_dir, "trainannot").iterdir():
        cv2.imwrite(str(file), np.zeros((48, 64), np.uint8))
    message = refusal(data)
    assert message.startswith("--temporal_context=15: ")
    assert survey(data, "taf", threads=1).refusal == message


def test_the_context_that_is_named_serves_every_key_frame(data):
    """6690 has a neighbour 5 frames away, 6720 one 25 frames away; the others' are 30 away."""
    extract(data, "0001TP", 6695)
    message = refusal(replace(data, temporal_context=4))
    assert "the nearest is 5 to 30 frames away: give --temporal_context=30" in message
    assert len(load_checked(replace(data, temporal_context=30), "train", 30).clips) == 5


def test_some_clips_without_a_partner_are_bad_files_as_ever(data):
    extract(data, "0001TP", 6700)
    assert "0001TP_006720.png: key frame without a partner within ±15 frames" in refusal(data)
    report = survey(data, "taf", threads=1)
    assert len(report.splits[0].bad) == 4
    kept = load_checked(replace(data, on_bad_file="skip"), "train", 15)
    assert [clip.name for clip in kept.clips] == ["0001TP_006690"]


def test_no_other_frame_at_all(data, tmp_path):
    rows = [f"{name},0,train/{name}.png,trainannot/{name}.png" for name in ("0001TP_006690", "0001TP_006720")]
    (tmp_path / "camvid/train.csv").write_text("\n".join(["clip,frame,image,label", *rows]))
    classes = {"classes": [{"name": f"class{i}", "colour": [0, 0, 0]} for i in range(12)]}
    (tmp_path / "camvid/classes.json").write_text(json.dumps(classes))
    message = refusal(replace(data, dataset="manifest"))
    assert message == (
        "--temporal_context=15: no key frame of split train has another frame of its video within ±15 "
        "frames: give a larger --temporal_context, more frames, or --method=baseline"
    )


def test_a_packed_data_set_knows_no_farther_frames(data, tmp_path):
    target = tmp_path / "packed"
    pack.pack(replace(data, temporal_context=30), target, ("train",), 10**6)
    message = refusal(replace(data, dataset="packed", data_dir=str(target)))
    assert message.endswith("±15 frames: give a larger --temporal_context, more frames, or --method=baseline")


def test_a_smaller_subset_is_what_counts(data):
    """Of three stills 30 frames apart the middle one is left out: the others are 60 apart."""
    two = replace(data, temporal_context=30, subset=0.4)
    for seed in range(50):
        apart = replace(two, subset_seed=seed)
        if [clip.name for clip in load_split(apart, "train").clips] == ["0001TP_006690", "0001TP_006750"]:
            break
    assert "the nearest is 60 frames away: give --temporal_context=60" in refusal(apart)
