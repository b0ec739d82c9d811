"""What `python -m taf_keras.check` says of a data set; test_damage.py has the bad files."""

import csv
import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras import check as check_command
from taf_keras.check import main
from taf_keras.config import DataConfig
from taf_keras.errors import UserError
from taf_keras.inspection.data_report import survey
from taf_keras.inspection.data_tables import csv_text, text
from taf_keras.inspection.leakage import KEY, NEAR, PARTNER

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(camvid) -> DataConfig:
    """Train: 0001TP 6690, 6720, 6750 and Seq05VD 0, 30; val: 0016E5 7959, 7961."""
    return DataConfig("camvid", str(camvid), temporal_context=30)


def report_of(data: DataConfig, method: str = "taf", **options):
    return survey(data, method, threads=1, **options)


def rows_of(report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(report))))


def figures(report, split: str, kind: str) -> dict[str, str]:
    rows = rows_of(report)
    return {row["item"]: row["value"] for row in rows if (row["split"], row["kind"]) == (split, kind)}


def extract(data: DataConfig, video: str, number: int, image: Path | None = None) -> Path:
    """An extracted frame: a copy of `image`, or a picture of its own."""
    path = Path(data.data_dir) / "frames" / video / f"{number:06d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    if image is None:
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8))
    else:
        shutil.copy(image, path)
    return path


def move_to_train(data: DataConfig, name: str, new_name: str) -> None:
    """A copy of a validation key frame, with its label map, under another name."""
    for annot in ("", "annot"):
        root = Path(data.data_dir)
        shutil.copy(root / f"val{annot}" / f"{name}.png", root / f"train{annot}" / f"{new_name}.png")


# --- Figures ---


def test_counts_partners_and_offsets(data):
    extract(data, "0001TP", 6700)  # within 30 of 6690 and 6720; 50 from 6750
    extract(data, "0001TP", 6800)  # 50 from 6750: nobody draws it
    report = report_of(data)
    assert figures(report, "train", "count") == {
        "clips": "5",
        "clips_left_out": "0",
        "frames": "6",
        "labelled_frames": "5",
        "bad_files": "0",
    }
    assert figures(report, "train", "size") == {"48x64": "6"}
    # 6690: 6700, 6720. 6720: 6690, 6700, 6750. 6750: 6720. Seq05VD: each other.
    assert figures(report, "train", "partners") == {"1": "3", "2": "1", "3": "1"}
    offsets = figures(report, "train", "offset")
    assert len(offsets) == 61
    assert {n: clips for n, clips in offsets.items() if clips != "0"} == {
        "-30": "3",
        "-20": "1",
        "0": "5",
        "10": "1",
        "30": "3",
    }
    assert figures(report, "val", "partners") == {"1": "2"}
    assert figures(report, "val", "count")["frames"] == "2"


def test_class_frequencies(data):
    """val: one map half sky, a quarter road, a quarter void; the other all sky."""
    folder = Path(data.data_dir) / "valannot"
    first, second = np.zeros((2, 48, 64), np.uint8)
    first[:24, :32], first[:24, 32:] = 3, 11
    cv2.imwrite(str(folder / "0016E5_07959.png"), first)
    cv2.imwrite(str(folder / "0016E5_07961.png"), second)
    report = report_of(data)
    shares = figures(report, "val", "class_share")
    assert len(shares) == 11
    # In quarters of a map: 2 + 4 of sky and 1 of road count, 1 of 8 is void.
    assert float(shares["sky"]) == pytest.approx(6 / 7, abs=1e-6)
    assert float(shares["road"]) == pytest.approx(1 / 7, abs=1e-6)
    assert sum(map(float, shares.values())) == pytest.approx(1, abs=1e-5)
    assert figures(report, "val", "void_share") == {"": "0.125000"}
    assert figures(report, "val", "void_frames") == {"": "1"}
    frames = figures(report, "val", "class_frames")
    assert (frames["sky"], frames["road"], frames["car"]) == ("2", "1", "0")
    lines = {line.split()[0]: line.split() for line in text(report).splitlines() if line.strip()}
    assert lines["sky"][-2:] == ["85.71%", "2"]
    assert lines["car"][-2:] == ["–", "0"]


def test_the_text_of_a_whole_data_set(data):
    for number in range(6660, 6781):
        if number not in (6690, 6720, 6750):
            extract(data, "0001TP", number)
    lines = text(report_of(data, thorough=False)).splitlines()
    blocks = "\n".join(lines).split("\n\n")
    assert blocks[0].startswith(f"camvid in {data.data_dir}: every file looked at")
    assert blocks[1].splitlines()[:2] == ["                    train  val", "clips                   5    2"]
    # 60 partners each for 0001TP's three; one for each of Seq05VD's and val's two.
    assert blocks[2].splitlines() == [
        "clips by partners within ±30 frames  train  val",
        "  1                                      2    2",
        "  60                                     3    0",
    ]
    # 3 of 5 clips have the offset: level 1 + ⌊7 · 3/5⌋ = 5 of 8; at ±30 it is 4 of 5: level 6.
    assert blocks[3].splitlines() == [
        "share of clips that have a frame at offset n = −30 … +30",
        f"  train  ▆{'▅' * 29}│{'▅' * 29}▆  in 3–4 clips each",
        f"  val    {'·' * 28}▄·│·▄{'·' * 28}  in 1 clips each",
    ]
    assert lines[-1] == "training would start"
    widths = {len(line) for line in blocks[4].splitlines()}
    assert len(widths) == 1  # columns are aligned


def test_long_histograms_stay_short(data):
    report = report_of(replace(data, temporal_context=100))
    lines = text(report).splitlines()
    bars = next(line for line in lines if "│" in line)
    assert "a bar is the mean over 4 offsets" in "\n".join(lines)
    assert len(bars) < 90


def test_subsets_are_those_of_training(data):
    assert figures(report_of(replace(data, label_fraction=0.6)), "train", "count")["clips"] == "3"
    assert figures(report_of(replace(data, subset=0.4), "baseline"), "train", "count")["clips"] == "2"


@pytest.mark.parametrize(("labels", "clips"), [(None, "2"), ("key", "2"), ("all", "62")])
def test_labels_are_those_of_training(capsys, monkeypatch, tmp_path, labels, clips):
    """Two synthetic clips of 31 frames each, of which every one has a label."""
    few = {"train_clips": 2, "image_size": (16, 16), "data_dir": str(tmp_path)}
    monkeypatch.setattr(check_command, "survey", lambda data, *rest: survey(replace(data, **few), *rest))
    code, out, _ = run(capsys, "--splits=train", *([f"--labels={labels}"] if labels else []))
    assert code == 0
    assert ["clips", clips] in [line.split() for line in out.splitlines()]


def test_synthetic_clips_have_a_report_too(tmp_path):
    small = DataConfig(
        data_dir=str(tmp_path),
        image_size=(32, 48),
        train_clips=2,
        val_clips=1,
        test_clips=1,
        temporal_context=2,
    )
    report = report_of(small)
    assert [split.name for split in report.splits] == ["train", "val", "test"]
    assert figures(report, "train", "partners") == {"4": "2"}
    assert report.leaks == ()
    assert text(report).splitlines()[-1] == "training would start"


def test_the_real_key_frames(real_camvid):
    """367 and 101 key frames; val begins 39 frames after a key frame of train and ends 31 before one."""
    data = DataConfig("camvid", real_camvid, temporal_context=30)
    report = report_of(data, thorough=False)
    assert [len(split.clips) for split in report.splits] == [367, 101]
    assert report.leaks == ()
    assert report.refusal is None
    near = report_of(replace(data, temporal_context=31), thorough=False).leaks
    assert [(leak.key, leak.clip, leak.offset) for leak in near] == [("0016E5_008159", "0016E5_008190", -31)]


# --- Leakage ---


def leaks(data: DataConfig, **options) -> list[tuple]:
    return [
        (leak.of, leak.how, leak.key, leak.clip, leak.offset) for leak in report_of(data, **options).leaks
    ]


def test_no_leaks(data):
    assert leaks(data) == []
    assert "leakage: none" in text(report_of(data))


@pytest.mark.parametrize("method", ["taf", "baseline"])
@pytest.mark.parametrize("thorough", [True, False])
def test_a_copy_under_another_name_is_found(data, method, thorough):
    move_to_train(data, "0016E5_07961", "0006R0_f00100")
    extract(data, "0006R0", 101)
    found = leaks(data, method=method, thorough=thorough)
    assert found == [("val", KEY, "0016E5_007961", "0006R0_000100", 0)]


def test_a_link_is_the_same_file(data):
    root = Path(data.data_dir)
    (root / "train/0006R0_f00100.png").symlink_to(root / "val/0016E5_07961.png")
    (root / "trainannot/0006R0_f00100.png").symlink_to(root / "valannot/0016E5_07961.png")
    (leak,) = report_of(data, method="baseline").leaks
    assert leak.evidence == f"the same file, {root / 'train/0006R0_f00100.png'}"


def test_the_same_number_of_the_same_video_is_the_same_frame(data):
    """Saved anew, so that no byte tells."""
    move_to_train(data, "0016E5_07961", "0016E5_07961")
    path = str(Path(data.data_dir) / "train/0016E5_07961.png")
    cv2.imwrite(path, cv2.imread(path), [cv2.IMWRITE_PNG_COMPRESSION, 0])
    found = leaks(replace(data, temporal_context=1), method="baseline")
    assert found == [("val", KEY, "0016E5_007961", "0016E5_007961", 0)]


def test_key_frames_that_may_be_drawn_as_partners(data):
    """A training key frame 2 before val's: extracted frames around it include val's own, 07961 alone."""
    root = Path(data.data_dir)
    move_to_train(data, "0016E5_07959", "0016E5_07957")
    for folder in ("train", "trainannot"):  # another picture
        path = str(root / folder / "0016E5_07957.png")
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[::-1])
    extract(data, "0016E5", 7961)
    close = replace(data, temporal_context=30)
    assert leaks(close) == [
        ("val", NEAR, "0016E5_007959", "0016E5_007957", 2),
        ("val", PARTNER, "0016E5_007961", "0016E5_007957", 4),
    ]
    lines = text(report_of(close)).splitlines()
    assert "  1 of 2 key frames in val may be sampled as partners in train" in lines
    assert "  1 of 2 key frames in val lie within ±30 frames of a key frame in train" in lines
    assert lines[-1] == "training would start, but see the leakage above: metrics of val may be too good"
    # A baseline draws no partners; what lies near lies near.
    assert [how for _, how, *_ in leaks(close, method="baseline")] == [NEAR, NEAR]


def test_the_context_ends_where_it_ends(data):
    move_to_train(data, "0016E5_07959", "0016E5_07953")  # 6 before 07959, 8 before 07961
    path = str(Path(data.data_dir) / "train/0016E5_07953.png")
    cv2.imwrite(path, cv2.imread(path)[::-1])
    assert leaks(replace(data, temporal_context=5), method="baseline") == []
    assert [leak[2] for leak in leaks(replace(data, temporal_context=6), method="baseline")] == [
        "0016E5_007959"
    ]
    assert len(leaks(replace(data, temporal_context=8), method="baseline")) == 2


def test_partners_with_the_bytes_of_a_key_frame(data):
    extract(data, "0001TP", 6700, image=Path(data.data_dir) / "val/0016E5_07959.png")
    assert leaks(data) == [("val", PARTNER, "0016E5_007959", "0001TP_006690", 10)]
    assert leaks(data, method="baseline") == []


def test_val_and_test_share_no_key_frame(data):
    """Between val and test, which draw no partners, nearness does not matter."""
    root = Path(data.data_dir)
    for annot in ("", "annot"):
        (root / f"test{annot}").mkdir()
        shutil.copy(root / f"val{annot}/0016E5_07959.png", root / f"test{annot}/0016E5_07959.png")
        shutil.copy(root / f"train{annot}/0001TP_006690.png", root / f"test{annot}/0016E5_07960.png")
    assert leaks(data) == [
        ("test", KEY, "0016E5_007960", "0001TP_006690", 0),
        ("test", KEY, "0016E5_007959", "0016E5_007959", 0),
    ]


# --- The command ---


def command(*arguments) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "taf_keras.check", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8")


def test_the_command_on_a_whole_data_set(data, tmp_path):
    table = tmp_path / "Übersicht 1.csv"
    done = command(
        "--dataset=camvid", f"--data_dir={data.data_dir}", "--temporal_context=30", f"--csv={table}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "training would start"
    assert "checking train files" in done.stdout
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert rows[0] == {"split": "train", "kind": "count", "item": "clips", "value": "5", "detail": ""}
    assert rows[-1]["kind"] == "verdict"
    assert list(tmp_path.glob(".*")) == []


def test_the_command_on_a_bad_file(data):
    """The middle of an image and a label map: libpng's and libjpeg's own lines are not shown."""
    root = Path(data.data_dir)
    for name in ("train/0001TP_006750.png", "trainannot/0001TP_006690.png"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2] + b"damaged" + whole[len(whole) // 2 + 7 :])
    done = command("--dataset=camvid", f"--data_dir={root}", "--temporal_context=30")
    assert (done.returncode, done.stderr) == (2, "")
    lines = done.stdout.splitlines()
    assert "bad files: 2, each stops the training" in lines
    first = f"{root}/trainannot/0001TP_006690.png: is not a readable image"
    assert any(line.startswith(f"  train  {first}") for line in lines)
    assert any(line.startswith(f"  train  {root}/train/0001TP_006750.png: is not") for line in lines)
    assert lines[-1].startswith(f"training would not start: {first}")


def test_names_that_are_not_text_are_shown(data):
    """A name in Latin-1, which is no UTF-8."""
    path = bytes(Path(data.data_dir)) + b"/train/stra\xdfe.png"
    Path(path.decode(errors="surrogateescape")).write_bytes(b"")
    done = command("--dataset=camvid", f"--data_dir={data.data_dir}", "--quick", "--temporal_context=30")
    assert (done.returncode, done.stderr) == (2, "")
    assert "stra\\udcdfe.png: a CamVid file name is VIDEO_NUMBER" in done.stdout


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = 0
    try:
        main([*map(str, arguments)])
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--dataset=kitti", "--dataset=kitti: allowed are synthetic, camvid"),
        ("--dataset=camvid --data_dir=x --method=magic", "--method=magic: allowed are taf"),
        ("--dataset=camvid --data_dir=x --image_size=360", "--image_size=360: write HEIGHTxWIDTH"),
        ("--dataset=camvid --data_dir=x --image_size=0x5", "--image_size=0x5: write HEIGHTxWIDTH"),
        ("--dataset=camvid --data_dir=x --splits=train,dev", "--splits=dev: allowed are train, val, test"),
        ("--dataset=camvid --data_dir=x --splits=", "--splits=: allowed are train, val, test"),
        ("--dataset=camvid --data_dir=x --on_bad_file=drop", "--on_bad_file=drop: allowed are refuse, skip"),
        ("--dataset=camvid --data_dir=x --threads=0", "--threads=0: must be 1 or more"),
        ("--dataset=camvid --data_dir=x --threads=two", "argument --threads: invalid int value"),
        ("--dataset=camvid --data_dir=x --temporal_context=-1", "--temporal_context=-1: must be 0 or more"),
        ("--dataset=camvid --data_dir=x --labels=none", "--labels=none: allowed are key, all"),
        ("--dataset=camvid --data_dir=x --subset=0", "--subset=0.0: must be in (0, 1]"),
        ("--dataset=camvid --data_dir=x --label_fraction=1.5", "--label_fraction=1.5: must be in (0, 1]"),
        (
            "--dataset=camvid --data_dir=x --csv=no/folder/a.csv",
            "--csv=no/folder/a.csv: no/folder is no folder",
        ),
        ("--dataset=camvid --data_dir=x --csv=/", "--csv=/: is a folder"),
        ("--dataset=camvid", "--dataset=camvid needs --data_dir"),
        ("--dataset=camvid --data_dir=x --colour=red", "unrecognized arguments: --colour=red"),
    ],
)
def test_what_a_user_may_get_wrong(capsys, arguments, message):
    code, out, err = run(capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("dataset", ["camvid", "cityscapes", "manifest", "packed"])
@pytest.mark.parametrize("place", ["nowhere", "empty", "file"])
def test_a_folder_that_holds_no_data_set(capsys, tmp_path, dataset, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    code, out, err = run(capsys, f"--dataset={dataset}", f"--data_dir={tmp_path / place}")
    assert (code, err) == (2, "")
    last = out.splitlines()[-1]
    assert last.startswith("training would not start: ")
    assert str(tmp_path / place) in last


def test_the_exit_code_under_skip(capsys, data):
    (Path(data.data_dir) / "train/0001TP_006720.png").write_bytes(b"")
    place = ("--dataset=camvid", f"--data_dir={data.data_dir}", "--image_size=24x32", "--quick")
    code, out, _ = run(capsys, *place, "--method=baseline")
    assert (code, out.splitlines()[-1][:24]) == (2, "training would not start")
    code, out, _ = run(capsys, *place, "--method=baseline", "--on_bad_file=skip")
    assert (code, out.splitlines()[-1]) == (0, "training would start")
    assert "bad files: 1, left out" in out
    assert run(capsys, *place, "--splits=val")[0] == 0
    # Without the middle one of three stills 30 frames apart, only the other video's two have a partner.
    code, out, _ = run(capsys, *place, "--on_bad_file=skip", "--temporal_context=30")
    assert (code, out.splitlines()[-1]) == (0, "training would start")
    assert "bad files: 3, left out" in out


def test_an_interrupted_command_says_so(capsys, monkeypatch, data):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(check_command, "survey", interrupt)
    assert run(capsys, "--dataset=camvid", f"--data_dir={data.data_dir}") == (130, "", "interrupted\n")


def test_output_may_end_early(data):
    """… | head"""
    line = (
        f"{sys.executable} -m taf_keras.inspection.check --dataset=camvid --data_dir='{data.data_dir}' | true"
    )
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_table_that_cannot_be_written_does_not_take_the_report(capsys, monkeypatch, data, tmp_path):
    def fail(target, content):
        raise UserError(f"{target}: cannot be written: No space left on device")

    monkeypatch.setattr(check_command, "write_bytes", fail)
    place = ("--dataset=camvid", f"--data_dir={data.data_dir}", "--method=baseline")
    code, out, err = run(capsys, *place, f"--csv={tmp_path / 'a.csv'}")
    assert code == 2
    assert out.splitlines()[-1] == "training would start"
    assert err == f"error: {tmp_path / 'a.csv'}: cannot be written: No space left on device\n"


def test_help_lists_the_settings(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in (
        "dataset",
        "data_dir",
        "temporal_context",
        "image_size",
        "splits",
        "csv",
        "quick",
        "threads",
    ):
        assert f"--{name}" in out
