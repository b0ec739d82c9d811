"""`read_manifest`: what it refuses, and which argument lets it pass."""

import cv2
import numpy as np
import pytest
from clips_on_disk import CONTEXT, SIZE, write_clips

import taf_keras as tk


@pytest.fixture
def folder(tmp_path):
    return write_clips(tmp_path / "my_clips")


def test_frames_of_several_sizes_need_one(folder):
    for number in range(2 * CONTEXT + 1):
        cv2.imwrite(str(folder / f"files/train1_{number}.png"), np.full((48, 64, 3), 90, np.uint8))
    cv2.imwrite(str(folder / f"files/train1_{CONTEXT}_label.png"), np.zeros((48, 64), np.uint8))
    with pytest.raises(tk.UserError, match=r"^split train: key frames of several sizes, .*: give "):
        tk.read_manifest(folder, "train")
    assert len(tk.read_manifest(folder, "train", image_size=SIZE).clips) == 3


def test_files_outside_the_folder_need_a_word(folder):
    """An absolute path: a list made by others should not reach every file."""
    (folder / "files/train0_0.png").rename(folder.parent / "elsewhere.png")
    listed = folder / "train.csv"
    listed.write_text(listed.read_text().replace("files/train0_0.png", f"{folder.parent}/elsewhere.png"))
    with pytest.raises(tk.UserError, match=r"elsewhere\.png is not a path within "):
        tk.read_manifest(folder, "train")
    split = tk.read_manifest(folder, "train", allow_outside_files=True)
    assert split.clips[0].frames[0].image == f"{folder.parent}/elsewhere.png"


def test_a_train_without_partners_is_refused_and_a_val_is_not(folder):
    for split in ("train", "val"):
        listed = folder / f"{split}.csv"
        head, *rows = listed.read_text().splitlines()
        listed.write_text("\n".join([head, *(row for row in rows if row.endswith("_label.png"))]))
    with pytest.raises(tk.UserError, match="no key frame of split train has another frame of its video"):
        tk.read_manifest(folder, "train")
    assert len(tk.read_manifest(folder, "val").clips) == 2
