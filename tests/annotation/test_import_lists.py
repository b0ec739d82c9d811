"""The lists of an imported data set: none is lost, and what is in one is in no other."""

import json
from pathlib import Path

import pytest
from labelled_street import contents, run, street_masks, write_video

from taf_keras.datasets import manifest


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "street.avi")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "my_data"


@pytest.fixture
def add(tmp_path, movie, out):
    """Imports labels of these frames."""

    def run_import(numbers, *options) -> int:
        masks = street_masks(tmp_path / f"labels_{min(numbers)}", numbers)
        return run(masks, f"--video={movie}", f"--output_dir={out}", *options)

    return run_import


def keys(out: Path, split: str) -> list[int]:
    return [clip.key_number for clip in manifest.load_list(str(out), split).clips]


def test_dense_labels_that_leave_nothing_to_train_on_are_refused(add, out, capsys):
    assert add(range(20, 50)) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: --temporal_context=15: all 30 labels lie within 30 frames of the part for")
    assert err.endswith("none is left to train on: must be 11 or less\n")
    assert not out.exists()
    assert add(range(20, 50), "--temporal_context=11") == 0
    assert (keys(out, "train"), keys(out, "val")) == ([20, 21], list(range(44, 50)))


def test_a_train_list_is_not_lost_to_labels_that_leave_nothing_to_train_on(add, out, capsys):
    assert add((20, 22, 24, 26)) == 0  # too few for a part for validation
    before = contents(out)
    assert add((28, 30)) == 2
    assert "all 6 labels lie within 30 frames" in capsys.readouterr().err
    assert contents(out) == before


KEYS = (10, 30, 50, 70, 90, 110)
NEAR = "--temporal_context=3"


def test_a_list_that_was_changed_by_hand_is_kept(add, out, capsys):
    assert add(KEYS, NEAR) == 0
    written = (out / "train.csv").read_text()
    for times, name in enumerate(("train.csv.before", "train.csv.before1"), 1):
        mine = written.replace("labels/street/000010.png", "" if times == 1 else "labels/street/000030.png")
        (out / "train.csv").write_text(mine)
        capsys.readouterr()
        assert add(KEYS, NEAR) == 0
        said = (
            f"{out / 'train.csv'}: changed by hand, or of an older version: kept as {name}, and written anew"
        )
        assert capsys.readouterr().out.count(said) == 1
        assert (out / name).read_text() == mine
        assert (out / "train.csv").read_text() == written
    assert not (out / "val.csv.before").exists()
    assert add((20,), NEAR) == 0  # a list that was not changed is no matter
    assert "by hand" not in capsys.readouterr().out


def test_a_list_of_val_that_was_changed_is_not_removed(add, out):
    assert add(KEYS, NEAR) == 0
    mine = (out / "val.csv").read_text().replace("labels/street/000110.png", "")
    (out / "val.csv").write_text(mine)
    assert add(KEYS, NEAR, "--val_share=0") == 0
    assert (out / "val.csv.before").read_text() == mine
    assert (out / "val.csv").read_text() == "clip,frame,image,label\n"


def test_a_record_of_before_has_no_digests(add, out):
    assert add(KEYS, NEAR) == 0
    record = json.loads((out / "import.json").read_text())
    assert sorted(record.pop("lists")) == ["train.csv", "val.csv"]
    (out / "import.json").write_text(json.dumps(record))
    assert add((20,), NEAR) == 0
    assert 20 in keys(out, "train")
    assert (out / "train.csv.before").exists()  # it cannot be known whose it is


def test_frames_of_a_test_list_stay_out_of_the_others(add, out, capsys):
    assert add(KEYS, NEAR) == 0
    rows = (out / "train.csv").read_text().splitlines()
    moved = [row for row in rows if 47 <= int(row.split(",")[1].replace("frame", "0")) <= 53]
    moved += [row for row in rows if row.startswith("street,32,")]  # beside 30, which stays
    (out / "test.csv").write_text("\n".join([rows[0], *moved]) + "\n")
    assert add((20,), NEAR) == 0
    assert "5 labelled frames for training, 1 for validation; 1 are in test.csv" in capsys.readouterr().out
    assert (keys(out, "train"), keys(out, "val"), keys(out, "test")) == ([10, 20, 30, 70, 90], [110], [50])
    assert not set(moved) & set((out / "train.csv").read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("clip,frame\nstreet,x\n", "test.csv: is no list with the columns clip,frame,image,label"),
        (
            "clip,frame,image,label\n" + "".join(f"street,{n},a,b\n" for n in KEYS),
            "test.csv: lists every labelled frame, and one at least must be left to train on",
        ),
    ],
)
def test_a_test_list_that_leaves_nothing_is_refused(add, out, capsys, text, fault):
    out.mkdir()
    (out / "test.csv").write_text(text)
    assert add(KEYS, NEAR) == 2
    assert fault in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["test.csv"]
