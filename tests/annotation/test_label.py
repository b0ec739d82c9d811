"""`python -m taf_keras.label`: stills, their index, the contact sheet, and what a second call adds."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras import label
from taf_keras.annotation import frame_measures, key_frames
from taf_keras.annotation.contact_sheet import contact_sheet
from taf_keras.clips.decode import read_image
from taf_keras.clips.hold_out import hold_out
from taf_keras.files import write_bytes
from taf_keras.video.frames import Decoded

SIZE = HEIGHT, WIDTH = 64, 96
FRAMES = 240
_STREET = np.random.default_rng(0).integers(0, 256, (8, 400, 3), np.uint8)


def picture(index: int, speed: float = 0.25) -> np.ndarray:
    """BGR frame `index` of a drive past coloured walls."""
    walls = cv2.resize(_STREET, (400 * 8, HEIGHT), interpolation=cv2.INTER_LINEAR)
    begin = int(8 * speed * index)
    return np.ascontiguousarray(walls[:, begin : begin + WIDTH])


def write_video(path: Path, frames=range(FRAMES), speed: float = 0.25) -> Path:
    """A lossless video, 30 Hz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 30, SIZE[::-1])
    assert writer.isOpened()
    for index in frames:
        writer.write(picture(index, speed))
    writer.release()
    return path


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "street.avi")


def run(*words) -> int:
    """The exit code."""
    try:
        label.main(list(map(str, words)))
    except SystemExit as ended:
        return ended.code
    return 0


def rows(folder: Path) -> list[dict]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stills(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "images").iterdir())}


def test_stills_are_the_frames_of_their_numbers(street, tmp_path, capsys):
    folder = tmp_path / "to_label"
    assert run(street, f"--output_dir={folder}", "--frames=6") == 0
    listed = rows(folder)
    assert len(listed) == 6
    assert sorted(row["image"] for row in listed) == list(stills(folder))
    for row in listed:
        number = int(row["frame"])
        assert (row["video"], row["image"]) == ("street", f"street_{number:06d}.png")
        assert float(row["seconds"]) == pytest.approx(number / 30, abs=0.001)
        np.testing.assert_array_equal(cv2.imread(str(folder / "images" / row["image"])), picture(number))
    assert read_image(str(folder / "contact_sheet.jpg")).shape[1] > 5 * 256
    said = capsys.readouterr().out
    assert f"python -m taf_keras.import_labels EXPORT --video={street} --output_dir=my_data" in said
    assert "train on 5 of them and validate on 1" in said


def test_the_split_leaves_none_out(street, tmp_path):
    """Twelve of 240 frames are nearer to each other than the gap."""
    assert run(street, f"--output_dir={tmp_path}", "--frames=12") == 0
    numbers = sorted(int(row["frame"]) for row in rows(tmp_path))
    train, val = hold_out({"street": numbers}, gap_frames=30)
    assert len(train["street"]) + len(val["street"]) == 12


def test_what_the_split_would_leave_out_is_not_written(street, tmp_path, monkeypatch):
    def in_margin(before, new):
        return {"street": {max(new["street"])}}

    monkeypatch.setattr(key_frames, "in_margin", in_margin)
    assert run(street, f"--output_dir={tmp_path}", "--frames=4") == 1
    assert len(stills(tmp_path)) == len(rows(tmp_path)) == 3


def test_a_second_call_adds_and_changes_nothing(street, tmp_path, capsys):
    assert run(street, f"--output_dir={tmp_path}", "--frames=5") == 0
    first, listed = stills(tmp_path), rows(tmp_path)
    assert run(street, f"--output_dir={tmp_path}", "--frames=5") == 0
    second = stills(tmp_path)
    assert len(second) == 10
    assert {name: second[name] for name in first} == first
    assert rows(tmp_path)[:5] == listed
    assert [row["round"] for row in rows(tmp_path)] == ["1"] * 5 + ["2"] * 5
    numbers = sorted(int(row["frame"]) for row in rows(tmp_path))
    assert min(np.diff(numbers)) >= 5
    assert "round 2 in index.csv" in capsys.readouterr().out


def test_videos_share_the_frames_by_length(street, tmp_path):
    park = write_video(tmp_path / "park.avi", range(300, 380), speed=1)
    assert run(street, park, f"--output_dir={tmp_path / 'out'}", "--frames=8") == 0
    videos = [row["video"] for row in rows(tmp_path / "out")]
    assert (videos.count("street"), videos.count("park")) == (6, 2)


def test_a_part_each_nth_frame_and_another_size(street, tmp_path):
    words = ("--frames=3", "--seconds=2-6.5", "--every=7", "--size=32x48")
    assert run(street, f"--output_dir={tmp_path}", *words) == 0
    for row in rows(tmp_path):
        assert int(row["frame"]) % 7 == 0
        assert 2 <= float(row["seconds"]) < 6.5
        assert read_image(str(tmp_path / "images" / row["image"])).shape == (32, 48, 3)


def test_a_scene_that_stands_still_gives_fewer(tmp_path, capsys):
    video = tmp_path / "parked.avi"
    writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 30, SIZE[::-1])
    rng = np.random.default_rng(0)
    for _ in range(100):
        writer.write((picture(5) * 0.9 + rng.integers(0, 9, (*SIZE, 3))).astype(np.uint8))
    writer.release()
    assert run(video, f"--output_dir={tmp_path}", "--frames=10") == 1
    assert len(rows(tmp_path)) == 1
    assert "9 of --frames=10 are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "better"), [("my street.avi", "my_street.avi"), ("straße,1.avi", "stra_e_1.avi")]
)
def test_a_name_that_tools_change_is_refused(tmp_path, capsys, name, better):
    video = write_video(tmp_path / name, range(3))
    assert run(video, f"--output_dir={tmp_path / 'out'}") == 2
    assert f"rename it, such as {better}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{street}", "{other}"], "the stills of {street} would get the same names"),
        (["{tmp}/missing.mp4"], "missing.mp4: cannot be read"),
        (["{street}", "--frames=300"], "--frames=300: there are 240 frames to pick from, at --every=1"),
        (["{street}", "--frames=0"], "--frames=0: must be from 1"),
        (["{street}", "{park}", "--frames=1"], "--frames=1: must be 2 at least, one for each video"),
        (["{street}", "--seconds=9-12"], "no frame in --seconds=9-12 can be decoded; it ends at 8.0 s"),
        (["{street}", "--seconds=5-5"], "--seconds=5-5: write BEGIN-END"),
        (["{street}", "--size=64"], "--size=64: write HEIGHTxWIDTH"),
        (["{street}", "--model={tmp}"], "--model={tmp}: holds no exported model"),
    ],
)
def test_bad_input_is_refused_in_one_line(street, tmp_path, capsys, words, message):
    places = {
        "street": street,
        "tmp": tmp_path,
        "other": write_video(tmp_path / "other" / "Street.avi", range(3)),
        "park": write_video(tmp_path / "park.avi", range(9)),
    }
    words = [word.format(**places) for word in words]
    assert run(*words, f"--output_dir={tmp_path / 'out'}") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message.format(**places) in last
    assert not list((tmp_path / "out").rglob("*.png"))


def test_another_video_of_this_name_is_refused(street, tmp_path, capsys):
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 0
    before = stills(tmp_path)
    other = write_video(tmp_path / "other" / "street.avi", range(150, 350), speed=1)
    assert run(other, f"--output_dir={tmp_path}", "--frames=1", "--every=190") == 2
    assert "which is of another video: rename this one" in capsys.readouterr().err
    assert stills(tmp_path) == before


def test_each_nth_frame_is_of_those_that_are_left(street, tmp_path):
    assert run(street, f"--output_dir={tmp_path}", "--frames=2", "--every=60") == 0
    assert run(street, f"--output_dir={tmp_path}", "--frames=2", "--every=60") == 0
    assert sorted(int(row["frame"]) for row in rows(tmp_path)) == [0, 60, 120, 180]


def test_a_folder_of_something_else_is_refused(street, tmp_path, capsys):
    (tmp_path / "index.csv").write_text("a,b\n1,2\n")
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 2
    assert "index.csv: is no index of stills" in capsys.readouterr().err


def test_one_picture_for_all_frames_is_refused(street, tmp_path, capsys, monkeypatch):
    """As OpenCV gives it of an interlaced video that it cannot convert."""

    def decode(video, wanted):
        for index in range(50):
            yield Decoded(index, index * 33.3, picture(0) if wanted(index) else None)

    monkeypatch.setattr(frame_measures, "decode", decode)
    monkeypatch.setattr(frame_measures, "pyav", lambda: None)
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 2
    assert "one picture is decoded for all 50 frames" in capsys.readouterr().err


def test_what_an_interrupted_call_has_written_is_listed(street, tmp_path, capsys, monkeypatch):
    def save_frames(video, targets, *_):
        for number in sorted(targets)[:2]:
            write_bytes(targets[number], cv2.imencode(".png", picture(number))[1].tobytes())
        (tmp_path / "images" / ".street_000777.png.tmp").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(key_frames, "save_frames", save_frames)
        assert run(street, f"--output_dir={tmp_path}", "--frames=5") == 130
    assert "stills that were written are whole" in capsys.readouterr().err
    first = stills(tmp_path)
    assert len(rows(tmp_path)) == 2
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 0
    assert len(stills(tmp_path)) == len(rows(tmp_path)) == 5
    assert first.pop(".street_000777.png.tmp") == b""
    assert {name: stills(tmp_path)[name] for name in first} == first


def test_stills_that_a_killed_call_has_not_listed_are_listed(street, tmp_path):
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 0
    before = stills(tmp_path)
    (tmp_path / "index.csv").unlink()
    assert run(street, f"--output_dir={tmp_path}", "--frames=3") == 0
    listed = {row["image"]: row for row in rows(tmp_path)}
    assert len(listed) == 6
    assert all(listed[name]["video"] == "street" for name in before)
    assert {name: stills(tmp_path)[name] for name in before} == before


def test_memory_does_not_grow_with_the_video(street, monkeypatch):
    """Of as many frames in a row the sharpest is kept."""
    whole, _ = frame_measures.measure(street, set(), 1, (0, np.inf), lambda done, total: None)
    monkeypatch.setattr(frame_measures, "_MOST", 40)
    few, there = frame_measures.measure(street, {7, 100}, 1, (0, np.inf), lambda done, total: None)
    assert len(whole) == FRAMES
    assert FRAMES // 8 <= len(few) <= 40
    assert there.index.tolist() == [7, 100]
    for number, value in zip(few.index, few.sharpness, strict=True):
        block = [n for n in range(number // 8 * 8, number // 8 * 8 + 8) if n not in (7, 100)]
        assert value == max(whole.sharpness[block])


def test_seconds_are_time_stamps_where_the_rate_varies(tmp_path):
    av = pytest.importorskip("av")
    times = np.cumsum([1 + (index % 5 == 0) * 3 for index in range(90)]) - 4
    with av.open(str(tmp_path / "phone.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index), format="bgr24")
            frame.pts = int(time)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert run(tmp_path / "phone.mkv", f"--output_dir={tmp_path}", "--frames=4") == 0
    for row in rows(tmp_path):
        assert float(row["seconds"]) == pytest.approx(times[int(row["frame"])] / 30, abs=0.002)


def test_the_contact_sheet_has_a_cell_for_each_picture():
    pictures = [
        (np.full((90, 160, 3), 200, np.uint8), (f"street {n:06d}", "0:01.0"), n == 6) for n in range(7)
    ]
    sheet = contact_sheet(pictures, 7)
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 5
    assert sheet.shape == (height * 2, width * 5, 3)
    for number in range(10):
        row, column = divmod(number, 5)
        cell = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert (cell[height // 2, width // 2] == 200).all() == (number < 7)
        assert bool((cell == 255).any()) == (number < 7)  # the caption
        assert bool((cell == (255, 200, 0)).all(axis=-1).any()) == (number == 6)
