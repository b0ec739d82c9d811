import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from taf_keras.clips import image_files
from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.clips.decode import inspect_image, read_checked_image, read_image, read_label
from taf_keras.errors import UserError
from taf_keras.inspection.check import check_split

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


def encoded(pixels, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# Exif's orientations -> how the picture is shown. 0 and 9 are none.
SHOWN = {
    **{orientation: lambda x: x for orientation in (0, 1, 9)},
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("channels", ["grey", "RGB", "RGBA"])
def test_images_are_turned_as_exif_says(tmp_path, orientation, form, channels):
    """Left half dark, upper quarter bright: no two orientations look alike."""
    if (form, channels) == ("JPEG", "RGBA") or (form, orientation) in (("TIFF", 0), ("TIFF", 9)):
        pytest.skip("there is no such file")
    pixels = np.full((16, 24, 3), 100, np.uint8)
    pixels[:, :12], pixels[:4] = 20, 200
    stored = {"grey": pixels[..., 0], "RGB": pixels, "RGBA": np.dstack([pixels, pixels[..., :1] * 0 + 255])}
    path = write(tmp_path / "a", encoded(stored[channels], form, exif=exif(orientation)))
    shown = SHOWN[orientation](pixels)
    read = read_image(path)
    assert read.shape == shown.shape
    assert np.abs(read.astype(int) - shown).max() <= (20 if form == "JPEG" else 0)
    assert inspect_image(path) == shown.shape[:2]


@pytest.mark.parametrize("alpha", [255, 7, 0])
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_constant_alpha_channel_is_dropped(tmp_path, pixels, alpha, form):
    rgba = np.dstack([pixels, np.full((12, 18), alpha, np.uint8)])
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    path = write(tmp_path / "a", encoded(rgba, form, **options))
    np.testing.assert_array_equal(read_checked_image(path), pixels)


def test_one_pixel_of_another_alpha_is_refused(tmp_path, pixels):
    rgba = np.dstack([pixels, np.full((12, 18), 255, np.uint8)])
    rgba[3, 4, 3] = 254
    path = write(tmp_path / "a.png", encoded(rgba, "PNG"))
    with pytest.raises(UserError) as caught:
        read_checked_image(path)
    assert str(caught.value) == f"{path}: has an alpha channel that varies; frames must be 8-bit RGB"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_first_and_last_bytes_tell(tmp_path, monkeypatch, form):
    pixels = np.random.default_rng(0).integers(0, 256, (800, 900, 3), np.uint8)
    path = write(tmp_path / "a", encoded(pixels, form, exif=exif(6)))
    read, original = [], image_files.read_bytes

    def read_bytes(*slice, **ends):
        read.append(original(*slice, **ends))
        return read[-1]

    monkeypatch.setattr(image_files, "read_bytes", read_bytes)
    assert inspect_image(path) == (900, 800)
    assert sum(map(len, read)) == image_files.HEAD_BYTES + 1024 < Path(path).stat().st_size


def test_a_large_tiff_is_an_image(tmp_path):
    """OpenCV writes the description of the pixels behind them."""
    pixels = np.random.default_rng(0).integers(0, 256, (400, 900, 3), np.uint8)
    path = save(tmp_path / "a.tif", pixels)
    assert inspect_image(path) == (400, 900)
    np.testing.assert_array_equal(read_checked_image(path), pixels)


def test_exif_behind_the_pixels_counts(tmp_path, pixels):
    """Some programs add it at the end of a PNG, and OpenCV finds it there."""
    whole = encoded(pixels, "PNG")
    body = b"eXIf" + exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = write(tmp_path / "a.png", whole[:-12] + chunk + whole[-12:])
    assert inspect_image(path) == read_image(path).shape[:2] == (18, 12)


@pytest.mark.parametrize(
    "options",
    [{"exif": b"Exif\0\0not at all"}, {"xmp": b"<x xmlns='adobe:ns:meta/' tiff:Orientation='6'/>"}],
    ids=["damaged", "xmp"],
)
def test_what_opencv_does_not_read_turns_nothing(tmp_path, pixels, options):
    path = write(tmp_path / "a.jpg", encoded(pixels, "JPEG", **options))
    assert inspect_image(path) == read_image(path).shape[:2] == (12, 18)


def test_a_phones_picture_with_a_video_behind_it_is_whole(tmp_path, pixels):
    """A file that is cut short may still hold the marks that are looked for: in a thumbnail, or a comment."""
    picture = encoded(pixels, "JPEG", comment=b"\xff\xda \xff\xd9")
    path = write(tmp_path / "a.jpg", picture + bytes(5000))
    assert read_checked_image(path).shape == (12, 18, 3)
    path = write(tmp_path / "half.jpg", picture[:-20] + bytes(5000))
    with pytest.raises(UserError, match="it was cut short"):
        inspect_image(path)


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
        (CLASSES, [[0, 1], [2, 3]], "3", '0–2, 255; if ids begin at 1, say "void": 0 in classes.json'),
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
    [
        (np.zeros((4, 5, 4), np.uint8), "4x5x4 of uint8"),  # transparent
        (np.zeros((4, 5, 3), np.uint16), "4x5x3 of uint16"),
        (np.zeros((4, 5), np.uint16), "4x5 of uint16"),
    ],
)
def test_label_maps_have_one_8_bit_channel(tmp_path, pixels, shape):
    path = save(tmp_path / "colours.png", pixels)
    with pytest.raises(
        UserError, match=f"one 8-bit channel, or the classes' colours, not shape {shape}"
    ) as caught:
        read_label(path, CLASSES)
    assert str(path) in str(caught.value)


def indexed(ids: np.ndarray, colours: dict[int, tuple]) -> Image.Image:
    image = Image.fromarray(ids, "P")
    image.putpalette(np.uint8([colours.get(i, (i, 1, 2)) for i in range(256)]).tobytes())
    return image


IDS = np.uint8([[0, 1, 2], [2, 1, 255]])
COLOURS = ((70, 130, 180), (128, 64, 128), (0, 0, 142))
COLOURED = ClassTable(
    ("sky", "road", "car"), COLOURS, raw_colours={c: i for i, c in enumerate(COLOURS)} | {(0, 0, 0): VOID}
)


@pytest.mark.parametrize("form", ["png", "bmp", "tif"])
def test_the_ids_of_a_palette_are_its_indices(tmp_path, form):
    """As VOC's tools write them: the palette's colours are not those of the class table."""
    indexed(IDS, {}).save(tmp_path / f"voc.{form}")
    for table in (CLASSES, COLOURED):
        np.testing.assert_array_equal(read_label(f"{tmp_path}/voc.{form}", table), IDS)


def test_a_palette_in_the_classes_colours_is_read_by_them(tmp_path):
    """Index 5 is no class, but its colour is."""
    indexed(np.uint8([[5, 6]]), {5: COLOURS[2], 6: (0, 0, 0)}).save(tmp_path / "c.png")
    assert read_label(f"{tmp_path}/c.png", COLOURED).tolist() == [[2, VOID]]


def test_a_palette_whose_colours_contradict_its_indices_is_refused(tmp_path):
    indexed(np.uint8([[0, 1]]), {0: COLOURS[0], 1: COLOURS[2]}).save(tmp_path / "c.png")
    message = r"index 1 has the colour 0/0/142: by its index that is road, by its colour car"
    with pytest.raises(UserError, match=message):
        read_label(f"{tmp_path}/c.png", COLOURED)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_and_grey_of_three_channels_are_ids(tmp_path, mode):
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLOURS
    Image.fromarray(palette[IDS]).convert(mode).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_label(f"{tmp_path}/c.png", COLOURED), IDS)
    Image.fromarray(np.dstack([IDS] * 3)).convert(mode).save(tmp_path / "grey.png")
    for table in (CLASSES, COLOURED):
        np.testing.assert_array_equal(read_label(f"{tmp_path}/grey.png", table), IDS)


def test_black_that_no_class_has_says_what_can_be_done(tmp_path):
    red = replace(COLOURED, raw_colours={(255, 0, 0): 0})
    Image.fromarray(np.uint8([[[255, 0, 0], [0, 0, 0]]])).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r'0/0/0 .*; black is void with "void": \[\[0, 0, 0\]\], or has'):
        read_label(f"{tmp_path}/c.png", red)


def test_a_colour_that_no_class_has_is_named(tmp_path):
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"label colour 1/2/3 \(red/green/blue\) is not in the class table"):
        read_label(f"{tmp_path}/c.png", COLOURED)


@pytest.mark.parametrize("form", ["png", "bmp", "tif"])
def test_black_and_white_are_0_and_1(tmp_path, form):
    mask = np.array([[False, True, True]] * 9)
    Image.fromarray(mask).save(tmp_path / f"mask.{form}")
    np.testing.assert_array_equal(read_label(f"{tmp_path}/mask.{form}", CLASSES), mask)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_fewer_bits_is_not_stretched(tmp_path, depth):
    """A PNG by hand: header, pixels, end; Pillow writes no grey of 2 and 4 bits."""
    ids = np.arange(8, dtype=np.uint8) % min(3, 2**depth)
    row = sum(int(v) << depth * (7 - i) for i, v in enumerate(ids)).to_bytes(depth, "big")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 1, depth, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    ]
    data = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    (tmp_path / "few.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert read_label(f"{tmp_path}/few.png", CLASSES).tolist() == [ids.tolist()]


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
