import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import VOID
from taf_keras.pipeline.propagate import consistent, optical_flow, propagate_label

SIZE = (96, 128)


def texture(seed: int, size=SIZE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def shifted(pixels: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The window that a camera sees whose content moves by (dy, dx); the source has a margin of 16 px."""
    return pixels[16 - dy : 16 - dy + SIZE[0], 16 - dx : 16 - dx + SIZE[1]]


@pytest.mark.parametrize("motion", [(0, 0), (3, -5), (-4, 6)])
def test_labels_move_with_the_content(motion):
    scene = texture(0, (SIZE[0] + 32, SIZE[1] + 32))
    classes = (np.indices(scene.shape[:2]).sum(axis=0) // 20 % 5).astype(np.uint8)
    key, partner = shifted(scene, 0, 0), shifted(scene, *motion)
    carried = propagate_label(key, partner, shifted(classes, 0, 0), tolerance_px=1.0)
    truth = shifted(classes, *motion)
    known = carried != VOID
    hidden = 1 - (SIZE[0] - abs(motion[0])) * (SIZE[1] - abs(motion[1])) / SIZE[0] / SIZE[1]
    assert known.mean() > 0.9 - hidden  # what moved in from outside cannot be known
    assert (carried == truth)[known].mean() > 0.97
    if motion == (0, 0):
        np.testing.assert_array_equal(carried, truth)


def test_flow_is_in_pixels_x_first():
    scene = texture(1, (SIZE[0] + 32, SIZE[1] + 32))
    flow = optical_flow(shifted(scene, 0, 0), shifted(scene, 2, -7))
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (-7, 2), atol=0.3)


def test_a_flow_that_does_not_return_is_void():
    there = np.zeros((*SIZE, 2), np.float32)
    there[..., 0] = 3
    back = -there
    back[:, 60:, 0] = 0  # wrong by 3 px for whatever lands at column 60 or after
    found = consistent(there, back, tolerance_px=1.0)
    assert found[:, :57].all()
    assert not found[:, 57:].any()  # wrong, and from column 125 on outside of the image
    assert consistent(there, back, tolerance_px=3.0)[:, :125].all()


def test_void_stays_void():
    key = texture(2)
    label = np.full(SIZE, VOID, np.uint8)
    assert (propagate_label(key, key, label, 1.0) == VOID).all()
