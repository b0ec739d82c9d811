"""Motion, light and change of classes of clips for which they are known."""

import numpy as np
import pytest
from advice_examples import clip_of, moving, split_of, texture

from taf_keras.advice.motion import measure_motion, nearest_intervals
from taf_keras.clips.clip import VOID

LABEL = np.zeros((96, 128), np.uint8)


def measured(*clips, size=None):
    return measure_motion(split_of(*clips), clips, size, on_progress=lambda done, total: None)


def test_a_texture_moves_as_far_as_it_was_moved():
    found = measured(clip_of(moving(3, range(-2, 3)), {0: LABEL}))
    assert found.px_per_frame == pytest.approx(3, abs=0.3)
    assert found.share_per_frame == pytest.approx(3 / 128, rel=0.1)
    assert found.returns > 0.8
    assert (found.gap_frames, found.size) == (1, (96, 128))


def test_still_frames_do_not_move():
    found = measured(clip_of(dict.fromkeys((-1, 0, 1), texture(96, 128)), {0: LABEL}))
    assert (found.px_per_frame, found.light) == (0, {1: 0})


def test_frames_that_lie_apart_are_divided_by_how_far():
    """6 px in 2 frames."""
    found = measured(clip_of(moving(3, (-2, 0, 2)), {0: LABEL}))
    assert found.px_per_frame == pytest.approx(3, abs=0.3)
    assert found.gap_frames == 2
    assert found.class_px == {"road": pytest.approx(3, abs=0.3)}


@pytest.mark.parametrize(
    ("px", "gap", "doubt"),
    [
        (3.2, 1, ""),
        (3.2, 3, ""),
        (1, 8, "The nearest frames lie 8 apart, too far"),
        (3.2, 8, "The nearest frames lie 8 apart, too far"),
        (6, 4, "Optical flow returns on "),  # 24 px, of which 5 are found
        (24, 1, "Optical flow returns on "),
    ],
)
def test_motion_that_is_not_measured_is_in_doubt(px, gap, doubt):
    found = measured(clip_of(moving(px, (-gap, 0, gap)), {0: LABEL}))
    assert found.doubt.startswith(doubt)
    if not doubt:
        assert found.doubt == ""
        assert found.px_per_frame == pytest.approx(px, rel=0.1)


def test_all_of_a_clip_counts_and_nearer_neighbours_before_farther_ones():
    """Rest around the key frame, and later 6 px a frame; or frames 10 apart that say nothing."""
    still, fast = texture(96, 128, seed=3), moving(6, (0, 1, 2))
    clip = clip_of({-1: still, 0: still, 1: still} | {n + 2: x for n, x in fast.items()}, {0: LABEL})
    assert measured(clip).px_per_frame > 2
    pictures = moving(3, (-1, 0, 1))
    clip = clip_of(pictures | {11: still}, {0: LABEL})
    assert measured(clip).px_per_frame == pytest.approx(3, abs=0.3)


def test_motion_is_that_of_the_size_of_training():
    clip = clip_of(moving(4, (0, 1), size=(192, 256)), {0: np.zeros((192, 256), np.uint8)})
    assert measured(clip).px_per_frame == pytest.approx(4, abs=0.4)
    assert measured(clip, size=(96, 128)).px_per_frame == pytest.approx(2, abs=0.2)


def test_wide_frames_are_measured_smaller_and_told_at_their_size():
    wide = moving(8, (0, 1), size=(128, 1024))
    found = measured(clip_of(wide, {0: np.zeros((128, 1024), np.uint8)}))
    assert found.px_per_frame == pytest.approx(8, abs=0.8)


def test_classes_move_on_their_own():
    """The upper half is class 1 and moves; the lower one rests."""
    pictures, still = moving(4, (-1, 0, 1)), texture(48, 128, seed=7)
    for picture in pictures.values():
        picture[48:] = still
    label = np.repeat(np.uint8([[1], [0]]), 48, axis=0).repeat(128, axis=1)
    found = measured(clip_of(pictures, {0: label}))
    assert list(found.class_px) == ["car", "road"]
    assert found.class_px["car"] == pytest.approx(4, abs=0.5)
    assert found.class_px["road"] < 0.5
    void = np.where(label == 1, np.uint8(VOID), label)
    assert list(measured(clip_of(pictures, {0: void})).class_px) == ["road"]


def test_a_ramp_of_brightness_is_the_change_of_colours():
    """2 of 255 a frame, without motion."""
    pictures = {n: np.full((96, 128, 3), 120 + 2 * n, np.uint8) for n in range(-15, 16)}
    found = measured(clip_of(pictures, {0: LABEL}))
    assert found.light == {1: 2, 5: 10, 15: 30}
    assert found.light_5 == 10


def test_light_at_5_frames_is_not_that_of_other_distances():
    pictures = {n: np.full((96, 128, 3), 120 + 2 * n, np.uint8) for n in (0, 4, 9)}
    assert measured(clip_of(pictures, {0: LABEL})).light_5 == 8
    del pictures[4]
    assert np.isnan(measured(clip_of(pictures, {0: LABEL})).light_5)


def test_classes_change_where_another_frame_has_another_class():
    """A quarter of the pixels that are known on both frames, and a frame without labels says nothing."""
    later = LABEL.copy()
    later[:, :32] = 1
    later[:48, 32:] = VOID  # 48·32 + 48·128 pixels are known, of which 96·32 changed
    clip = clip_of(dict.fromkeys(range(6), texture(96, 128)), {0: LABEL, 5: later})
    assert measured(clip).class_change == {5: pytest.approx(96 * 32 / (48 * 32 + 48 * 128))}
    assert measured(clip_of(dict.fromkeys(range(6), texture(96, 128)), {0: LABEL})).class_change == {}


@pytest.mark.parametrize(
    ("offsets", "intervals"),
    [(range(-15, 16), (1, 5, 15)), ((-30, 0, 30), (30,)), ((0, -2, 4, 14), (2, 4, 14)), ((0,), ())],
)
def test_the_nearest_distances_that_exist(offsets, intervals):
    assert nearest_intervals(offsets) == intervals
