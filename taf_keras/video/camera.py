"""A camera's frames as they come, by OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2

from taf_keras.errors import UserError
from taf_keras.video.frames import Decoded


def open_camera(index: int) -> cv2.VideoCapture:
    """Raises: UserError where there is no such camera."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # each of its backends would complain
    try:
        camera = cv2.VideoCapture(index)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not camera.isOpened():
        raise UserError(f"{index}: no camera has this number, or another program uses it; the first is 0")
    return camera


def captured(camera: cv2.VideoCapture, wanted: Callable[[int], bool]) -> Iterator[Decoded]:
    """All frames, with the images of those that are `wanted`, until the camera gives no more."""
    index, begin = 0, None
    try:
        while camera.grab():
            now = time.monotonic()
            begin = now if begin is None else begin
            image = camera.retrieve()[1] if wanted(index) else None
            yield Decoded(index, 1000 * (now - begin), image)
            index += 1
    finally:
        camera.release()
