from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_config, write_camvid
from study_examples import clip_of, footage_of, reads_red

from taf_keras.config import DataConfig
from taf_keras.errors import UserError
from taf_keras.studies.footage import FramePredictions, load_footage


def camvid(tmp_path, numbers, **settings) -> DataConfig:
    names = [f"0016E5_{number:05d}" for number in numbers]
    write_camvid(tmp_path / "camvid", {"val": names}, size=(16, 16))
    return DataConfig("camvid", str(tmp_path / "camvid"), **settings)


def test_synthetic_val_clips_have_the_papers_picture_intervals(tmp_path):
    footage = load_footage(tiny_config(tmp_path).data, "val")
    assert footage.intervals == (0, 3)  # 3 frames of context
    data = replace(tiny_config(tmp_path).data, temporal_context=15)
    assert load_footage(data, "val").intervals == (0, 3, 7, 14)


def test_intervals_move_to_the_nearest_that_the_clips_have(tmp_path):
    """Every second frame, as in CamVid's val split: 1 and 3 become 2, 5 becomes 4, 7 becomes 6."""
    data = camvid(tmp_path, range(7959, 7959 + 40, 2))
    assert load_footage(data, "val").intervals == (0, 2, 4, 6, 10, 14)


def test_stills_far_apart_have_one_interval(tmp_path):
    data = camvid(tmp_path, range(0, 300, 30), temporal_context=30)
    assert load_footage(data, "val").intervals == (0, 30)


def test_single_frame_clips_are_refused_unless_no_interval_is_asked_for(tmp_path):
    data = camvid(tmp_path, range(0, 300, 30))
    with pytest.raises(UserError, match=r"split val: no clip has a second frame within 15 frames"):
        load_footage(data, "val")
    assert load_footage(data, "val", intervals=(0,)).intervals == (0,)


def test_large_frames_are_taken_one_at_a_time():
    """As in evaluation: as many as have 2^21 pixels together."""
    small, large = (
        footage_of(clip_of("a", {0: np.zeros(size, np.uint8)})) for size in ((8, 8), (1024, 2048))
    )
    assert (small.batch_size, large.batch_size) == (8, 1)
    two = replace(large, split=replace(large.split, clips=large.split.clips * 2))
    assert [len(batch) for batch in two.batches()] == [1, 1]


def test_a_key_frame_without_partners_stays(tmp_path):
    footage = load_footage(camvid(tmp_path, [100, 102, 900]), "val")
    assert [len(clip.frames) for clip in footage.split.clips] == [2, 2, 1]
    assert list(footage.partners(footage.split.clips[2:], 2)) == []


def test_a_bad_partner_is_found_before_the_work(tmp_path):
    data = camvid(tmp_path, [100, 102])
    frames = tmp_path / "camvid" / "frames" / "0016E5"
    frames.mkdir(parents=True)
    (frames / "101.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"101\.jpg.*not a readable image"):
        load_footage(data, "val")
    kept = load_footage(replace(data, on_bad_file="skip"), "val")
    assert [clip.offsets(15) for clip in kept.split.clips] == [(0, 2), (-2, 0)]


def test_fewer_clips_are_evenly_spaced(tmp_path):
    data = camvid(tmp_path, range(100, 122, 2))
    names = [clip.key_number for clip in load_footage(data, "val", max_clips=3).split.clips]
    assert names == [100, 110, 120]
    assert len(load_footage(data, "val", max_clips=99).split.clips) == 11
    with pytest.raises(UserError, match="--max_clips=0: must be 1 or more"):
        load_footage(data, "val", max_clips=0)


def test_partners_are_named_by_their_clips():
    clips = (
        clip_of("a", {-1: [0], 0: [1]}),
        clip_of("b", {0: [1]}),
        clip_of("c", {-1: [0], 0: [1], 1: [2]}),
    )
    footage = footage_of(*clips)
    after, before = footage.partners(clips, 1)
    assert after == ([2], [clips[2].at(1)])
    assert before == ([0, 2], [clips[0].at(-1), clips[2].at(-1)])
    assert [frame for _, (frame,) in footage.partners(clips[1:2], 0)] == [clips[1].key_frame]
    assert [(n, frame.number) for n, frame in footage.around(clips[2])] == [(0, 100), (1, 101), (1, 99)]


def test_batches_hold_every_clip_once_and_tell_how_far_they_are():
    footage = footage_of(*(clip_of(str(i), {0: [0]}) for i in range(11)))
    calls = []
    batches = list(footage.batches(lambda *call: calls.append(call)))
    assert [clip.name for clips in batches for clip in clips] == [str(i) for i in range(11)]
    assert calls == [(8, 11), (11, 11)]


def test_a_frame_that_lies_in_several_clips_is_predicted_once():
    footage = footage_of(clip_of("a", {n: [n % 3] for n in range(12)}))
    seen = []

    def predict(images):
        seen.append(len(images))
        return reads_red(images)

    predictions = FramePredictions(predict, footage)
    frames = footage.split.clips[0].frames
    assert [int(ids[0, 0]) for ids in predictions(frames)] == [n % 3 for n in range(12)]
    assert [int(ids[0, 0]) for ids in predictions(frames[::-1])] == [n % 3 for n in range(11, -1, -1)]
    assert seen == [8, 4]
    assert predictions(frames[:1])[0].dtype == np.uint8


def test_what_is_remembered_is_limited():
    footage = footage_of(clip_of("a", {n: [0] for n in range(80)}))
    predictions = FramePredictions(reads_red, footage)
    assert len(predictions(footage.split.clips[0].frames)) == 80
    assert len(predictions._known) == 64
