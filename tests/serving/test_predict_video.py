"""The predict command on videos, with the strongest of red, green and blue as the class of a pixel."""

import csv
import json
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.predict import main
from taf_keras.serving import prediction
from taf_keras.serving.ahead import behind, made_ahead
from taf_keras.serving.runtimes import Predictor
from taf_keras.serving.smooth import Majority
from taf_keras.video import camera
from taf_keras.video.frames import announced, decode
from taf_keras.video.write import MARK, VideoWriter

SIZE = (48, 80)
CLASSES = {"names": ["red", "green", "blue"], "colours": [[255, 0, 0], [0, 255, 0], [0, 0, 255]]}
needs_av = pytest.mark.skipif(find_spec("av") is None, reason="needs PyAV")


def picture(index: int, size=SIZE) -> np.ndarray:
    """BGR: all of class index % 3, but for a bar of the next class, as wide as the index says."""
    image = np.full((*size, 3), 60, np.uint8)
    image[..., 2 - index % 3] = 200
    image[:, : index + 1] = 60
    image[:, : index + 1, 2 - (index + 1) % 3] = 200
    return image


def record(path: str, frames: int = 12, times_ms=None, size=SIZE) -> Path:
    """A video without loss: AVI at 25 Hz, or MP4 at times of its own, which loses little."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if times_ms is None:
        codec = cv2.VideoWriter_fourcc(*"FFV1")
        writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, codec, 25, size[::-1])
        for index in range(frames):
            writer.write(picture(index, size))
        writer.release()
    else:
        writer = VideoWriter(Path(path), 25)
        for index, time_ms in enumerate(times_ms):
            writer.write(picture(index, size), time_ms)
        writer.close()
        Path(path).write_bytes(Path(path).read_bytes().removesuffix(MARK))  # it is no prediction
    return Path(path)


def labels_of(image: np.ndarray) -> np.ndarray:
    return image[..., ::-1].argmax(-1)


def read(path: str) -> list:
    return list(decode(Path(path), lambda index: True))


def rows(path: str) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def written(folder: str = "out") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


class Network:
    """What takes the place of a model. `stop_after` calls it behaves as if Ctrl-C was pressed."""

    def __init__(self):
        self.shapes, self.stop_after = [], None

    def __call__(self, images):
        if len(self.shapes) == self.stop_after:
            raise KeyboardInterrupt
        self.shapes.append(images.shape)
        return images.argmax(-1).astype(np.uint8)


@pytest.fixture
def network(monkeypatch) -> Network:
    network = Network()
    monkeypatch.setattr(prediction, "load_predictor", lambda model, runtime: Predictor(network, None))
    return network


@pytest.fixture
def run(network, tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder. Returns: its exit code, stdout, and the lines of stderr."""
    folder = tmp_path / "export"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    (folder / "assets.extra" / "classes.json").write_text(json.dumps(CLASSES))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str):
        code = 0
        try:
            main([f"--model={folder}", "--output_dir=out", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run


# --- Results -----------------------------------------------------------------------------------------


def test_a_video_becomes_an_overlay_and_a_table(run):
    record("in/street.avi")
    code, out, err = run("in/street.avi")
    assert (code, err) == (0, [])
    assert out.splitlines()[-1] == "wrote 2 files to out, such as street_overlay.mp4"
    assert written() == {"street_overlay.mp4", "street_classes.csv"}
    frames = read("out/street_overlay.mp4")
    assert len(frames) == 12
    for frame in frames:
        image = picture(frame.index)
        colours = 255 * np.eye(3)[labels_of(image)][..., ::-1]  # BGR
        inner = np.s_[4:-4, 20:-4]  # away from edges, where coding blurs
        assert np.abs(frame.image.astype(int) - (image + colours) / 2)[inner].mean() < 8
    header, *table = rows("out/street_classes.csv")
    assert header == ["frame", "seconds", "share of red", "share of green", "share of blue"]
    assert [int(row[0]) for row in table] == list(range(12))
    np.testing.assert_allclose([float(row[1]) for row in table], np.arange(12) / 25, atol=1e-6)
    for index, row in enumerate(table):
        bar = (index + 1) / SIZE[1]
        shares = np.zeros(3)
        shares[index % 3], shares[(index + 1) % 3] = 1 - bar, bar
        np.testing.assert_allclose([float(share) for share in row[2:]], shares, atol=1e-6)


@needs_av
def test_times_of_a_variable_rate_are_kept(run):
    times_ms = [0, 40, 80, 500, 510, 900]
    record("street.mp4", times_ms=times_ms)
    assert run("street.mp4")[0] == 0
    np.testing.assert_allclose([f.time_ms for f in read("out/street_overlay.mp4")], times_ms, atol=0.02)
    seconds = [float(row[1]) for row in rows("out/street_classes.csv")[1:]]
    np.testing.assert_allclose(seconds, np.divide(times_ms, 1000), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_label_maps_are_those_of_the_frames_in_order(run, network, batch_size):
    record("street.avi")
    assert run("street.avi", "--labels=png", f"--batch_size={batch_size}")[0] == 0
    assert max(shape[0] for shape in network.shapes) == min(batch_size, 12)
    pngs = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(Path("out/street_labels").iterdir())
    ]
    code, out, _ = run("street.avi", "--labels=npz")
    assert code == 0
    assert "wrote 3 files" in out
    with np.load("out/street_labels.npz") as archive:
        assert list(archive) == [f"{index:06d}" for index in range(12)]
        for index, png in zip(range(12), pngs, strict=True):
            expected = labels_of(picture(index))
            np.testing.assert_array_equal(archive[f"{index:06d}"], expected)
            np.testing.assert_array_equal(png, expected)
            assert archive[f"{index:06d}"].dtype == png.dtype == np.uint8


def test_every_and_frames_choose_frames_that_keep_their_numbers_and_times(run):
    record("street.avi")
    assert run("street.avi", "--every=3", "--labels=png")[0] == 0
    table = rows("out/street_classes.csv")[1:]
    assert [row[0] for row in table] == ["0", "3", "6", "9"]
    assert [path.stem for path in sorted(Path("out/street_labels").iterdir())] == [
        "000000",
        "000003",
        "000006",
        "000009",
    ]
    if find_spec("av"):
        times_ms = [frame.time_ms for frame in read("out/street_overlay.mp4")]
        np.testing.assert_allclose(times_ms, np.arange(4) * 120, atol=0.02)
    assert run("street.avi", "--every=2", "--frames=3", "--labels=png")[0] == 0
    assert [row[0] for row in rows("out/street_classes.csv")[1:]] == ["0", "2", "4"]
    assert len(list(Path("out/street_labels").iterdir())) == 3  # those of the earlier prediction are gone


def test_the_network_sees_a_size_and_results_have_the_videos(run, network):
    record("street.avi")
    cv2.imwrite("photo.png", picture(4))
    assert run("street.avi", "photo.png", "--size=24x40", "--labels=npz")[0] == 0
    assert set(network.shapes) == {(1, 24, 40, 3)}
    assert read("out/street_overlay.mp4")[0].image.shape[:2] == SIZE
    with np.load("out/street_labels.npz") as archive:
        # Bars of even width keep it at half the size.
        np.testing.assert_array_equal(archive["000005"], labels_of(picture(5)))
    assert cv2.imread("out/photo_labels.png", 0).shape == SIZE


def test_a_model_of_one_size_gets_it(run, network, monkeypatch):
    monkeypatch.setattr(prediction, "load_predictor", lambda model, runtime: Predictor(network, (24, 40)))
    record("street.avi")
    _, out, _ = run("street.avi")
    assert "takes 24x40 px alone, to which all is resized" in out
    assert set(network.shapes) == {(1, 24, 40, 3)}


@needs_av
def test_videos_of_odd_sides_have_label_maps_of_their_own_size(run):
    import av

    with av.open("street.mkv", "w") as container:  # OpenCV would cut them off
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 47, 79, "yuv444p"
        for index in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index, (47, 79)), format="bgr24")))
        container.mux(stream.encode())
    assert run("street.mkv", "--labels=png")[0] == 0
    assert cv2.imread("out/street_labels/000003.png", 0).shape == (47, 79)
    assert read("out/street_overlay.mp4")[0].image.shape[:2] == (48, 80)


def test_without_pyav_the_rate_is_constant_and_a_line_says_so(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    record("street.avi")
    code, out, err = run("street.avi", "--every=2")
    assert (code, err) == (0, [])
    assert "MPEG-4 at a constant frame rate" in out
    assert "pip install av" in out
    assert len(read("out/street_overlay.mp4")) == 6
    assert announced(Path("out/street_overlay.mp4")) == (6, 12.5)


def test_several_videos_and_images_of_a_folder(run):
    for name in ("a.avi", "b.avi", "c.avi"):
        record(f"in/{name}", frames=3)
    cv2.imwrite("in/c.png", picture(0))
    Path("in/notes.txt").touch()
    code, out, _ = run("in")
    assert code == 0
    assert out.splitlines()[-1] == "wrote 8 files to out, such as c.avi_overlay.mp4; skipped 1 other file"
    assert {"a_overlay.mp4", "c.png_overlay.png", "c.avi_classes.csv"} <= written()
    assert run("in/[ab].*", "--output_dir=again")[0] == 0
    assert written("again") == {f"{n}_{w}" for n in "ab" for w in ("overlay.mp4", "classes.csv")}


# --- Smoothing ----------------------------------------------------------------------------------------


def test_the_majority_of_the_last_maps_decides_and_of_equals_the_latest():
    maps = np.array([[0, 1, 2, 5], [0, 2, 2, 6], [1, 2, 0, 7], [1, 1, 0, 7]], np.uint8)[:, None]
    majority = Majority(3)
    found = np.concatenate([majority(labels) for labels in maps])
    np.testing.assert_array_equal(found, [[0, 1, 2, 5], [0, 2, 2, 6], [0, 2, 2, 7], [1, 2, 0, 7]])
    off = Majority(1)
    np.testing.assert_array_equal(np.stack([off(labels) for labels in maps]), maps)


def test_smooth_lets_label_maps_vote(run):
    record("street.avi", frames=7)
    assert run("street.avi", "--labels=npz", "--smooth=3")[0] == 0
    maps = np.stack([labels_of(picture(index)) for index in range(7)])
    with np.load("out/street_labels.npz") as archive:
        for index in range(2, 7):
            votes = np.stack([(maps[index - 2 : index + 1] == c).sum(0) for c in range(3)])
            clear = np.sort(votes, axis=0)[-1] > 1
            np.testing.assert_array_equal(archive[f"{index:06d}"][clear], votes.argmax(0)[clear])
            np.testing.assert_array_equal(archive[f"{index:06d}"][~clear], maps[index][~clear])


# --- Interrupted and damaged --------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["png", "npz"])
def test_ctrl_c_leaves_what_was_written(run, network, labels):
    record("street.avi")
    network.stop_after = 7
    code, _, err = run("street.avi", f"--labels={labels}")
    assert code == 128 + signal.SIGINT
    assert err == ["interrupted: out/street_overlay.mp4 holds the first 7 frames"]
    assert len(read("out/street_overlay.mp4")) == 7
    assert [row[0] for row in rows("out/street_classes.csv")[1:]] == list("0123456")
    if labels == "npz":
        assert len(np.load("out/street_labels.npz")) == 7
    assert not [name for name in written() if "unfinished" in name]


def test_ctrl_c_before_the_first_frame_leaves_nothing(run, network):
    record("street.avi")
    network.stop_after = 0
    assert run("street.avi")[::2] == (130, ["interrupted: nothing was written"])
    assert written() == set()


@pytest.mark.parametrize("every", [1, 4])
def test_a_video_that_breaks_off_is_segmented_as_far_as_it_goes(run, every):
    path = record("in/street.avi", frames=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    record("in/whole.avi")
    code, out, (line,) = run("in", f"--every={every}")
    assert code == 1
    decoded = len(read("in/street.avi")) - 1
    assert line == (
        "segmented in part: in/street.avi: is damaged or cut short: of the 20 frames that it announces, "
        f"{decoded} could be decoded"
    )
    assert out.endswith("; 1 video segmented in part\n")
    assert len(read("out/street_overlay.mp4")) == len(range(0, decoded, every))
    assert len(read("out/whole_overlay.mp4")) == len(range(0, 12, every))


def test_one_picture_in_all_frames_is_told_where_it_may_be_a_decoder(run, monkeypatch):
    """OpenCV says success and gives one wrong picture for all frames of an interlaced video."""
    path = Path("still.avi")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 25, SIZE[::-1])
    for _ in range(20):
        writer.write(picture(0))
    writer.release()
    record("street.avi")
    if find_spec("av"):
        assert run(path)[0] == 0
    monkeypatch.setitem(sys.modules, "av", None)
    assert run("street.avi")[0] == 0
    code, _, (line,) = run(path)
    assert code == 1
    assert line.startswith("segmented in part: still.avi: all frames show one picture, as OpenCV makes of")
    assert "pip install av" in line


def test_what_is_no_video_does_not_stop_a_folder(run):
    record("in/a.avi")
    Path("in/b.mp4").write_text("no video")
    code, out, err = run("in")
    assert (code, err) == (1, ["not segmented: in/b.mp4: is not a readable video (8 bytes)"])
    assert out.endswith("; 1 video not segmented\n")
    assert written() == {"a_overlay.mp4", "a_classes.csv"}
    code, _, err = run("in/b.mp4")
    assert (code, err[-1]) == (2, "error: nothing was segmented: 1 video could not be read")


def test_a_full_disk_is_named(run, monkeypatch):
    def full(self, image, time_ms):
        raise OSError(28, "No space left on device")

    record("street.avi")
    monkeypatch.setattr(VideoWriter, "write", full)
    code, _, err = run("street.avi")
    assert code == 2
    assert err == ["error: out/street_overlay.mp4: cannot be written: No space left on device"]


# --- Earlier results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["png", "npz"])
def test_earlier_results_are_replaced_and_are_no_videos(run, labels):
    record("in/street.avi")
    for _ in range(2):
        code, out, err = run("in", "--output_dir=in", f"--labels={labels}")
        assert (code, err) == (0, [])
    beside = "1 other file, 1 folder" if labels == "png" else "2 other files"  # the table, the label maps
    assert out.endswith(f"; skipped {beside}, 1 earlier prediction\n")
    assert "street_overlay_overlay.mp4" not in written("in")
    assert run("in/street_overlay.mp4")[2] == [
        "error: in/street_overlay.mp4: is an earlier prediction, and nothing else is there"
    ]


VIDEO = {"street_overlay.mp4", "street_classes.csv"}


def test_results_of_a_video_are_of_one_prediction(run):
    record("street.avi", frames=3)
    pngs = {f"street_labels/{index:06d}.png" for index in range(3)}
    for labels, files in [("png", pngs), ("npz", {"street_labels.npz"}), ("png", pngs), ("none", set())]:
        assert run("street.avi", f"--labels={labels}")[0] == 0
        assert written() == VIDEO | files
        assert Path("out/street_labels").exists() == (labels == "png")


@pytest.mark.parametrize("name", ["street_labels.npz", "street_labels/000001.png", "street_labels/notes.png"])
def test_files_of_others_beside_earlier_label_maps_stay(run, name):
    record("street.avi", frames=1)
    assert run("street.avi", "--labels=png")[0] == 0
    Path("out", name).write_text("mine")
    assert run("street.avi")[0] == 0
    assert written() == {*VIDEO, name}


@pytest.mark.parametrize("labels", ["png", "npz", "none"])
def test_without_a_frame_the_earlier_results_stay(run, network, labels):
    record("street.avi", frames=3)
    assert run("street.avi", "--labels=png")[0] == 0
    before = {name: Path("out", name).read_bytes() for name in written()}
    network.stop_after = len(network.shapes)
    assert run("street.avi", f"--labels={labels}")[0] == 130
    assert {name: Path("out", name).read_bytes() for name in written()} == before


@pytest.mark.parametrize(
    ("theirs", "labels"),
    [
        ("street_overlay.mp4", "none"),
        ("street_classes.csv", "none"),
        ("street_labels.npz", "npz"),
        ("street_labels/000003.png", "png"),
        ("street_labels/7.png", "png"),
        ("street_labels", "png"),
    ],
)
def test_files_of_others_are_kept(run, theirs, labels):
    record("street.avi")
    path = Path("out", theirs)
    path.parent.mkdir(parents=True)
    path.write_text("frame,seconds,mood\n0,0,good\n")
    code, _, err = run("street.avi", f"--labels={labels}")
    assert code == 2
    assert err == [f"error: {path}: would be replaced, and is no prediction: give another --output_dir"]
    assert path.read_text().endswith("good\n")
    assert written() == {theirs}
    if labels != "none":  # what is not wanted is not in the way
        assert run("street.avi")[0] == 0


def test_other_files_among_label_maps_stay(run):
    record("street.avi")
    Path("out/street_labels").mkdir(parents=True)
    Path("out/street_labels/notes.png").write_text("mine")
    assert run("street.avi", "--labels=png")[0] == 0
    assert Path("out/street_labels/notes.png").read_text() == "mine"


# --- Sources -------------------------------------------------------------------------------------------


def test_sources_that_do_not_exist_are_one_line(run, network):
    for source, line in {
        "https://example.org/a.mp4": "URLs are not read: give a file, or the number of a camera",
        "rtsp://camera/1": "URLs are not read: give a file, or the number of a camera",
        "*.mp4": "no file matches",
        "a.mp4": "no such image, video or folder",
        "7": "no camera has this number, or another program uses it; the first is 0",
    }.items():
        assert run(source) == (2, "", [f"error: {source}: {line}"])
    assert network.shapes == []


@pytest.fixture
def watched(monkeypatch):
    """Camera 3 sees a video."""
    record("seen.avi", frames=9)
    opened = cv2.VideoCapture

    def open_camera(source, *backend):
        return opened("seen.avi") if source == 3 else opened(source, *backend)

    monkeypatch.setattr(camera.cv2, "VideoCapture", open_camera)


def test_a_camera_is_segmented_until_it_ends_or_for_some_frames(run, watched):
    assert run("3", "--frames=5", "--labels=png")[0] == 0
    assert written() == {"camera3_overlay.mp4", "camera3_classes.csv"} | {
        f"camera3_labels/{index:06d}.png" for index in range(5)
    }
    assert len(read("out/camera3_overlay.mp4")) == 5
    assert run("3")[0] == 0
    assert len(read("out/camera3_overlay.mp4")) == 9


def test_a_camera_until_ctrl_c(run, watched, network):
    network.stop_after = 4
    assert run("3")[::2] == (130, ["interrupted: out/camera3_overlay.mp4 holds the first 4 frames"])
    assert len(read("out/camera3_overlay.mp4")) == 4


# --- Options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--batch_size=0", "--batch_size=0: must be from 1 to 1000"),
        ("--every=0", "--every=0: must be from 1 to 100000"),
        ("--frames=0", "--frames=0: must be from 1 to 1000000000"),
        ("--smooth=100", "--smooth=100: must be from 1 to 99"),
        ("--size=24", "--size=24: write HEIGHTxWIDTH in pixels, such as 360x480"),
        ("--labels=jpg", "argument --labels: invalid choice: 'jpg'"),
        ("--runtime=torch", "argument --runtime: invalid choice: 'torch'"),
    ],
)
def test_bad_values_are_one_line(run, option, line):
    code, out, (error,) = run("street.avi", option)
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {line}")


@pytest.mark.parametrize("option", ["labels=png", "batch_size=2", "every=2", "frames=3", "smooth=2"])
def test_options_of_videos_are_refused_where_there_is_none(run, option):
    cv2.imwrite("a.png", picture(0))
    assert run("a.png", f"--{option}") == (
        2,
        "",
        [f"error: --{option}: is for videos and cameras, and none is given"],
    )


# --- Few frames at a time -------------------------------------------------------------------------------


def test_no_more_than_two_are_made_ahead():
    made = []
    for used, item in enumerate(made_ahead(made.append(i) or i for i in range(1, 20)), 1):
        assert item == used
        assert len(made) <= used + 2
    assert len(made) == 19


def test_no_more_than_two_wait_to_be_written_and_all_are_in_order():
    done = []
    with behind() as write:
        for index in range(20):
            write(done.append, index)
            assert len(done) >= index - 2
    assert done == list(range(20))


def test_what_a_writer_raises_is_raised():
    def fail():
        raise OSError("full")

    with pytest.raises(OSError, match="full"), behind() as write:
        write(fail)
