"""The lists of an imported data set: none is lost, and what is in one is in no other."""

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
