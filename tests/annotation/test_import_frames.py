"""Frames that are image files already, imported once more after their folder has changed."""

from pathlib import Path

import numpy as np
import pytest
from labelled_street import picture, run, street_masks, write_still

from taf_keras.clips.decode import read_image

KEYS = (10, 30, 50, 70, 90, 110)
CONTEXT = 2
ALL = [n for key in KEYS for n in range(key - CONTEXT, key + CONTEXT + 1)]


@pytest.fixture
def street(tmp_path, monkeypatch):
    """Imports the labels of some frames. Returns: exit code."""
    monkeypatch.chdir(tmp_path)

    def imported(*keys: int) -> int:
        masks = street_masks(Path(f"masks{len(keys)}"), keys or KEYS)
        options = ["--frames=frames", "--output_dir=my_data", f"--temporal_context={CONTEXT}"]
        return run(masks, *options, "--val_share=0")

    return imported


def write_frames(numbers, shift: int = 0) -> None:
    for number in numbers:
        write_still(Path("frames", "street", f"{number:06d}.png"), number + shift)


def frames() -> dict[int, Path]:
    return {int(path.stem): path for path in sorted(Path("my_data/frames/street").iterdir())}


def shows(path: Path, index: int) -> bool:
    found = read_image(str(path)).astype(int)
    return np.abs(found - picture(index)[..., ::-1]).mean() < 6  # JPEG's loss


def test_frames_are_those_that_the_folder_has_now(street, capsys):
    write_frames(ALL, shift=-1)
    assert street() == 0
    assert shows(frames()[30], 29)
    write_frames(ALL)
    Path("frames/street/000112.png").unlink()
    assert street() == 0
    assert frames().keys() == set(ALL) - {112}
    assert all(shows(path, number) for number, path in frames().items())
    Path("frames/street/000050.png").unlink()
    assert street() == 1
    assert "left out: street 50: frames/street has no such frame" in capsys.readouterr().err


def test_the_same_frames_are_not_written_again(street):
    write_frames(ALL)
    assert street() == 0
    before = {number: path.stat().st_mtime_ns for number, path in frames().items()}
    write_frames([1000, 1001])  # a folder that only grew
    assert street() == 0
    assert {number: path.stat().st_mtime_ns for number, path in frames().items()} == before


def test_frames_of_labels_that_are_added_replace_none_of_another_folder(street):
    write_frames(ALL)
    assert street() == 0
    Path("frames").rename("earlier")
    write_frames([32, 33, 34])
    assert street(33) == 0
    assert frames().keys() == {*ALL, 33, 34}
