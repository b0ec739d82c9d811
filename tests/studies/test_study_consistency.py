import cv2
import numpy as np
import pytest
from study_examples import CLASSES, clip_of, footage_of, predictor, reads_red

from taf_keras.clips.clip import VOID, Clip, Frame, Split
from taf_keras.studies.consistency import measure, plot
from taf_keras.studies.footage import Footage

SHIFT_PX = 3


def texture(height: int, width: int) -> np.ndarray:
    """uint8 RGB blotches a few pixels wide, for the flow to hold on to."""
    noise = np.random.default_rng(0).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return cv2.merge([grey] * 3)


def moving_footage() -> Footage:
    """A picture that moves to the right by 3 px in a frame, and to the left by 3 px in the frame before."""
    wide = texture(96, 160)
    images = {n: wide[:, 16 - n * SHIFT_PX :][:, :128].copy() for n in (-1, 0, 1)}
    label = np.zeros((96, 128), np.uint8)
    frames = tuple(Frame(n, image, label if n == 0 else None) for n, image in images.items())
    return Footage(Split("val", (Clip("a", frames, 0),), CLASSES), None, (0, 1))


def brightness_class(images) -> np.ndarray:
    """A predictor that moves along with its input: dark, middle or bright."""
    return np.digitize(images[..., 0], [110, 145])


def test_predictions_that_move_with_the_picture_agree():
    """What is new at the border has no match; what is not masked is predicted alike."""
    footage = moving_footage()
    (row,) = measure(predictor(brightness_class), footage).itertuples()
    assert row.frames == 2
    assert row.agreement > 0.995
    assert row.miou > 0.99
    assert SHIFT_PX / 128 <= row.masked < 0.08
    assert np.isnan(row.agreement_where_truth_stays)
    # Without the flow they would not: the picture is another one at most places.
    still, moved = (brightness_class(footage.images([frame])) for frame in footage.split.clips[0].frames[1:])
    assert np.mean(still == moved) < 0.85


def test_predictions_that_stay_while_the_picture_moves_do_not_agree():
    """Halves of the image, whatever it shows: moved by 3 px, they differ in 3 columns of those that count."""

    def halves(images):
        ids = np.zeros(images.shape[:3], int)
        ids[:, :, 64:] = 1
        return ids

    (row,) = measure(predictor(halves), moving_footage()).itertuples()
    counted = 128 * (1 - row.masked)
    assert row.agreement == pytest.approx(1 - SHIFT_PX / counted, abs=0.005)


def test_equal_frames_agree_completely():
    image = texture(48, 64)
    label = np.zeros((48, 64), np.uint8)
    clip = Clip("still", tuple(Frame(n, image.copy(), label) for n in (0, 2)), 0)
    (row,) = measure(
        predictor(brightness_class), Footage(Split("val", (clip,), CLASSES), None, (0, 2))
    ).itertuples()
    assert (row.agreement, row.miou, row.masked) == (1, 1, 0)
    assert (row.agreement_where_truth_stays, row.truth_stays) == (1, 1)


def test_where_the_truth_stays_is_counted_by_hand():
    """Six pixels: one void in each label, 3 of the 4 others keep their class, 2 of these their prediction."""
    labels = {0: [VOID, 0, 0, 1, 1, 2], 1: [0, VOID, 0, 1, 0, 2]}
    shown = {0: [0, 0, 0, 1, 1, 2], 1: [1, 1, 0, 1, 1, 0]}
    tall = {name: {n: [ids] * 16 for n, ids in maps.items()} for name, maps in (("l", labels), ("s", shown))}
    tall = {k: {n: np.repeat(ids, 4, axis=1) for n, ids in maps.items()} for k, maps in tall.items()}
    (row,) = measure(predictor(reads_red), footage_of(clip_of("a", tall["s"], tall["l"]))).itertuples()
    assert row.truth_stays == pytest.approx(3 / 4)
    assert row.agreement_where_truth_stays == pytest.approx(2 / 3)


def test_charts_without_labels_leave_out_what_needs_them():
    footage = moving_footage()
    table = measure(predictor(brightness_class), footage).assign(model="taf", seed=0)
    assert len(plot(table, footage).axes) == 3
    assert len(plot(table.assign(agreement_where_truth_stays=0.5), footage).axes) == 4
