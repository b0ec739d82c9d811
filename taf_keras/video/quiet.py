"""What FFmpeg and OpenCV say on stderr by themselves."""

from __future__ import annotations

import os

import cv2


def quiet_decoders() -> None:
    """They say nothing of a damaged file, in many lines, what the commands say in one.

    Called before the first video is opened: FFmpeg reads its level then.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
