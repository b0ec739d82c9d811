from dataclasses import replace

import cv2
import numpy as np
import pytest

from taf_keras import pack
from taf_keras.clips.clip import ClassTable, Clip, Frame, Split, clips_of
from taf_keras.clips.subset import keep_clips, keep_labels, label_every_frame
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split

CLASSES = ClassTable(("a",), ((0, 0, 0),))


def video(count, step=30):
    """Key frames of one video, each clip holding its neighbours at ±step."""
    frames = [Frame(i * step, f"{i}.png", f"{i}_label.png") for i in range(count)]
    clips = tuple(Clip(str(i), tuple(frames[max(0, i - 1) : i + 2]), frames[i].number) for i in range(count))
    return Split("train", clips, CLASSES)


def names(split):
    return [clip.name for clip in split.clips]


def test_the_papers_subsets_have_the_papers_counts():
    # Section 4.1: 20 % and 50 % of 2975 clips are 595 and 1488.
    split = video(2975)
    assert len(keep_clips(split, 0.2).clips) == 595
    assert len(keep_clips(split, 0.5).clips) == 1488


def test_a_subset_is_seeded_and_in_order():
    split = video(50)
    assert names(keep_clips(split, 0.3, 1)) == names(keep_clips(split, 0.3, 1))
    assert names(keep_clips(split, 0.3, 1)) != names(keep_clips(split, 0.3, 2))
    assert names(keep_clips(split, 0.3)) == sorted(names(keep_clips(split, 0.3)), key=int)


def test_clips_left_out_take_their_key_frames_along():
    kept = keep_clips(video(40), 0.5)
    images = {frame.image for clip in kept.clips for frame in clip.frames}
    assert images == {f"{name}.png" for name in names(kept)}


def test_labels_left_out_stay_as_partners():
    kept = keep_labels(video(30), 1 / 3)
    assert len(kept.clips) == 10
    assert set(np.diff([int(name) for name in names(kept)])) == {3}  # evenly spaced
    inner = kept.clips[4]
    assert inner.offsets(30) == (-30, 0, 30)  # both neighbours lost their label and are still there


def test_every_labelled_frame_can_be_a_key_frame():
    frames = tuple(Frame(i, f"{i}.png", "l.png" if i != 2 else None) for i in range(4))
    split = Split("train", (Clip("c", frames, 0),), CLASSES)
    assert [clip.key_number for clip in label_every_frame(split).clips] == [0, 1, 3]


def footage(labelled, count=12, name="drive"):
    """Frames 0 … `count` − 1 of a video, with labels on some."""
    return [
        Frame(i, f"{name}/{i}.png", f"{name}/{i}_ids.png" if i in labelled else None) for i in range(count)
    ]


def windows(name, frames, temporal_context):
    return clips_of({name: {frame.number: frame for frame in frames}}, temporal_context)


def keys(split):
    return [(clip.video, clip.key_number) for clip in split.clips]


def test_a_list_that_labels_every_frame_counts_each_label_once():
    clips = windows("a", footage(range(12), name="a"), 3) + windows("b", footage(range(5), name="b"), 3)
    labelled = label_every_frame(Split("train", clips, CLASSES))
    assert keys(labelled) == [*(("a", i) for i in range(12)), *(("b", i) for i in range(5))]
    assert labelled.clips == clips  # each with the window that it has


def test_a_label_in_several_windows_is_one_key_frame_with_all_its_neighbours():
    """Key frames 3 and 8, whose windows of ±4 overlap in 4 … 7, where 5 and 7 have labels, too."""
    frames = footage({3, 5, 7, 8})
    kept = [clip for clip in windows("drive", frames, 4) if clip.key_number in (3, 8)]
    labelled = label_every_frame(Split("train", tuple(kept), CLASSES))
    assert keys(labelled) == [("drive", n) for n in (3, 5, 7, 8)]
    assert [labelled.clips[0], labelled.clips[3]] == kept
    assert names(labelled)[1:3] == ["drive/5", "drive/7"]
    for clip in labelled.clips:
        expected = range(max(0, clip.key_number - 4), min(12, clip.key_number + 5))
        assert [frame.number for frame in clip.window(4)] == list(expected)
        assert clip.key_frame.label == f"drive/{clip.key_number}_ids.png"
    assert len(set(names(labelled))) == 4


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_were_left_out_do_not_come_back(seed):
    split = Split("train", windows("drive", footage(range(12)), 3), CLASSES)
    fewer = keep_labels(split, 1 / 3, seed)
    assert keys(label_every_frame(fewer)) == keys(fewer)
    assert len(fewer.clips) == 4
    of_split = {clip.key_number: clip for clip in split.clips}
    for clip in fewer.clips:  # but their frames serve as partners
        whole = of_split[clip.key_number]
        assert [f.image for f in clip.frames] == [f.image for f in whole.frames]
        assert [f.number for f in clip.frames if f.label] == [
            f.number for f in whole.frames if ("drive", f.number) in keys(fewer)
        ]


@pytest.mark.parametrize("seed", range(5))
def test_clips_that_were_left_out_do_not_come_back(seed):
    split = Split("train", windows("drive", footage(range(12)), 3), CLASSES)
    fewer = keep_clips(split, 1 / 2, seed)
    labelled = label_every_frame(fewer)
    assert list(labelled.clips) == list(fewer.clips)
    images = {frame.image for clip in labelled.clips for frame in clip.frames}
    assert images == {clip.key_frame.image for clip in fewer.clips}


def test_a_packed_list_counts_each_label_once(tmp_path):
    """Each record has copies of its own of the frames that windows share."""
    rows = []
    for i in range(6):
        cv2.imwrite(f"{tmp_path}/{i}.png", np.full((16, 16, 3), 20 * i, np.uint8))
        cv2.imwrite(f"{tmp_path}/{i}_ids.png", np.zeros((16, 16), np.uint8))
        rows.append(f"drive,{i},{i}.png,{i}_ids.png")
    for name in ("train", "val"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["clip,frame,image,label", *rows]))
    (tmp_path / "classes.json").write_text('{"classes": [{"name": "a"}, {"name": "b"}]}')
    plain = DataConfig("manifest", str(tmp_path), temporal_context=2, labels="all")
    pack.pack(replace(plain, labels="key"), tmp_path / "packed", ("train",), 10**6)
    packed = replace(plain, dataset="packed", data_dir=str(tmp_path / "packed"))
    for data in (plain, packed):
        split = load_split(data, "train")
        assert keys(split) == [("drive", i) for i in range(6)]
        assert [clip.offsets(2) for clip in split.clips][:3] == [(0, 1, 2), (-1, 0, 1, 2), (-2, -1, 0, 1, 2)]


def test_every_frame_of_the_synthetic_clips_is_a_key_frame(tmp_path):
    """Their clips do not overlap: names, order and frames as they always were."""
    data = DataConfig(
        data_dir=str(tmp_path), image_size=(32, 48), train_clips=3, temporal_context=2, label_fraction=0.7
    )
    split, labelled = load_split(data, "train"), load_split(replace(data, labels="all"), "train")
    expected = [(clip, frame.number) for clip in split.clips for frame in clip.frames]
    assert len(expected) == 2 * 31  # 2 of 3 clips, of frames −15 … +15 whatever the temporal context
    assert names(labelled) == [f"{clip.name}/{number}" for clip, number in expected]
    assert [clip.key_number for clip in labelled.clips] == [number for _, number in expected]
    assert {clip.video for clip in labelled.clips} == {""}
    for (clip, _), every in zip(expected, labelled.clips, strict=True):
        assert [shown(f) for f in every.frames] == [shown(f) for f in clip.frames]


def shown(frame) -> tuple:
    return frame.number, frame.image.tobytes(), frame.label.tobytes()
