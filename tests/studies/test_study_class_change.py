import numpy as np
import pytest
from study_examples import clip_of, footage_of, predictor, reads_red

from taf_keras.clips.clip import VOID
from taf_keras.studies.class_change import measure, plot


def row(first: int, last: int) -> list[int]:
    """Eight pixels of road with a car in `first` … `last`."""
    return [int(first <= x <= last) for x in range(8)]


# A car two pixels long, a pixel a frame.
MOVING = {n: row(2 + n, 3 + n) for n in (-2, -1, 0, 1, 2)}


def column(table, name, value):
    return list(table[table["class"] == name].sort_values("interval_frames")[value])


def test_a_moving_object_against_where_it_was():
    """After 1 frame 1 of its 2 pixels overlaps, of 3 that it takes in both: IoU 1/3; after 2 none.

    The road keeps 8 − 3 = 5 pixels, of 8 − 1 = 7 in either; after 2 frames 4 of 8.
    """
    table = measure(predictor(reads_red), footage_of(clip_of("a", MOVING)))
    assert column(table, "car", "iou") == pytest.approx([1, 1 / 3, 0])
    assert column(table, "road", "iou") == pytest.approx([1, 5 / 7, 1 / 2])
    for name in ("car", "road"):
        assert column(table, name, "relative_iou") == column(table, name, "iou")
        assert column(table, name, "truth_iou") == column(table, name, "iou")
    assert np.isnan(column(table, "sky", "relative_iou")).all()


def test_the_ratio_leaves_out_what_is_wrong_from_the_start():
    """A predictor that calls pixel 0 a car too: IoU 2/3 at once, and 1 pixel of 4 at |n| = 1: a ratio of 3/8.

    The truth is not affected.
    """

    def flawed(images):
        ids = reads_red(images)
        ids[:, :, 0] = 1
        return ids

    table = measure(predictor(flawed), footage_of(clip_of("a", MOVING)))
    assert column(table, "car", "iou")[:2] == pytest.approx([2 / 3, 1 / 4])
    assert column(table, "car", "relative_iou")[:2] == pytest.approx([1, 3 / 8])
    assert column(table, "car", "truth_iou")[:2] == pytest.approx([1, 1 / 3])


def test_the_ratio_is_over_clips_that_have_the_interval():
    """Nothing moves in clip a; in clip b, which has its key frame alone, everything is wrong."""
    still = clip_of("a", dict.fromkeys((0, 1), row(2, 3)))
    wrong = clip_of("b", {0: row(0, 7)}, {0: row(8, 8)})
    table = measure(predictor(reads_red), footage_of(still, wrong))
    assert column(table, "car", "iou") == pytest.approx([2 / 10, 1])
    assert column(table, "car", "relative_iou") == [1, 1]


def test_unlabelled_frames_have_predictions_alone():
    table = measure(predictor(reads_red), footage_of(clip_of("a", MOVING, {0: MOVING[0]})))
    assert column(table, "car", "iou") == pytest.approx([1, 1 / 3, 0])
    np.testing.assert_array_equal(column(table, "car", "truth_iou"), [1, np.nan, np.nan])


def test_void_in_either_label_does_not_count():
    """Void at the key frame's pixel 2 and at the other's pixel 4: of the car is left 1 pixel in both."""
    labels = {0: row(2, 3), 1: row(3, 4)}
    labels[0][2] = labels[1][4] = VOID
    table = measure(predictor(reads_red), footage_of(clip_of("a", {0: row(2, 3), 1: row(3, 4)}, labels)))
    assert column(table, "car", "truth_iou") == [1, 1]
    assert column(table, "car", "iou") == pytest.approx([1, 1 / 2])  # the prediction has no void: 3 of 3, 4


def test_a_class_that_is_not_found_has_no_curve():
    footage = footage_of(clip_of("a", MOVING))
    nothing = measure(predictor(lambda images: np.zeros(images.shape[:3], int)), footage)
    np.testing.assert_array_equal(column(nothing, "car", "relative_iou"), [np.nan] * 3)
    figure = plot(nothing.assign(model="taf", seed=0), footage)
    predicted, truth = figure.axes
    assert predicted.get_legend_handles_labels()[1] == ["road"]
    assert truth.get_legend_handles_labels()[1] == ["road", "car", "sky"]
