"""Every s-th frame of a manifest, counted anew from the labelled one."""

import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks import thinned_clips
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split


@pytest.fixture
def clips(tmp_path):
    """A clip of 9 frames whose frame 4 is labelled; frame n is of the grey value 10 n."""
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["clip,frame,image,label"]
    for n in range(9):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((8, 8, 3), 10 * n, np.uint8))
        rows.append(f"street,{n},{n}.png,{'label.png' if n == 4 else ''}")
    cv2.imwrite(str(folder / "label.png"), np.zeros((8, 8), np.uint8))
    for split in ("train", "val", "test"):
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    classes = [{"name": "a", "colour": [1, 2, 3]}, {"name": "b", "colour": [4, 5, 6]}]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    return folder


def offsets(folder, split="train"):
    """{offset: number of the source's frame} of the only clip."""
    data = DataConfig("manifest", str(folder), temporal_context=15, allow_outside_files=True)
    (clip,) = load_split(data, split).clips
    frames = zip(clip.offsets(15), clip.window(15), strict=True)
    return {n: int(cv2.imread(str(frame.image))[0, 0, 0]) // 10 for n, frame in frames}


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, {n - 4: n for n in range(9)}),
        (2, {-2: 0, -1: 2, 0: 4, 1: 6, 2: 8}),
        (3, {-1: 1, 0: 4, 1: 7}),
    ],
)
def test_an_offset_counts_the_frames_that_are_kept(clips, tmp_path, every, expected):
    target = tmp_path / "elsewhere" / "thinned"
    thinned_clips.main([f"--data_dir={clips}", f"--every={every}", f"--output_dir={target}"])
    assert offsets(target) == expected
    assert offsets(target, "val") == offsets(clips, "val")


def test_of_a_clip_with_all_labels_the_same_frames_stay(clips, tmp_path):
    """So that labels on every kept frame are compared with the key frame's alone, on the same frames."""
    lists = clips / "train.csv"
    kept = {}
    for name in ("key", "all"):
        target = tmp_path / name
        thinned_clips.main([f"--data_dir={clips}", "--every=3", f"--output_dir={target}"])
        rows = pd.read_csv(target / "train.csv", keep_default_na=False)
        kept[name] = rows[["frame", "image"]].values.tolist()
        labels = (rows["label"] != "").tolist()
        assert labels == ([False, True, False] if name == "key" else [True] * 3)
        lists.write_text(re.sub(r",$", ",label.png", lists.read_text(), flags=re.MULTILINE))
    assert kept["key"] == kept["all"]


NONE_LABELLED = "clip,frame,image,label\na,0,0.png,\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clips: (clips / "val.csv").unlink(), "val.csv: No such file"),
        (lambda clips: (clips / "train.csv").write_text(NONE_LABELLED), "clip a: has no labelled frame"),
    ],
)
def test_lists_that_cannot_be_thinned_are_named(clips, tmp_path, capsys, change, message):
    change(clips)
    with pytest.raises(SystemExit) as ended:
        thinned_clips.main([f"--data_dir={clips}", "--every=2", f"--output_dir={tmp_path / 'new'}"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
