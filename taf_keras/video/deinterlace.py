"""Interlaced video, of which OpenCV makes one wrong picture, or combs: PyAV deinterlaces it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from taf_keras.video.pyav import pyav

_GLANCE = 4  # frames: an interlaced video says so with its first, unless that is damaged


def is_interlaced(video: Path) -> bool:
    """Whether the first frames of a video are; False without PyAV, and where it cannot read them."""
    if pyav() is None:
        return False
    try:
        with _opened(video) as container:
            return any(frame.interlaced_frame for frame in islice(container.decode(video=0), _GLANCE))
    except (OSError, ValueError, IndexError):  # FFmpeg's errors are of the first two types
        return False


def deinterlaced(
    video: Path, wanted: Callable[[int], bool]
) -> Iterator[tuple[float, np.ndarray | None, bool]]:
    """(time in ms from the first frame, BGR image where it is wanted, False) of each frame, by bwdif.

    There is one frame of each pair of fields. A packet that cannot be decoded has none, as with OpenCV, and
    the frames after it are counted on without a gap. Frames are turned as the video's display matrix says, as
    OpenCV does by itself.
    """
    with _opened(video) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        graph = pyav().filter.Graph()
        deinterlace = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(graph.add_buffer(template=stream), deinterlace, graph.add("buffersink")).configure()
        turns, start = 0, None
        for index, frame in enumerate(_filtered(_decoded(container, stream), graph)):
            time = frame.time or 0.0
            start = time if start is None else start
            turns = frame.rotation // 90 if frame.rotation else turns
            image = None
            if wanted(index):
                image = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), turns))
            yield 1000 * (time - start), image, False


def _opened(video: Path):
    return pyav().open(f"file:{video}")  # a colon in a name would be taken for a protocol


def _decoded(container, stream) -> Iterator:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except pyav().error.InvalidDataError:
            continue  # as OpenCV goes on


def _filtered(frames: Iterator, graph) -> Iterator:
    for frame in frames:
        graph.vpush(frame)
        yield from _pulled(graph)
    graph.vpush(None)
    yield from _pulled(graph)


def _pulled(graph) -> Iterator:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):  # it wants more frames, or has no more
            return
