"""Labels carried from a key frame to its partner by optical flow: explicit label augmentation."""

from __future__ import annotations

import cv2
import numpy as np

from taf_keras.clips.clip import VOID

_FAR_PX = 1e6


def propagate_label(
    key: np.ndarray, partner: np.ndarray, label: np.ndarray, tolerance_px: float
) -> np.ndarray:
    """The key frame's labels at the places to which they moved in the partner frame.

    Each pixel of the partner takes the label of the key frame's pixel from which the flow says that
    it came. It is void where that lies outside the image, or where the flow there and back again
    ends more than `tolerance_px` away: occlusions, and places where the flow is wrong.

    Args:
        key, partner: uint8 RGB (height, width, 3).
        label: train ids of the key frame, uint8 (height, width).
    Returns: uint8 (height, width).
    """
    there = optical_flow(partner, key)
    x, y = _target(there)
    label = cv2.remap(label, x, y, cv2.INTER_NEAREST, borderValue=VOID)
    label[~consistent(there, optical_flow(key, partner), tolerance_px)] = VOID
    return label


def optical_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense flow (DIS, Kroeger et al. 2016): where each pixel of `first` has moved in `second`.

    Args: uint8 RGB (height, width, 3). Returns: float32 (height, width, 2), (x, y) in px.
    """
    # One object per call: they keep buffers, and readers run in parallel.
    algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
    return algorithm.calc(*grey, None)


def consistent(there: np.ndarray, back: np.ndarray, tolerance_px: float) -> np.ndarray:
    """Where the flow forth and back returns to within `tolerance_px`, bool (height, width).

    Args: flows first -> second and second -> first, float32 (height, width, 2).
    """
    x, y = _target(there)
    far = (_FAR_PX, _FAR_PX)  # a target outside the image is no match
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=far)
    return np.linalg.norm(there + returned, axis=-1) <= tolerance_px


def _target(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x + flow[..., 0], y + flow[..., 1]
