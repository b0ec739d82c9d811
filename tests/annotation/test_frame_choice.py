"""Frames that are chosen: spread, sharp, different, and apart where the data splits."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from taf_keras.annotation.frame_choice import ALIKE, GAP_FRAMES, choose, cut, in_margin, shares
from taf_keras.annotation.frame_measures import Measures, differences, sharpness, thumbnail
from taf_keras.clips.hold_out import hold_out
from taf_keras.errors import UserError

NOTHING = np.zeros((0, 768), np.float32)


def measures(
    frames: int, scenes=None, sharp=None, contrast=None, fps: float = 30.0, first: int = 0
) -> Measures:
    """Frames of which each shows something else, or the scene of its number in `scenes`."""
    scenes = np.arange(frames) if scenes is None else np.asarray(scenes)
    pictures = np.random.default_rng(0).normal(size=(max(scenes, default=0) + 1, 768))
    index = np.arange(first, first + frames)
    sharp = np.random.default_rng(1).uniform(90, 110, frames) if sharp is None else np.asarray(sharp, float)
    contrast = np.full(frames, 10.0) if contrast is None else np.asarray(contrast, float)
    return Measures(index, index / fps, sharp, contrast, pictures[scenes].astype(np.float32))


def part_of(whole: Measures, positions) -> Measures:
    fields = (whole.index, whole.seconds, whole.sharpness, whole.contrast, whole.thumbnails)
    return Measures(*(field[positions] for field in fields))


def picked(whole: Measures, count: int, has_margin: bool = False, there=(), uncertainty_of=None) -> list[int]:
    before = part_of(whole, np.array(there, int))
    left = part_of(whole, np.setdiff1d(np.arange(len(whole)), there))
    found = choose(left, count, before, before.thumbnails, has_margin, uncertainty_of)
    return sorted(int(left.index[position]) for position, _ in found)


# --- Measures ---------------------------------------------------------------------------------------


def street(size=(360, 640), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (size[0] // 20, size[1] // 20), np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_NEAREST)


def test_motion_blur_lowers_sharpness():
    picture = street()
    values = [sharpness(cv2.blur(picture, (width, 1))) for width in (1, 5, 15, 45)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 4 * values[-1]


def test_sharpness_compares_between_resolutions():
    picture = street()
    twice = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert sharpness(twice) == pytest.approx(sharpness(picture), rel=1e-6)


def test_difference_is_that_of_the_normalised_cross_correlation():
    one, other = street(seed=1), street(seed=2)
    small = [
        cv2.resize(p, (32, 24), interpolation=cv2.INTER_AREA).ravel().astype(float) for p in (one, other)
    ]
    expected = np.sqrt(2 - 2 * np.corrcoef(*small)[0, 1])
    assert differences(thumbnail(one)[None], thumbnail(other))[0] == pytest.approx(expected, rel=1e-5)


def test_brightness_and_contrast_are_no_difference():
    picture = street()
    paler = (picture * 0.5 + 60).astype(np.uint8)
    assert differences(thumbnail(picture)[None], thumbnail(paler))[0] < 0.02


def test_two_even_pictures_are_alike():
    noise = np.random.default_rng(0).normal(100, 2, (360, 640)).astype(np.uint8)
    assert differences(thumbnail(noise)[None], thumbnail(np.full_like(noise, 7)))[0] < ALIKE


# --- Shares -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [3, 4, 17, 30])
def test_videos_share_frames_by_length(frames):
    given = shares(frames, {"short": 10.0, "long": 300.0, "middle": 100.0})
    assert sum(given.values()) == frames
    assert min(given.values()) >= 1
    assert given["long"] >= given["middle"] >= given["short"]


def test_equal_videos_get_equal_shares():
    assert shares(10, {"a": 7.0, "b": 7.0}) == {"a": 5, "b": 5}
    assert shares(4, {"a": 0.0, "b": 0.0}) in ({"a": 2, "b": 2}, {"a": 1, "b": 1})


def test_fewer_frames_than_videos_are_refused():
    with pytest.raises(UserError, match="--frames=1: must be 2 at least"):
        shares(1, {"a": 1.0, "b": 1.0})


# --- Choice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4, 7, 30])
def test_one_frame_in_each_part(count):
    numbers = picked(measures(1800), count)
    assert [n * count // 1800 for n in numbers] == list(range(count))


def test_time_counts_and_not_the_number_of_frames():
    """Of a variable frame rate: 900 frames in the first second, 100 in the other nine."""
    seconds = np.concatenate([np.linspace(0, 1, 900, endpoint=False), np.linspace(1, 10, 100)])
    whole = measures(1000)
    found = choose(
        replace(whole, seconds=seconds),
        10,
        part_of(whole, []),
        NOTHING,
        False,
    )
    assert sorted(int(0.999 * seconds[position]) for position, _ in found) == list(range(10))


def test_sharp_frames_of_each_place_are_picked():
    """The second half is dark: sharp there means less."""
    sharp = np.where(np.arange(1800) % 12 == 5, 100.0, 50.0) * np.where(np.arange(1800) < 900, 1.0, 0.4)
    assert all(number % 12 == 5 for number in picked(measures(1800, sharp=sharp), 20))


def test_blurred_and_blank_frames_are_not_picked():
    sharp, contrast = np.random.default_rng(0).uniform(1800, 2200, 1800), np.full(1800, 50.0)
    sharp[300:600] = 300  # five parts of thirty
    sharp[600:660], contrast[600:660] = 80, 2  # noise alone
    sharp[660:900], contrast[660:900] = 300, 18  # dark, or fog
    numbers = picked(measures(1800, sharp=sharp, contrast=contrast), 30)
    assert len(numbers) == 30
    assert not [number for number in numbers if 300 <= number < 660]
    assert len([number for number in numbers if 660 <= number < 900]) >= 4


def test_of_a_scene_that_stands_still_one_frame_is_picked():
    assert len(picked(measures(1800, np.zeros(1800, int)), 30)) == 1


def test_others_fill_in_for_a_part_that_stands_still():
    scenes = np.minimum(np.arange(1800), 900)
    numbers = picked(measures(1800, scenes), 30)
    assert len(numbers) == 30
    assert sum(number >= 900 for number in numbers) == 1
    assert min(np.diff(numbers)) >= 20


def test_pictures_that_another_video_has_are_not_picked():
    whole = measures(300)
    found = choose(whole, 5, part_of(whole, []), whole.thumbnails[:150], False)
    assert len(found) == 5
    assert min(position for position, _ in found) >= 150
    assert all(difference > ALIKE for _, difference in found)


def test_a_second_call_picks_what_is_far_from_the_first():
    whole = measures(1800)
    first = picked(whole, 10)
    second = picked(whole, 10, there=first)
    both = sorted(first + second)
    assert not set(first) & set(second)
    assert min(np.diff(both)) >= 1800 / 20 / 3


@pytest.mark.parametrize("count", [5, 6, 13, 30])
@pytest.mark.parametrize("frames", [120, 300, 1800])
def test_nothing_is_picked_in_the_margin(frames, count):
    numbers = picked(measures(frames, first=40), count, has_margin=True)
    assert len(numbers) == count
    train, val = hold_out({"street": numbers}, gap_frames=GAP_FRAMES)
    assert len(train["street"]) + len(val["street"]) == count
    assert val["street"][0] - train["street"][-1] > GAP_FRAMES


def test_a_second_call_keeps_the_margin():
    whole = measures(300)
    first = picked(whole, 10, has_margin=True)
    second = picked(whole, 10, has_margin=True, there=first)
    train, val = hold_out({"street": sorted(first + second)}, gap_frames=GAP_FRAMES)
    assert len(train["street"]) == 16
    assert len(val["street"]) == 4
    assert len(second) == 10


@pytest.mark.parametrize("frames", [5, 20, 34, 37])
def test_a_video_too_short_for_the_margin_still_gives_four(frames):
    numbers = picked(measures(frames), 5, has_margin=True)
    assert len(numbers) - len(in_margin({}, {"street": numbers})["street"]) >= 4


def test_without_validation_there_is_no_margin():
    for count, has_margin in ((4, True), (30, False)):
        line = cut(measures(300), count, has_margin)
        assert line.part.min() == 0
        assert not line.late.any()
        assert line.wanted == (count, 0)


def test_the_model_is_least_sure_of_what_is_picked():
    """It is unsure in half of the video, which is enough for all."""
    whole = measures(1800)
    unsure = (np.arange(1800) // 90) % 2
    asked = []

    def uncertainty_of(wanted):
        asked.append(int(wanted.sum()))
        return np.where(wanted, unsure, -1.0)

    numbers = picked(whole, 10, uncertainty_of=uncertainty_of)
    assert len(numbers) == 10
    assert all(unsure[number] for number in numbers)
    assert min(np.diff(numbers)) >= 90
    assert asked == [40]


def test_new_frames_that_the_split_would_leave_out_are_dropped():
    """Of five, the last is for validation."""
    before = {"street": [0, 100, 200, 400]}
    assert in_margin(before, {"street": [375]}) == {"street": {375}}
    assert in_margin(before, {"street": [369]}) == {"street": set()}
    assert in_margin({}, {"street": [0, 100], "park": [7]}) == {"street": set(), "park": set()}


def test_what_was_there_before_is_not_dropped():
    assert in_margin({"street": [0, 100, 200, 390, 400]}, {"street": [500]}) == {"street": set()}
