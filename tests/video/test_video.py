import os
import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.errors import UserError
from taf_keras.video import frames as reader
from taf_keras.video.frames import decode, image_size, irregularity, save_frames

SIZE = (64, 96)  # height, width; the upper eighth is 12 stripes of 8 px, which spell the index in binary
BITS = 12


def picture(index: int, scene: float | None = None) -> np.ndarray:
    """BGR frame `index`: its index in stripes, above a scene that moves by 2 px a frame."""
    moved = 2 * (index if scene is None else scene)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    grey = 128 + 50 * np.sin((x + moved) / 9) + 40 * np.cos((y + x / 3 - moved) / 7)
    image = np.stack([grey, 255 - grey, grey / 2 + y], axis=-1)
    image[: SIZE[0] // 8] = 255 * np.repeat(index >> np.arange(BITS) & 1, SIZE[1] // BITS)[:, None]
    return image.clip(0, 255).astype(np.uint8)


def index_of(image: np.ndarray) -> int:
    """Reads the stripes of a frame of any size, in any quality."""
    height, width = image.shape[:2]
    stripes = image[: height // 8].mean(axis=(0, 2)).reshape(BITS, width // BITS).mean(axis=1)
    return int(((stripes > 127) << np.arange(BITS)).sum())


def write_video(path: Path, images, codec: str = "FFV1", rate: float = 30) -> Path:
    """FFV1 is lossless."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, SIZE[::-1])
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()
    return path


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def vary_frame_rate(path: Path) -> None:
    """Makes the frames of an MP4 file last 1.5 and 0.5 times as long, in turns.

    Its `stts` box (time to sample) has one entry (frames, duration); it gets one for each frame, and the
    boxes around it grow with it. OpenCV writes them after the pictures, so that nothing else moves.
    """
    data = bytearray(path.read_bytes())
    at = data.rfind(b"stts") - 4
    size, _, _, entries, frames, duration = struct.unpack_from(">I4sIIII", data, at)
    assert entries == 1
    durations = [duration // 2 if i % 2 else duration * 3 // 2 for i in range(frames)]
    box = struct.pack(">II", 0, frames) + b"".join(struct.pack(">II", 1, d) for d in durations)
    box = struct.pack(">I4s", len(box) + 8, b"stts") + box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        outer = data.rfind(name, 0, at) - 4
        struct.pack_into(">I", data, outer, struct.unpack_from(">I", data, outer)[0] + len(box) - size)
    data[at : at + size] = box
    path.write_bytes(data)


def ignore(done: int, total: int) -> None:
    pass


@pytest.fixture
def movie(tmp_path) -> Path:
    return write_video(tmp_path / "movie.avi", map(picture, range(40)))


# --- Decoding ---


@pytest.mark.parametrize(
    ("codec", "suffix"), [("FFV1", "avi"), ("FFV1", "mkv"), ("MJPG", "avi"), ("mp4v", "mp4"), ("XVID", "avi")]
)
def test_frames_come_in_order_with_their_index(tmp_path, codec, suffix):
    path = write_video(tmp_path / f"movie.{suffix}", map(picture, range(40)), codec)
    frames = list(decode(path, lambda index: index % 3 == 0))
    assert [frame.index for frame in frames] == list(range(40))
    assert all((frame.image is not None) == (frame.index % 3 == 0) for frame in frames)
    assert [index_of(frame.image) for frame in frames[::3]] == list(range(0, 40, 3))
    assert irregularity([frame.time_ms for frame in frames]) is None
    assert image_size(path) == SIZE


def test_the_index_counts_frames_where_their_rate_varies(tmp_path):
    path = write_video(tmp_path / "movie.mp4", map(picture, range(20)), "mp4v")
    vary_frame_rate(path)
    frames = list(decode(path, lambda index: True))
    assert [index_of(frame.image) for frame in frames] == list(range(20))
    # 30 Hz: 33.3 ms × 1.5 and × 0.5, 19 intervals, ten of them long, which is then the median.
    assert irregularity([frame.time_ms for frame in frames]).startswith(
        "variable frame rate: 9 of 19 intervals between frames are not the usual 50.0 ms but 16.7 to 16.7 ms"
    )


def test_times_rounded_to_milliseconds_are_regular():
    assert irregularity(np.round(np.arange(100) * 1000 / 30)) is None
    assert irregularity([0.0]) is None
    assert "1 of 98 intervals" in irregularity(np.delete(np.arange(100) * 1000 / 30, 50))


@pytest.mark.parametrize(("codec", "suffix"), [("MJPG", "avi"), ("XVID", "avi"), ("FFV1", "mkv")])
def test_no_half_picture_is_taken_from_a_file_that_breaks_off(tmp_path, codec, suffix):
    path = write_video(tmp_path / f"movie.{suffix}", map(picture, range(30)), codec)
    whole = [frame.image for frame in decode(path, lambda index: True)]
    data = path.read_bytes()
    counts = []
    for size in range(len(data) // 2, len(data) * 2 // 3, len(data) // 60):
        path.write_bytes(data[:size])
        images = [frame.image for frame in decode(path, lambda index: True)]
        images = images if images[-1] is not None else images[:-1]
        counts.append(len(images))
        for index, image in enumerate(images):
            np.testing.assert_array_equal(image, whole[index])
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < 30


def test_a_colon_in_a_name_is_no_protocol(movie, tmp_path, monkeypatch):
    name = f"2024-05-01T10:30:05{movie.suffix}"
    movie.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        assert image_size(path) == SIZE


def test_what_is_no_video_is_refused_with_its_name(tmp_path):
    (tmp_path / "text.avi").write_text("no video")
    (tmp_path / "empty.avi").touch()
    (tmp_path / "folder.avi").mkdir()
    write_video(tmp_path / "headless.mp4", map(picture, range(9)), "mp4v")
    cut(tmp_path / "headless.mp4", 0.5)  # the index lies at the end of the file
    write_video(tmp_path / "no_frames.avi", [])
    for name, reason in {
        "missing.avi": "cannot be read: No such file",
        "folder.avi": "cannot be read: Is a directory",
        "text.avi": "is not a readable video (8 bytes)",
        "empty.avi": "is not a readable video (0 bytes)",
        "headless.mp4": "is not a readable video",
        "no_frames.avi": "",  # refused, by FFmpeg or for want of a frame
    }.items():
        with pytest.raises(UserError) as caught:
            image_size(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")
        assert "\n" not in str(caught.value)


# --- Writing ---


def test_png_files_hold_the_decoded_pixels(movie, tmp_path):
    targets = {index: tmp_path / f"{index}.png" for index in (0, 7, 8, 39)}
    save_frames(movie, targets, SIZE, 95, 2, ignore)
    for index, file in targets.items():
        np.testing.assert_array_equal(cv2.imread(str(file)), picture(index))  # FFV1 loses nothing either
    assert sorted(tmp_path.glob(".*")) == []


def test_frames_are_resized(movie, tmp_path):
    save_frames(movie, {5: tmp_path / "5.png"}, (32, 48), 95, 1, ignore)
    # Half the size by areas: each pixel is the mean of 2×2.
    means = picture(5).reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(cv2.imread(str(tmp_path / "5.png")), means, atol=0.51)


def test_jpeg_quality_counts(movie, tmp_path):
    for quality in (30, 95):
        save_frames(movie, {5: tmp_path / f"{quality}.jpg"}, SIZE, quality, 1, ignore)
    sizes = [(tmp_path / f"{quality}.jpg").stat().st_size for quality in (30, 95)]
    assert 1.5 * sizes[0] < sizes[1]


def test_threads_change_no_byte(movie, tmp_path):
    written = []
    for jobs in (1, 4):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        save_frames(movie, {i: folder / f"{i:06d}.jpg" for i in range(40)}, (40, 60), 90, jobs, ignore)
        written.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert len(written[0]) == 40
    assert written[0] == written[1]


def test_frames_that_the_video_lacks_stay_unwritten(movie, tmp_path):
    save_frames(movie, {i: tmp_path / f"{i}.jpg" for i in (38, 39, 40, 41)}, SIZE, 95, 2, ignore)
    assert sorted(file.name for file in tmp_path.glob("*.jpg")) == ["38.jpg", "39.jpg"]


def test_decoding_stops_after_the_last_wanted_frame(movie, tmp_path):
    seen = []
    save_frames(movie, {5: tmp_path / "5.jpg"}, SIZE, 95, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_only_few_frames_wait_for_slow_writers(movie, tmp_path, monkeypatch):
    done, waiting = [], []

    def slow(image, target, size, quality):
        time.sleep(0.002)
        done.append(target)

    monkeypatch.setattr(reader, "_save", slow)
    save_frames(
        movie,
        {i: tmp_path / f"{i}.jpg" for i in range(40)},
        SIZE,
        95,
        2,
        lambda frames, total: waiting.append(frames - len(done)),
    )
    assert len(done) == 40
    assert max(waiting) <= 4


def test_a_full_or_missing_folder_is_named(movie, tmp_path):
    with pytest.raises(UserError, match=r"nowhere/5\.jpg: cannot be written: No such file"):
        save_frames(movie, {5: tmp_path / "nowhere" / "5.jpg"}, SIZE, 95, 2, ignore)


def test_a_file_appears_complete_or_not_at_all(movie, tmp_path, monkeypatch):
    def kill(source, destination):
        np.testing.assert_array_equal(cv2.imdecode(np.fromfile(source, np.uint8), 1), picture(5))
        raise KeyboardInterrupt

    target = tmp_path / "frames" / "5.png"
    target.parent.mkdir()
    monkeypatch.setattr(os, "replace", kill)
    with pytest.raises(KeyboardInterrupt):
        save_frames(movie, {5: target}, SIZE, 95, 1, ignore)
    assert list(target.parent.iterdir()) == []
