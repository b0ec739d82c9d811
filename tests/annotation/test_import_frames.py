"""Frames that are image files already, imported once more after their folder has changed."""

import json
from pathlib import Path

import cv2
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


def spoil(path: Path, how: str) -> None:
    """Makes an image one that training could not use, or that is no frame of this video."""
    image = cv2.imread(str(path))
    if how == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "16 bits":
        cv2.imwrite(str(path), image.astype(np.uint16) * 257)
    elif how == "alpha":
        cv2.imwrite(str(path), np.dstack([image, image[..., 0]]))
    else:
        cv2.imwrite(str(path), image[:, :48])


BAD = {
    "damaged": "is not a readable image",
    "16 bits": "has 16 bits per channel; frames must be 8-bit RGB",
    "alpha": "has an alpha channel that varies",
    "narrow": "has 48x48 px, other frames 48x72: not the same aspect ratio",
}


@pytest.mark.parametrize("how", BAD)
def test_an_image_that_cannot_be_used_is_named_and_stays_unwritten(street, capsys, how):
    write_frames(ALL)
    assert street() == 0
    capsys.readouterr()
    spoil(Path("frames/street/000051.png"), how)
    assert street() == 0
    assert f"frame left out: frames/street/000051.png: {BAD[how]}" in capsys.readouterr().out
    assert frames().keys() == set(ALL) - {51}
    spoil(Path("frames/street/000050.png"), how)
    assert street() == 1
    assert f"left out: street 50: frames/street/000050.png: {BAD[how]}" in capsys.readouterr().err
    assert "street,50," not in Path("my_data/train.csv").read_text()


def test_the_first_image_may_be_damaged(street, capsys):
    write_frames(ALL)
    spoil(Path("frames/street/000008.png"), "damaged")
    assert street() == 0
    assert "frame left out: frames/street/000008.png" in capsys.readouterr().out


def test_images_of_a_video_without_labels_need_not_be_frames(street, capsys):
    """Depth beside each frame, say. Their folder is the first by its name."""
    write_frames(ALL)
    write_still(Path("frames/depth/000010.png"), 10)
    spoil(Path("frames/depth/000010.png"), "16 bits")
    assert street() == 0
    assert "taf_keras.predict --model=runs/my_data/export frames/street " in capsys.readouterr().out
    assert json.loads(Path("my_data/import.json").read_text())["videos"].keys() == {"street"}
    assert street() == 0


def test_images_of_which_none_can_be_used_are_refused(street, capsys):
    write_frames(ALL)
    for path in Path("frames/street").iterdir():
        spoil(path, "damaged")
    assert street() == 2
    assert "frames/street/000008.png: is not a readable image" in capsys.readouterr().err
    assert not Path("my_data").exists()
