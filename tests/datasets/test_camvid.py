import cv2
import numpy as np
import pytest
from conftest import deny_access

from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.datasets import camvid as reader
from taf_keras.errors import UserError
from taf_keras.inspection.check import check_split


def offsets(split, context=30):
    return {clip.name: clip.offsets(context) for clip in split.clips}


def test_stills_of_one_video_are_each_others_frames(camvid):
    split = reader.load_split(str(camvid), "train", temporal_context=30)
    assert offsets(split) == {
        "0001TP_006690": (0, 30),
        "0001TP_006720": (-30, 0, 30),
        "0001TP_006750": (-30, 0),
        "Seq05VD_000000": (0, 30),
        "Seq05VD_000030": (-30, 0),
    }
    check_split(split)


def test_extracted_frames_join_and_carry_no_label(camvid):
    folder = camvid / "frames" / "0001TP"
    folder.mkdir(parents=True)
    for number in (6688, 6689, 6691, 6720, 6800):
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), np.zeros((48, 64, 3), np.uint8))
    clip = reader.load_split(str(camvid), "train", temporal_context=2).clips[0]
    assert clip.offsets(2) == (-2, -1, 0, 1)
    assert [frame.label is None for frame in clip.frames] == [True, True, False, True]
    # A still that was also extracted keeps the annotated file.
    second = reader.load_split(str(camvid), "train", temporal_context=2).clips[1]
    assert second.key_frame.image.endswith("train/0001TP_006720.png")


def test_label_id_11_is_void_and_12_is_refused(camvid):
    split = reader.load_split(str(camvid), "train", 0)
    path = split.clips[0].key_frame.label
    classes = split.classes
    cv2.imwrite(path, np.full((48, 64), 11, np.uint8))
    assert np.all(read_label(path, classes) == VOID)
    cv2.imwrite(path, np.full((48, 64), 12, np.uint8))
    with pytest.raises(UserError, match=r"0001TP_006690\.png: label id 12 .* allowed are 0–11"):
        check_split(split)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda root: (root / "trainannot" / "0001TP_006720.png").unlink(),
            "0001TP_006720.* has no label map",
        ),
        (lambda root: (root / "train" / "0001TP_006720.png").unlink(), "0001TP_006720.*without an image"),
        (
            lambda root: (root / "train" / "holiday.png").write_bytes(b""),
            "holiday.*file name is VIDEO_NUMBER",
        ),
    ],
)
def test_a_layout_with_a_hole_is_refused_with_the_file(camvid, damage, message):
    damage(camvid)
    if (camvid / "train" / "holiday.png").exists():
        (camvid / "trainannot" / "holiday.png").write_bytes(b"")
    with pytest.raises(UserError, match=message):
        reader.load_split(str(camvid), "train", 30)


def test_a_missing_or_empty_folder_is_named(camvid, tmp_path):
    with pytest.raises(UserError, match="nowhere/train: no such folder"):
        reader.load_split(str(tmp_path / "nowhere"), "train", 30)
    (camvid / "test").mkdir()
    with pytest.raises(UserError, match="camvid/test: holds no images"):
        reader.load_split(str(camvid), "test", 30)


def test_a_folder_that_may_not_be_searched_is_named(camvid, monkeypatch):
    deny_access(monkeypatch, "is_dir")
    with pytest.raises(UserError, match=f"^--data_dir={camvid}: cannot be read: Permission denied$"):
        reader.splits(str(camvid))
    with pytest.raises(UserError, match=f"^{camvid}/train: cannot be read: Permission denied$"):
        reader.load_split(str(camvid), "train", 15)


def test_a_label_of_another_size_is_refused(camvid):
    path = camvid / "trainannot" / "0001TP_006750.png"
    cv2.imwrite(str(path), np.zeros((24, 32), np.uint8))
    with pytest.raises(UserError, match=r"006750.png: label map of 24x32 px, its image has 48x64 px"):
        check_split(reader.load_split(str(camvid), "train", 30))


def test_a_truncated_image_is_refused(camvid):
    path = camvid / "train" / "0001TP_006750.png"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"006750.png"):
        check_split(reader.load_split(str(camvid), "train", 30))


def test_the_real_key_frames(real_camvid):
    # 367 and 101 key frames (SegNet's split); val is one run in which every second frame is labelled.
    train = reader.load_split(real_camvid, "train", 30)
    val = reader.load_split(real_camvid, "val", 4)
    assert (len(train.clips), len(val.clips)) == (367, 101)
    assert val.clips[50].offsets(4) == (-4, -2, 0, 2, 4)
    check_split(val)


def test_key_frames_of_several_sizes_need_an_image_size(camvid):
    for folder in ("train", "trainannot"):
        path = str(camvid / folder / "0001TP_006750.png")
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:24])
    split = reader.load_split(str(camvid), "train", 30)
    with pytest.raises(UserError, match=r"several sizes, 48x64 .* and 24x64 .*: give --image_size"):
        check_split(split)
    check_split(split, image_size=(48, 64))
