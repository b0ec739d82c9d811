import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_video import SIZE, cut, index_of, picture, vary_frame_rate, write_video

from taf_keras import extract
from taf_keras.clips.decode import read_image
from taf_keras.datasets import camvid, manifest
from taf_keras.files import unfinished
from taf_keras.video.match import consensus, find_stills

ROOT = Path(__file__).parents[2]
FRAMES = 120


def add_stills(root: Path, name: str, indices: dict[int, int], split: str = "train", show=picture) -> Path:
    """Key frames as they were annotated: number -> index in the video that shows the same.

    Half the video's size, brighter, with less contrast, and JPEG artefacts.
    """
    for folder in (root / split, root / f"{split}annot"):
        folder.mkdir(parents=True, exist_ok=True)
    for number, index in indices.items():
        image = cv2.resize(show(index), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        image = cv2.imdecode(cv2.imencode(".jpg", (image * 0.8 + 40).astype(np.uint8))[1], 1)
        cv2.imwrite(str(root / split / f"{name}_{number:06d}.png"), image)
        label = np.zeros(image.shape[:2], np.uint8)
        cv2.imwrite(str(root / f"{split}annot" / f"{name}_{number:06d}.png"), label)
    return root


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "street.avi", map(picture, range(FRAMES)))


@pytest.fixture
def root(tmp_path) -> Path:
    """Key frames 30, 60 and 90 of the video, numbered by their index."""
    return add_stills(tmp_path / "data", "street", {30: 30, 60: 60, 90: 90})


def run(root: Path, *arguments, layout: str = "camvid") -> int:
    """The exit code."""
    try:
        extract.main([f"--layout={layout}", f"--data_dir={root}", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code
    return 0


def written(root: Path, name: str = "street", suffix: str = ".jpg") -> dict[int, int]:
    """Number -> index that the picture shows, of each frame on disk."""
    folder = root / "frames" / name
    return {int(p.stem): index_of(cv2.imread(str(p))) for p in sorted(folder.glob(f"*{suffix}"))}


def around(keys, context: int, offset: int = 0) -> dict[int, int]:
    return {n: n + offset for key in keys for n in range(key - context, key + context + 1)}


def report(root: Path, name: str = "street") -> list[dict]:
    with (root / "frames" / name / "extraction.csv").open() as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- Numbers ---


@pytest.mark.parametrize(
    ("offset", "flags"),
    [
        (0, []),
        (1, []),
        (-1, []),
        (7, []),
        (1, ["--index_offset=1"]),
        (-6660, ["--index_offset=-6660"]),
        (-50, ["--search=60"]),
    ],
)
def test_the_shift_between_numbers_and_indices_is_found(tmp_path, movie, offset, flags):
    keys = [index - offset for index in (55, 75, 95)]
    root = add_stills(tmp_path, "street", {number: number + offset for number in keys})
    assert run(root, f"--video={movie}", "--temporal_context=4", *flags) == 0
    assert written(root) == around(keys, 4, offset)
    split = camvid.load_split(str(root), "train", temporal_context=4)
    assert [clip.offsets(4) for clip in split.clips] == [tuple(range(-4, 5))] * 3
    assert [row["verdict"] for row in report(root)] == ["matched"] * 3
    for clip in split.clips:
        for n in (-4, -1, 1, 4):
            shown = index_of(read_image(clip.at(n).image))
            assert shown == clip.key_number + n + offset


@pytest.mark.parametrize(("given", "wrong_by"), [(0, 1), (2, 1), (-3, 4)])
def test_a_wrong_index_offset_is_refused_with_the_right_one(tmp_path, movie, capsys, given, wrong_by):
    root = add_stills(tmp_path, "street", {n: n + 1 for n in (30, 60)})
    assert run(root, f"--video={movie}", f"--index_offset={given}") == 2
    assert capsys.readouterr().err == (
        f"error: street: --index_offset={given} would number every frame wrong by {wrong_by}, "
        "the key frames say --index_offset=1 (2 matched at +1)\n"
    )
    assert written(root) == {}


def test_a_wrong_index_offset_can_be_insisted_on(tmp_path, movie, capsys):
    root = add_stills(tmp_path, "street", {n: n + 1 for n in (30, 60)})
    flags = [f"--video={movie}", "--temporal_context=2", "--index_offset=0"]
    assert run(root, *flags, "--trust_offset") == 0
    assert "warning: street: --index_offset=0 would number every frame wrong by 1" in capsys.readouterr().err
    assert written(root) == around((30, 60), 2)
    assert run(root, flags[0], "--temporal_context=2") == 2  # and never gets mixed with right ones
    assert "were extracted with" in capsys.readouterr().err


def test_a_shift_out_of_reach_is_not_guessed(tmp_path, movie, capsys):
    root = add_stills(tmp_path, "street", {n: n + 20 for n in (30, 60)})
    assert run(root, f"--video={movie}") == 2
    message = capsys.readouterr().err
    assert "do not tell which index has which number (2 unlike all; searched ±8" in message
    assert "larger --search" in message
    assert written(root) == {}


@pytest.mark.parametrize("beyond", [1, 2, 3])
def test_a_slow_scene_just_out_of_reach_is_not_taken_for_a_match(tmp_path, beyond):
    """The outermost candidate is the most alike then, though no candidate is the right one."""

    def slow(index):
        return picture(0, scene=index / 2)

    path = write_video(tmp_path / "street.avi", map(slow, range(60)), "MJPG")
    root = add_stills(tmp_path, "street", {n: n + 8 + beyond for n in (20, 40)}, show=slow)
    assert run(root, f"--video={path}") == 2
    assert run(root, f"--video={path}", "--search=16", "--temporal_context=1") == 0
    assert {row["index_offset"] for row in report(root)} == {str(8 + beyond)}


def test_static_scenes_are_undecided(tmp_path, capsys):
    path = write_video(tmp_path / "street.avi", [picture(5)] * 60)
    root = add_stills(tmp_path, "street", {20: 5, 40: 5})
    assert run(root, f"--video={path}") == 2
    assert "do not tell which index has which number (2 undecided" in capsys.readouterr().err
    assert written(root) == {}
    assert run(root, f"--video={path}", "--temporal_context=2", "--index_offset=0", "--trust_offset") == 0
    assert "--trust_offset takes 0 nevertheless" in capsys.readouterr().err
    assert sorted(written(root)) == sorted(around((20, 40), 2))


def test_scenes_that_hardly_change_are_undecided(tmp_path, capsys):
    """Compression changes more from frame to frame than the scene does."""

    def show(index):
        return picture(0, scene=index / 20)

    path = write_video(tmp_path / "street.avi", map(show, range(60)), "XVID")
    root = add_stills(tmp_path, "street", {20: 20, 40: 40}, show=show)
    assert run(root, f"--video={path}") == 2
    assert "(2 undecided" in capsys.readouterr().err


def test_even_pictures_are_undecided(tmp_path, capsys):
    """Night: a few pixels differ by one grey level from frame to frame, which is noise."""

    def show(index):
        image = np.full((*SIZE, 3), 20, np.uint8)
        image[40:44, index : index + 4] += 1
        return image

    path = write_video(tmp_path / "street.avi", map(show, range(60)))
    root = add_stills(tmp_path, "street", {20: 20, 40: 40}, show=show)
    assert run(root, f"--video={path}") == 2
    assert "(2 undecided" in capsys.readouterr().err


def test_a_video_that_stands_still_at_times_is_numbered_by_its_moving_parts(tmp_path, capsys):
    def show(index):
        return picture(0, scene=min(index, 70))

    path = write_video(tmp_path / "street.avi", map(show, range(FRAMES)), "MJPG")
    root = add_stills(tmp_path, "street", {n: n + 1 for n in (30, 60, 90)}, show=show)
    assert run(root, f"--video={path}", "--temporal_context=3") == 0
    assert [row["verdict"] for row in report(root)] == ["matched", "matched", "undecided"]
    assert "index = number +1; key frames: 2 matched at +1, 1 undecided" in capsys.readouterr().out
    assert len(written(root)) == 21


def test_a_key_frame_that_contradicts_the_others_is_named_and_left_out(tmp_path, movie, capsys):
    root = add_stills(tmp_path, "street", {30: 30, 60: 60, 90: 93})
    assert run(root, f"--video={movie}", "--temporal_context=3") == 1
    assert (
        "warning: street: key frame 000090 (matched, best at +3) does not agree with index = number +0: "
        "the frames around it are left out" in capsys.readouterr().err
    )
    assert written(root) == around((30, 60), 3)
    assert [row["left_out"] for row in report(root)] == ["False", "False", "True"]


def test_key_frames_at_odds_are_refused(tmp_path, movie, capsys):
    root = add_stills(tmp_path, "street", {30: 30, 60: 62})
    assert run(root, f"--video={movie}") == 2
    assert "(1 matched at +0, 1 matched at +2; searched" in capsys.readouterr().err


def test_another_video_is_refused(tmp_path, root, capsys):
    images = (picture(i, scene=1000 - 1.7 * i)[::-1] for i in range(FRAMES))
    path = write_video(tmp_path / "street.avi", images)
    assert run(root, f"--video={path}") == 2
    assert "3 unlike all" in capsys.readouterr().err


def test_the_table_says_how_sure_each_match_is(root, movie, capsys):
    assert run(root, f"--video={movie}", "--temporal_context=1") == 0
    out = capsys.readouterr().out
    assert "       60      +0" in out
    for row in report(root):
        assert 0 < float(row["difference"]) < 0.1 < float(row["margin"])


def test_real_stills_are_found_in_a_poor_video(real_camvid, tmp_path):
    """0016E5 at 15 Hz, as MPEG-4 of a quarter of the stills' pixels: off by +1, −2."""
    clips = camvid.load_split(real_camvid, "val", 0).clips[:40]
    images = [cv2.cvtColor(read_image(c.key_frame.image, (180, 240)), cv2.COLOR_RGB2BGR) for c in clips]
    writer = cv2.VideoWriter(
        str(tmp_path / "v.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"XVID"), 15, (240, 180)
    )
    for image in images:
        writer.write(image)
    writer.release()
    for offset in (1, -2):
        stills = {i - offset: clips[i].key_frame.image for i in range(9, 31)}
        matches, _, _ = find_stills(tmp_path / "v.avi", stills, 0, 8, lambda done, total: None)
        assert {match.verdict for match in matches} == {"matched"}
        assert {match.offset for match in matches} == {offset}
        assert consensus(matches) == offset


# --- Decoders that fail in silence ---


def interlaced(path: Path) -> Path:
    """Tells decoders that the pictures of an MPEG-2 file are interlaced. How they are coded does not change.

    `progressive_sequence` is a bit of the sequence extension (kind 1), `progressive_frame` one of the picture
    coding extension (kind 8).
    """
    data = bytearray(path.read_bytes())
    at = data.find(b"\0\0\1\xb5")
    while at >= 0:
        kind = data[at + 4] >> 4
        if kind == 1:
            data[at + 5] &= ~0x08
        elif kind == 8:
            data[at + 8] &= ~0x80
        at = data.find(b"\0\0\1\xb5", at + 4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("flags", [[], ["--index_offset=0"], ["--index_offset=0", "--trust_offset"]])
def test_interlaced_video_is_decoded_or_refused(root, tmp_path, capfd, flags):
    """OpenCV 5 says success and gives one and the same picture; others decode such files."""
    path = interlaced(write_video(tmp_path / "street.ts", map(picture, range(FRAMES)), "MPG2"))
    code, found = run(root, f"--video={path}", "--temporal_context=2", *flags), written(root)
    error = capfd.readouterr().err
    if code == 0:
        assert found == around((30, 60, 90), 2)
    else:
        assert (code, found) == (2, {})
        assert f"{path}: is not decoded: OpenCV gives one picture" in error
        assert f"ffmpeg -i {path} -vf yadif" in error


def blank(level: int):
    return lambda index: np.full((*SIZE, 3), level, np.uint8)


NIGHT, DAY = blank(0), blank(128)


@pytest.mark.parametrize("show", [NIGHT, DAY, lambda index: picture(2047, scene=333)])
@pytest.mark.parametrize("flags", [[], ["--index_offset=0", "--trust_offset"], ["--index_offset=-5"]])
def test_one_picture_for_all_frames_is_refused_with_the_remedy(root, tmp_path, capsys, show, flags):
    """Black, grey, or what was left in memory."""
    path = write_video(tmp_path / "my street.avi", map(show, range(FRAMES)))
    assert run(root, f"--video={path}", "--name=street", *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: {path}: is not decoded: OpenCV gives one picture, unlike every key frame"
    )
    assert f"ffmpeg -i '{path}' -vf yadif" in error
    assert error.endswith("then give --video=progressive.mp4 --name=street\n")
    assert "--search" not in error
    assert error.count("\n") == 1
    assert written(root) == {}
    remedied = write_video(
        tmp_path / "progressive.avi", map(picture, range(FRAMES))
    )  # the refusal left nothing
    assert run(root, f"--video={remedied}", "--name=street", "--temporal_context=1") == 0


def test_a_video_that_fades_to_black_around_some_key_frames_works(root, tmp_path, capsys):
    path = write_video(
        tmp_path / "street.avi", (NIGHT(i) if 70 < i < 110 else picture(i) for i in range(FRAMES))
    )
    assert run(root, f"--video={path}", "--temporal_context=2") == 1  # key frame 90 is not to be seen
    assert "key frame 000090 (unlike all" in capsys.readouterr().err
    assert written(root) == around((30, 60), 2)


@pytest.mark.parametrize("flags", [["--index_offset=-80"], ["--search=9"]])
def test_a_black_lead_in_is_not_taken_for_a_failure(tmp_path, capsys, flags):
    """The candidates of the only key frame are all black, and what comes before and after is not."""
    path = write_video(
        tmp_path / "street.avi", (NIGHT(i) if 5 < i < 45 else picture(i) for i in range(FRAMES))
    )
    number = 105 if "--index_offset=-80" in flags else 25
    root = add_stills(tmp_path / "data", "street", {number: 60})
    assert run(root, f"--video={path}", *flags) == 2
    error = capsys.readouterr().err
    assert "try a larger --search, or --index_offset=INT" in error
    assert "is not decoded" not in error


# --- The ends of the video ---


@pytest.mark.parametrize("offset", [0, 1])
def test_the_first_frame_can_be_a_key_frame(tmp_path, movie, offset):
    """There is nothing before it; at an offset of 1 the video has a frame −1, which no data set can name."""
    root = add_stills(tmp_path, "street", {n: n + offset for n in (0, 30, 60)})
    assert run(root, f"--video={movie}", "--temporal_context=3") == 0
    assert written(root) == {n: i for n, i in around((0, 30, 60), 3, offset).items() if n >= 0}
    assert not list((root / "frames" / "street").glob("-*"))
    assert [row["frames"] for row in report(root)] == ["4", "7", "7"]


def test_a_video_that_begins_late_lacks_its_first_key_frames(tmp_path, movie, capsys):
    root = add_stills(tmp_path, "street", {n: max(0, n - 40) for n in (30, 60, 90)})
    assert run(root, f"--video={movie}", "--temporal_context=3", "--index_offset=-40") == 1
    assert "key frame 000030 (not in the video)" in capsys.readouterr().err
    assert written(root) == around((60, 90), 3, -40)


def test_a_truncated_video_says_what_it_lacks_and_keeps_the_rest(root, movie, tmp_path, capsys):
    path = tmp_path / "street.avi"
    path.write_bytes(movie.read_bytes())
    cut(path, 0.55)
    assert run(root, f"--video={path}", "--temporal_context=15") == 1
    found = written(root)
    last = max(found)  # the longest run of whole frames, of which the cut leaves about half
    assert 60 <= last < 75
    assert found == {n: n for n in range(15, last + 1)}
    errors = capsys.readouterr().err
    assert f"key frame 000060 lacks {75 - last} of 31 frames, {last + 1:06d} to 000075" in errors
    assert "key frame 000090 lacks 31 of 31 frames, 000075 to 000105" in errors
    assert "key frame 000030" not in errors
    rows = report(root)
    assert [int(row["frames"]) for row in rows] == [31, last - 44, 0]
    assert rows[1]["missing"].split() == [str(n) for n in range(last + 1, 76)]


def test_a_variable_frame_rate_is_said_and_frames_are_counted(root, tmp_path, capsys):
    path = write_video(tmp_path / "street.mp4", map(picture, range(FRAMES)), "mp4v")
    vary_frame_rate(path)
    assert run(root, f"--video={path}", "--temporal_context=3") == 0
    assert "warning: street: variable frame rate" in capsys.readouterr().err
    assert written(root) == around((30, 60, 90), 3)


# --- Files ---


def test_png_frames_are_the_video_without_loss(root, movie):
    assert run(root, f"--video={movie}", "--temporal_context=1", "--format=png") == 0
    for number in around((30, 60, 90), 1):
        pixels = cv2.imread(str(root / "frames" / "street" / f"{number:06d}.png"))
        np.testing.assert_array_equal(pixels, picture(number))


def test_frames_get_the_size_of_the_key_frames(root, movie, capsys):
    assert run(root, f"--video={movie}", "--temporal_context=1", "--image_size=32x48") == 0
    assert "makes the other frames alike" not in capsys.readouterr().out
    assert cv2.imread(str(root / "frames" / "street" / "000031.jpg")).shape == (32, 48, 3)
    assert written(root) == around((30, 60, 90), 1)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    """SIGKILL when some of the frames are there; a half-written file is planted as well."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (240, 320, 3), np.uint8)
    writer = cv2.VideoWriter(
        str(tmp_path / "street.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 30, (320, 240)
    )
    frames = [np.roll(noise, 3 * i, axis=1) for i in range(150)]
    for frame in frames:
        writer.write(frame)
    writer.release()
    folders = []
    for name in ("undisturbed", "killed"):
        root = add_stills(tmp_path / name, "street", {75: 75}, show=frames.__getitem__)
        command = [sys.executable, "-m", "taf_keras.extract", "--layout=camvid", f"--data_dir={root}"]
        command += [f"--video={tmp_path / 'street.avi'}", "--temporal_context=70", "--format=png", "--jobs=1"]
        folder = root / "frames" / "street"
        folders.append(folder)
        if name == "killed":
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
            while len(list(folder.glob("*.png"))) < 10 and process.poll() is None:
                time.sleep(0.001)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait(timeout=60) == -signal.SIGKILL
            before = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
            assert 10 <= len(before) < 141
            unfinished(folder / "000999.png").write_bytes(b"\x89PNG half")
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # what was there is not repeated
    undisturbed, killed = (contents(folder) for folder in folders)
    assert len(undisturbed) == 143  # frames 5 to 145, the settings, and the report
    assert killed == undisturbed


def test_a_finished_run_is_not_repeated(root, movie):
    assert run(root, f"--video={movie}", "--temporal_context=3") == 0
    folder = root / "frames" / "street"
    first = {path: path.stat().st_mtime_ns for path in folder.glob("*.jpg")}
    assert run(root, f"--video={movie}", "--temporal_context=4") == 0  # more context: only what is new
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert written(root) == around((30, 60, 90), 4)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--quality=90", "quality 95, not 90"),
        ("--format=png", "format jpg, not png"),
        ("--image_size=32x48", "image_size 64x96, not 32x48"),
    ],
)
def test_frames_of_other_settings_are_not_mixed(root, movie, capsys, flag, message):
    assert run(root, f"--video={movie}", "--temporal_context=1") == 0
    assert run(root, f"--video={movie}", "--temporal_context=1", flag) == 2
    assert f"were extracted with {message}; remove the folder" in capsys.readouterr().err


def test_frames_from_elsewhere_are_not_mixed(root, movie, capsys):
    folder = root / "frames" / "street"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "000031.jpg"), picture(77))
    assert run(root, f"--video={movie}") == 2
    assert "holds frames that were not extracted here" in capsys.readouterr().err
    assert written(root) == {31: 77}


def test_several_videos_have_several_names(root, movie, tmp_path):
    add_stills(root, "Seq05VD", {n: n + 1 for n in (30, 50)}, split="val")
    videos = [f"--video={movie}", f"--video={movie}", "--name=street", "--name=Seq05VD"]
    assert run(root, *videos, "--temporal_context=2", "--jobs=3") == 0
    assert written(root) == around((30, 60, 90), 2)
    assert written(root, "Seq05VD") == around((30, 50), 2, 1)
    assert run(root, *videos[:3]) == 2


# --- Manifests ---


def write_list(root: Path, rows: list[str], split: str = "train") -> Path:
    classes = {"classes": [{"name": "road", "colour": [128, 64, 128]}]}
    (root / "classes.json").write_text(json.dumps(classes))
    path = root / f"{split}.csv"
    path.write_text("\n".join(["clip,frame,image,label", *rows, ""]), encoding="utf-8-sig")
    return path


@pytest.fixture
def listed(root) -> Path:
    """A list of two labelled frames, a neighbour that the user has, and a clip without a video."""
    add_stills(root, "street", {31: 31})
    rows = [
        "street,30,train/street_000030.png,trainannot/street_000030.png",
        "street,31,train/street_000031.png,",
        "street,60,train/street_000060.png,trainannot/street_000060.png",
        "other,7,train/street_000090.png,trainannot/street_000090.png",
    ]
    write_list(root, rows)
    return root


def test_a_manifest_is_extended_by_the_frames(listed, movie):
    before = (listed / "train.csv").read_bytes()
    for _ in range(2):  # the second run finds everything done
        assert run(listed, f"--video={movie}", "--temporal_context=2", layout="manifest") == 0
        with (listed / "train.extended.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [(row["clip"], int(row["frame"])) for row in rows] == [
            *(("street", n) for n in (28, 29, 30, 31, 32, 58, 59, 60, 61, 62)),
            ("other", 7),
        ]
        extracted = [row for row in rows if row["image"].startswith("frames/street/")]
        assert [int(row["frame"]) for row in extracted] == [28, 29, 32, 58, 59, 61, 62]  # the rest was there
        assert {row["label"] for row in extracted} == {""}
        for row in extracted:
            assert index_of(cv2.imread(str(listed / row["image"]))) == int(row["frame"])
    assert (listed / "train.csv").read_bytes() == before


def test_the_manifest_reader_takes_the_extended_list(listed, movie):
    assert run(listed, f"--video={movie}", "--temporal_context=2", layout="manifest") == 0
    os.replace(listed / "train.extended.csv", listed / "train.csv")
    clips = manifest.load_split(str(listed), "train", temporal_context=2).clips
    assert {clip.name: clip.offsets(2) for clip in clips} == {
        "street_000030": (-2, -1, 0, 1, 2),
        "street_000060": (-2, -1, 0, 1, 2),
        "other_000007": (0,),
    }


def test_an_extended_manifest_can_be_extended_again(listed, movie):
    assert run(listed, f"--video={movie}", "--temporal_context=1", layout="manifest") == 0
    os.replace(listed / "train.extended.csv", listed / "train.csv")
    (listed / "frames" / "street" / "000029.jpg").unlink()
    assert run(listed, f"--video={movie}", "--temporal_context=2", layout="manifest") == 0
    assert written(listed) == {n: n for n in (28, 29, 32, 58, 59, 61, 62)}
    os.replace(listed / "train.extended.csv", listed / "train.csv")
    clip, *_ = manifest.load_split(str(listed), "train", temporal_context=2).clips
    assert clip.offsets(2) == (-2, -1, 0, 1, 2)  # each row is there once, or the reader would refuse


def test_no_other_list_is_overwritten(listed, movie, capsys):
    row = "street,60,train/street_000060.png,trainannot/street_000060.png"
    other = write_list(listed, [row], "val")
    picture_file = listed / "train" / "street_000030.png"
    for output in (other, listed / "train.csv", picture_file):
        before = output.read_bytes()
        assert run(listed, f"--video={movie}", f"--output_csv={output}", layout="manifest") == 2
        assert "holds something else" in capsys.readouterr().err
        assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["street,thirty,a.png,b.png"], "train.csv:2: "),
        (["street,30,a.png,"], "no row with a label"),
        (["avenue,30,a.png,b.png"], "has no key frames of 'street'; --name must be one of avenue"),
        (["street,30,a.png,b.png"], "a.png: cannot be read: No such file"),
    ],
)
def test_a_faulty_manifest_is_refused(root, movie, capsys, rows, message):
    write_list(root, rows)
    assert run(root, f"--video={movie}", layout="manifest") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["..", "a/b"])
def test_frames_go_nowhere_but_to_their_folder(root, movie, capsys, name):
    write_list(root, [f"{name},30,train/street_000030.png,trainannot/street_000030.png"])
    assert run(root, f"--video={movie}", f"--name={name}", layout="manifest") == 2
    assert f"--name={name}: cannot be the name of a folder" in capsys.readouterr().err


# --- The command line ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video={root}/none.avi", "--name=street"], "none.avi: cannot be read: No such file"),
        (["--video={root}", "--name=street"], "cannot be read: Is a directory"),
        (["--video={root}/x.avi"], "no key frames of 'x'; --name must be one of street"),
        (["--video={root}/text.avi", "--name=street"], "text.avi: is not a readable video (4 bytes)"),
        (["--video={movie}", "--image_size=32"], "--image_size=32: write HEIGHTxWIDTH in pixels"),
        (["--video={movie}", "--image_size=0x32"], "--image_size=0x32: write HEIGHTxWIDTH"),
        (["--video={movie}", "--quality=101"], "--quality=101: must be from 1 to 100"),
        (["--video={movie}", "--search=0"], "--search=0: must be from 1"),
        (["--video={movie}", "--jobs=two"], "argument --jobs: invalid int value: 'two'"),
        (["--video={movie}", "--index_offset=one"], "--index_offset=one: write auto or a whole number"),
        (["--video={movie}", "--trust_offset"], "--trust_offset: needs --index_offset=INT"),
        (["--video={movie}", "--split=train"], "--split, --output_csv: for --layout=manifest"),
        (["--video={movie}", "--video={movie}"], "--name: give one for each --video"),
        ([], "the following arguments are required: --video"),
    ],
)
def test_bad_input_is_refused_in_one_line(root, movie, capsys, arguments, message):
    (root / "text.avi").write_text("text")
    assert run(root, *(argument.format(root=root, movie=movie) for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert written(root) == {}


def test_folders_that_cannot_be_written_or_are_missing_are_named(root, movie, capsys, tmp_path):
    (root / "frames").write_text("a file in the folder's place")
    assert run(root, f"--video={movie}") == 2
    assert f"{root}/frames/street: cannot be written: Not a directory" in capsys.readouterr().err
    assert run(tmp_path / "nowhere", f"--video={movie}") == 2
    assert "nowhere/train: no such folder" in capsys.readouterr().err
