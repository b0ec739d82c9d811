"""Videos that are written, read again; rotation and interlacing of those that are read."""

import struct
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_video import SIZE, cut, index_of, picture, vary_frame_rate, write_video

from taf_keras.video.deinterlace import deinterlaced, is_interlaced
from taf_keras.video.frames import Damaged, announced, decode, image_size
from taf_keras.video.write import MARK, VideoWriter

needs_av = pytest.mark.skipif(find_spec("av") is None, reason="needs PyAV")
WITH_AND_WITHOUT = [pytest.param(True, marks=needs_av), False]


@pytest.fixture
def without_av(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


def everything(index: int) -> bool:
    return True


def write(path: Path, images, times_ms, rate=30.0) -> list:
    writer = VideoWriter(path, rate)
    for image, time_ms in zip(images, times_ms, strict=True):
        writer.write(image, time_ms)
    writer.close()
    return list(decode(path, everything))


def encoded(path: Path, images, options=(), pts=None, codec="libx264", **of_context) -> Path:
    """Writes a video by PyAV alone; `pts` are ms."""
    import av

    images = list(images)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=dict(options))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in of_context.items():
            setattr(stream.codec_context, name, value)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = pts(index) if pts else 40 * index, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# --- Writing ---


@needs_av
@pytest.mark.parametrize(
    "times_ms",
    [
        [0, 33, 67, 100, 700, 701],
        [1000 * 1001 * i / 30000 for i in range(6)],
        [80, 120, 160, 200, 240, 280],
    ],
)
def test_a_written_video_has_the_frames_at_their_times(tmp_path, times_ms):
    frames = write(tmp_path / "a.mp4", map(picture, range(6)), times_ms)
    assert [index_of(frame.image) for frame in frames] == list(range(6))
    np.testing.assert_allclose(
        [frame.time_ms for frame in frames], np.subtract(times_ms, times_ms[0]), atol=0.01
    )


@needs_av
def test_frames_without_times_come_at_the_usual_rate(tmp_path):
    frames = write(tmp_path / "a.mp4", map(picture, range(6)), [0] * 6, rate=20)
    np.testing.assert_allclose([frame.time_ms for frame in frames], np.arange(6) * 50, atol=0.1)


@pytest.mark.parametrize("with_av", WITH_AND_WITHOUT)
@pytest.mark.parametrize("size", [(64, 96), (63, 95), (1, 1)])
def test_odd_sides_get_one_more_row_or_column(tmp_path, request, with_av, size):
    if not with_av:
        request.getfixturevalue("without_av")
    image = np.full((*size, 3), (30, 90, 200), np.uint8)
    frames = write(tmp_path / "a.mp4", [image] * 3, [0, 40, 80], 25)
    assert len(frames) == 3
    assert frames[0].image.shape[:2] == (-(-size[0] // 2) * 2, -(-size[1] // 2) * 2)
    assert np.abs(frames[2].image.astype(int) - (30, 90, 200)).max() <= 8
    assert announced(tmp_path / "a.mp4") == (3, 25)


@pytest.mark.parametrize("with_av", WITH_AND_WITHOUT)
def test_a_written_video_ends_in_the_mark_and_plays(tmp_path, request, with_av):
    if not with_av:
        request.getfixturevalue("without_av")
    frames = write(tmp_path / "a.mp4", map(picture, range(9)), range(0, 360, 40), 25)
    assert (tmp_path / "a.mp4").read_bytes().endswith(MARK)
    assert [index_of(frame.image) for frame in frames] == list(range(9))


@pytest.mark.parametrize("with_av", WITH_AND_WITHOUT)
def test_a_name_may_have_a_colon(tmp_path, request, monkeypatch, with_av):
    if not with_av:
        request.getfixturevalue("without_av")
    monkeypatch.chdir(tmp_path)
    frames = write(Path("10:30:05.mp4"), map(picture, range(3)), [0, 40, 80], 25)
    assert [index_of(frame.image) for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("with_av", WITH_AND_WITHOUT)
def test_frames_of_another_size_are_fitted(tmp_path, request, with_av):
    if not with_av:
        request.getfixturevalue("without_av")
    images = [picture(0), cv2.resize(picture(1), None, fx=0.5, fy=0.5), picture(2)]
    frames = write(tmp_path / "a.mp4", images, [0, 40, 80])
    assert [index_of(frame.image) for frame in frames] == [0, 1, 2]
    assert {frame.image.shape for frame in frames} == {(*SIZE, 3)}


@needs_av
@pytest.mark.parametrize("matrix", [1, 6, 2])
def test_a_copy_looks_like_its_source(tmp_path, matrix):
    """Whatever coefficients the source was made with: BT.709, BT.601, or unspecified."""
    image = np.full((*SIZE, 3), (30, 90, 200), np.uint8)
    source = encoded(tmp_path / "source.mp4", [image] * 3, colorspace=matrix)
    frames = list(decode(source, everything))
    copy = write(tmp_path / "copy.mp4", [f.image for f in frames], [f.time_ms for f in frames])
    assert np.abs(copy[1].image.astype(int) - frames[1].image).mean() < 4


# --- Reading ---


def turn(path: Path, quarters: int) -> Path:
    """Sets the display matrix of an MP4 file: turn it by so many quarters clockwise to show it."""
    data = bytearray(path.read_bytes())
    at = data.rfind(b"tkhd") - 4
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    matrix = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    struct.pack_into(">9i", data, at + 48, *matrix)
    path.write_bytes(data)
    return path


@needs_av
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_both_decoders_turn_frames_as_the_video_says(tmp_path, quarters):
    path = turn(encoded(tmp_path / "a.mp4", map(picture, range(5))), quarters)
    frames, others = list(decode(path, everything)), list(deinterlaced(path, everything))
    assert image_size(path) == (SIZE if quarters % 2 == 0 else SIZE[::-1])
    for frame, (time_ms, image, _) in zip(frames, others, strict=True):
        assert index_of(np.rot90(frame.image, quarters)) == frame.index
        assert np.abs(frame.image.astype(int) - image).mean() < 2
        assert abs(frame.time_ms - time_ms) < 0.01


B_FRAMES = {"bf": "3", "g": "10"}


@needs_av
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.mp4", lambda path: encoded(path, map(picture, range(40)), B_FRAMES)),
        ("a.ts", lambda path: encoded(path, map(picture, range(40)), B_FRAMES)),
        ("a.mkv", lambda path: encoded(path, map(picture, range(40)), pts=lambda i: 40 * i + 9 * i * i)),
        ("a.avi", lambda path: write_video(path, map(picture, range(40)), "MJPG")),
        ("b.avi", lambda path: write_video(path, map(picture, range(40)), "XVID")),
        ("b.mp4", lambda path: vary_frame_rate(write_video(path, map(picture, range(40)), "mp4v")) or path),
    ],
)
def test_both_decoders_count_progressive_frames_alike(tmp_path, name, make):
    path = make(tmp_path / name)
    assert not is_interlaced(path)
    frames, others = list(decode(path, everything)), list(deinterlaced(path, everything))
    assert [frame.index for frame in frames] == list(range(40))
    for frame, (time_ms, image, _) in zip(frames, others, strict=True):
        assert index_of(frame.image) == index_of(image) == frame.index
        assert abs(frame.time_ms - time_ms) < 0.01


def woven(index: int) -> np.ndarray:
    """Two fields of a bar that moves by 7 px from one to the next."""
    image = np.full((*SIZE, 3), 40, np.uint8)
    for field in (0, 1):
        place = 7 * (2 * index + field) % 76
        image[field::2, place : place + 20] = 220
    return image


def combs(image: np.ndarray) -> float:
    """Mean difference of neighbouring rows."""
    return float(np.abs(np.diff(image.astype(int), axis=0)).mean())


@needs_av
@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
def test_an_interlaced_video_is_deinterlaced_frame_by_frame(tmp_path, suffix):
    path = encoded(tmp_path / f"a.{suffix}", map(woven, range(30)), {"x264-params": "tff=1"})
    assert is_interlaced(path)
    frames = list(decode(path, lambda index: index != 3))
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time_ms for frame in frames], np.arange(30) * 40, atol=0.1)
    assert frames[3].image is None
    assert not isinstance(frames[3], Damaged)
    for index in (0, 10, 29):
        image = frames[index].image
        assert combs(image) < combs(woven(index)) / 3
        fields = [woven(index)[field::2].repeat(2, axis=0) for field in (0, 1)]
        assert min(np.abs(image.astype(int) - field).mean() for field in fields) < 10


@needs_av
def test_a_variable_rate_is_no_damage(tmp_path):
    """Matroska announces a duration; times the rate it is more frames than there are."""
    path = encoded(tmp_path / "a.mkv", map(picture, range(20)), pts=lambda i: 40 * i + 600 * (i > 9))
    frames = list(decode(path, everything))
    assert announced(path).frames > len(frames) == 20
    assert not any(isinstance(frame, Damaged) for frame in frames)
    frames = list(decode(cut(path, 0.6), everything))
    assert isinstance(frames[-1], Damaged)


def write_with_longer_sound(path: Path, codec: str, **options: str) -> Path:
    """1.2 s of pictures, 30 of 25 Hz, and 1.6 s of sound."""
    import av

    with av.open(str(path), "w", options=options) as container:
        video, sound = container.add_stream(codec, rate=25), container.add_stream("mp2", rate=44100)
        video.width, video.height = SIZE[::-1]
        sound.layout = "mono"
        for index in range(30):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        container.mux(video.encode())
        for start in range(0, int(44100 * 1.6), 1152):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
            samples.sample_rate, samples.pts = 44100, start
            container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return path


@needs_av
@pytest.mark.parametrize("suffix", ["ts", "mkv", "mpg", "mp4"])
def test_a_longer_sound_is_no_damage(tmp_path, suffix):
    """A duration is that of the longest track; in many dash-cams' files it is the sound's."""
    path = write_with_longer_sound(tmp_path / f"a.{suffix}", "mpeg4" if suffix == "mp4" else "mpeg2video")
    frames = list(decode(path, everything))
    assert len(frames) == 30
    assert not any(isinstance(frame, Damaged) for frame in frames)


def test_a_damaged_end_is_told_from_a_frame_that_nobody_wanted(tmp_path):
    path = write_video(tmp_path / "a.avi", map(picture, range(20)), "MJPG")
    assert type(list(decode(path, lambda index: False))[-1]).__name__ == "Decoded"
    assert isinstance(list(decode(cut(path, 0.6), lambda index: False))[-1], Damaged)
