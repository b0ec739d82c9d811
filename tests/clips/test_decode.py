from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.clips.check import check_split
from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.errors import UserError

CLASSES = ClassTable(("road", "car", "sky"), ((0, 0, 0),) * 3)
JPEG = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
RAW = ClassTable(("road", "car"), ((0, 0, 0),) * 2, {7: 0, 8: 0, 26: 1, 0: VOID})  # as Cityscapes' ids


def save(path: Path, pixels) -> str:
    """Writes RGB or grey pixels without loss."""
    pixels = np.asarray(pixels)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return str(path)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 18, 3), np.uint8)


# --- Images -----------------------------------------------------------------------------------------


def test_images_are_rgb(tmp_path, pixels):
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", pixels)), pixels)


def test_arrays_pass_as_they_are(pixels):
    assert read_image(pixels) is pixels
    assert read_image(pixels, (12, 18)) is pixels


def test_grey_images_become_rgb(tmp_path, pixels):
    grey = pixels[..., 0]
    read = read_image(save(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(read, np.stack([grey] * 3, axis=-1))


def test_images_shrink_by_the_mean_of_areas(pixels):
    """12×18 to 6×6: each pixel is the mean of 2×3, so that no source pixel is left out."""
    means = pixels.reshape(6, 2, 6, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(read_image(pixels, (6, 6)), means, atol=0.51)


def test_sizes_are_height_and_width(pixels):
    assert read_image(pixels, (30, 20)).shape == (30, 20, 3)
    assert read_label(pixels[..., 0] % 3, CLASSES, (30, 20)).shape == (30, 20)


@pytest.mark.parametrize("size", [(20, 30), (40, 50), (13, 61), (80, 90)])
def test_image_and_label_are_resized_alike(size):
    """Colours are the row and the column: both must come from the same place within a pixel."""
    table = ClassTable(("id",) * 256, ((0, 0, 0),) * 256)
    coordinates = np.indices((40, 60)).astype(np.uint8)
    image = read_image(np.stack([*coordinates, coordinates[0]], axis=-1), size).astype(int)
    for axis in (0, 1):
        label = read_label(coordinates[axis], table, size).astype(int)
        assert np.abs(image[..., axis] - label).max() <= 1


# --- Labels -----------------------------------------------------------------------------------------


def test_raw_ids_become_train_ids(tmp_path):
    path = save(tmp_path / "ids.png", np.uint8([[7, 8], [26, 0]]))
    np.testing.assert_array_equal(read_label(path, RAW), [[0, 0], [1, VOID]])


@pytest.mark.parametrize("size", [(5, 7), (12, 18), (17, 50)])
def test_resized_labels_have_no_new_ids(size):
    label = np.random.default_rng(0).choice(np.uint8([0, 2, VOID]), (12, 18))
    resized = read_label(label, CLASSES, size)
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) == {0, 2, VOID}  # id 1 lies between 0 and 2


@pytest.mark.parametrize(
    ("table", "label", "unknown", "allowed"),
    [
        (CLASSES, [[0, 1], [2, 3]], "3", "0–2, 255"),
        (CLASSES, [[254, 1], [9, 9]], "9, 254", "0–2, 255"),
        (RAW, [[7, 1], [1, 255]], "1, 255", "0, 7–8, 26"),
    ],
)
def test_ids_outside_the_table_are_named(tmp_path, table, label, unknown, allowed):
    path = save(tmp_path / "bad.png", np.uint8(label))
    with pytest.raises(UserError) as caught:
        read_label(path, table)
    assert str(caught.value) == (
        f"{path}: label id {unknown} is not in the class table; allowed are {allowed}"
    )


def test_a_bad_id_is_found_though_the_resized_map_would_lose_it():
    label = np.zeros((40, 40), np.uint8)
    label[1, 1] = 77
    with pytest.raises(UserError, match="label id 77"):
        read_label(label, CLASSES, (4, 4))


@pytest.mark.parametrize(
    ("pixels", "shape"),
    [(np.zeros((4, 5, 3), np.uint8), "4x5x3 of uint8"), (np.zeros((4, 5), np.uint16), "4x5 of uint16")],
)
def test_label_maps_have_one_8_bit_channel(tmp_path, pixels, shape):
    path = save(tmp_path / "colours.png", pixels)
    with pytest.raises(UserError, match=f"one 8-bit channel, not shape {shape}") as caught:
        read_label(path, CLASSES)
    assert str(path) in str(caught.value)


# --- Bad files --------------------------------------------------------------------------------------


def bad_files(folder: Path) -> dict[str, str]:
    """Path of a bad file -> what its refusal must say."""
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not an image")
    (folder / "folder.png").mkdir(exist_ok=True)
    whole = Path(save(folder / "whole.png", np.zeros((64, 64), np.uint8))).read_bytes()
    for name, image in (("half.png", whole), ("half.jpg", JPEG)):
        (folder / name).write_bytes(image[: len(image) // 2])
    return {
        str(folder / "missing.png"): "cannot be read: No such file",
        str(folder / "empty.png"): "not a readable image (0 bytes)",
        str(folder / "text.png"): "not a readable image",
        str(folder / "folder.png"): "cannot be read",
        str(folder / "half.png"): "not a readable image",
        str(folder / "half.jpg"): "not a readable image",
    }


def test_bad_files_are_named(tmp_path):
    for path, reason in bad_files(tmp_path).items():
        for read in (read_image, lambda p: read_label(p, CLASSES)):
            with pytest.raises(UserError) as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert reason in str(caught.value)
            assert "\n" not in str(caught.value)


def split(image, label, neighbour=None) -> Split:
    frames = (Frame(0, image, label), Frame(1, image if neighbour is None else neighbour))
    return Split("train", (Clip("c", frames, 0),), CLASSES)


def test_a_split_is_checked_before_training(tmp_path, pixels):
    image, label = save(tmp_path / "i.png", pixels), save(tmp_path / "l.png", pixels[..., 0] % 3)
    check_split(split(image, label))
    for path, reason in bad_files(tmp_path).items():
        for bad in (split(path, label), split(image, path)):
            with pytest.raises(UserError) as caught:
                check_split(bad)
            assert str(caught.value).startswith(f"{path}: ")
            assert reason in str(caught.value)
    with pytest.raises(UserError, match="label id 200"):
        check_split(split(image, save(tmp_path / "bad.png", np.full((12, 18), 200, np.uint8))))
    with pytest.raises(UserError, match=r"l2\.png: label map of 12x17 px, its image has 12x18 px"):
        check_split(split(image, save(tmp_path / "l2.png", np.zeros((12, 17), np.uint8))))
    for path, reason in bad_files(tmp_path).items():
        pair = split(image, label, neighbour=path)
        with pytest.raises(UserError) as caught:
            check_split(pair, partners_within=1)
        assert str(caught.value).startswith(f"{path}: ")
        assert reason in str(caught.value)
        assert check_split(pair).clips == pair.clips  # nobody will read it
    with pytest.raises(UserError, match="split train: has no labelled clip"):
        check_split(Split("train", (), CLASSES))
