import numpy as np

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.clips.subset import keep_clips, keep_labels, label_every_frame

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
