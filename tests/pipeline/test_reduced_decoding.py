"""`--reduced_decoding`: JPEG frames decoded at a fraction of their size stay where they were."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips.test_decode import SHOWN, encoded, exif, write

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.clips.decode import read_image
from taf_keras.clips.image_files import decode_bytes, reduced_colour
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.errors import BadFileError, UserError
from taf_keras.pipeline.batches import evaluation_batches, training_batches
from taf_keras.pipeline.examples import TrainingExamples

CLASSES = ClassTable(("dark", "bright"), ((0, 0, 0),) * 2)
FULL, SIZE = (253, 379), (62, 93)  # not divisible by 8; decoded at 1/4 these are 64x95


def scene(clip: int) -> np.ndarray:
    """uint8 (height, width): 1 inside a few rectangles, else 0."""
    ids, rng = np.zeros(FULL, np.uint8), np.random.default_rng(clip)
    for top, left in rng.integers(0, (200, 320), (5, 2)):
        ids[top : top + 50, left : left + 60] ^= 1
    return ids


def tiny_split(folder: Path, form: str = "jpg") -> Split:
    """Two clips of two frames that show the same; key frames have the scene as their label map."""
    clips = []
    for clip in range(2):
        ids = scene(clip)
        assert cv2.imwrite(str(folder / f"{clip}.png"), ids)
        path = str(folder / f"frame{clip}.{form}")
        assert cv2.imwrite(path, np.repeat(40 + 170 * ids[..., None], 3, axis=2))
        frames = Frame(5, path, str(folder / f"{clip}.png")), Frame(6, path)
        clips.append(Clip(f"clip{clip}", frames, 5))
    return Split("train", tuple(clips), CLASSES)


def config_of(reduced: bool, kept_mb: float = 0) -> Config:
    data = DataConfig(
        image_size=SIZE, reduced_decoding=reduced, crop_size=(48, 64), min_scale=0.5, max_scale=1.0
    )
    return Config(
        data,
        ModelConfig(output_stride=8),
        TAFConfig(),
        TrainingConfig(epochs=8, batch_size=4),
        RuntimeConfig(kept_mb=kept_mb),
    )


def examples(split: Split, config: Config, count: int = 16) -> list[dict[str, np.ndarray]]:
    read = TrainingExamples.of(split, config)
    return [read(position) for position in range(count)]


def gradient(height: int, width: int) -> np.ndarray:
    """uint8 RGB: rows, columns, and their mean, each over the whole range."""
    rows, columns = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([rows, columns, (rows + columns) / 2], axis=-1).astype(np.uint8)


# --- One file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [(64, 96), (61, 93), (120, 33), (9, 8)])
def test_the_smallest_size_that_is_not_below_the_asked_one(full):
    data = encoded(gradient(*full), "JPEG")
    by_divisor = {d: tuple(-(-n // d) for n in full) for d in (1, 2, 4, 8)}
    rng = np.random.default_rng(0)
    asked = [tuple(rng.integers(1, np.array(full) + 1)) for _ in range(50)]
    asked += [*by_divisor.values(), *((h + 1, w) for h, w in by_divisor.values())]
    for size in asked:
        allowed = [s for s in by_divisor.values() if s[0] >= size[0] and s[1] >= size[1]] or [full]
        decoded = decode_bytes("a", data, reduced_colour("a", data, size))
        assert decoded.shape[:2] == min(allowed)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path, orientation):
    pixels = np.full((64, 96, 3), 100, np.uint8)
    pixels[:, :48], pixels[:16] = 20, 200
    data = encoded(pixels, "JPEG", exif=exif(orientation), quality=95)
    shown = SHOWN[orientation](pixels)
    size = shown.shape[0] // 2, 8
    assert reduced_colour("a", data, size) == cv2.IMREAD_REDUCED_COLOR_2
    half = shown.shape[0] // 2, shown.shape[1] // 2
    read = read_image(write(tmp_path / "a.jpg", data), half, reduced=True)
    assert np.abs(read.astype(int) - shown[::2, ::2]).max() <= 20


@pytest.mark.parametrize("full", [(256, 256), (255, 249), (250, 233)])
@pytest.mark.parametrize("size", [(120, 116), (60, 58), (31, 29), (50, 45)])
def test_pixels_stay_at_their_place(tmp_path, full, size):
    """On a gradient a value tells the place: a pixel of the result is 255 / its size."""
    path = write(tmp_path / "a.jpg", encoded(gradient(*full), "JPEG", quality=98, subsampling=0))
    whole, reduced = (read_image(path, size, reduced).astype(float) for reduced in (False, True))
    assert (whole != reduced).any(), "it was not reduced"
    for axis in (0, 1):
        assert np.abs(whole - reduced)[..., axis].max() <= 255 / size[axis] + 2  # and what JPEG changes


def test_other_files_arrays_and_sizes_are_read_as_ever(tmp_path):
    pixels = gradient(64, 96)
    png = write(tmp_path / "a.png", encoded(pixels, "PNG"))
    jpeg = write(tmp_path / "a.jpg", encoded(pixels, "JPEG"))
    grey = write(tmp_path / "grey.jpg", encoded(pixels[..., 0], "JPEG"))
    for source, size in (
        (png, (16, 24)),
        (pixels, (16, 24)),
        (jpeg, None),
        (jpeg, (80, 24)),
        (jpeg, (33, 96)),
    ):
        np.testing.assert_array_equal(read_image(source, size, reduced=True), read_image(source, size))
    assert read_image(grey, (16, 24), reduced=True).shape == (16, 24, 3)


def test_without_the_flag_all_of_the_picture_is_decoded(tmp_path):
    data = encoded(gradient(64, 96), "JPEG")
    whole = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    expected = cv2.resize(whole, (24, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.jpg", data), (16, 24)), expected)


def test_a_damaged_file_is_named(tmp_path):
    path = write(tmp_path / "a.jpg", b"\xff\xd8\xff and nothing more")
    with pytest.raises(BadFileError, match=r"a\.jpg"):
        read_image(path, (16, 24), reduced=True)


# --- Examples ---------------------------------------------------------------------------------------


def test_both_frames_stay_aligned_with_the_label(tmp_path):
    """Only beside an edge may a picture be dark where its label is bright, or the other way."""
    differ = 0
    split = tiny_split(tmp_path)
    for example, whole in zip(
        examples(split, config_of(True)), examples(split, config_of(False)), strict=True
    ):
        label, near = example["label"], np.ones((3, 3), np.uint8)
        inside = cv2.erode(label, near) == cv2.dilate(label, near)
        inside &= label != VOID
        assert inside.mean() > 0.3
        for name in ("image", "partner"):
            bright = example[name].mean(axis=-1) > 125
            np.testing.assert_array_equal(bright[inside], label[inside] == 1)
            differ += (example[name] != whole[name]).any()
        np.testing.assert_array_equal(example["image"], example["partner"])
        for name in example.keys() - {"image", "partner"}:
            np.testing.assert_array_equal(example[name], whole[name])
    assert differ == 32


def test_png_is_the_same_bit_for_bit(tmp_path):
    split = tiny_split(tmp_path, "png")
    for a, b in zip(examples(split, config_of(True)), examples(split, config_of(False)), strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_kept_key_frames_are_those_that_are_decoded_each_time(tmp_path):
    split = tiny_split(tmp_path)
    for a, b in zip(examples(split, config_of(True)), examples(split, config_of(True, 10)), strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_training_batches_are_reduced_and_evaluation_is_not(tmp_path):
    split, config = tiny_split(tmp_path), config_of(True)
    batch = next(iter(training_batches(split, config)))
    np.testing.assert_array_equal(batch["image"][0], examples(split, config, 1)[0]["image"])
    batch = next(iter(evaluation_batches(split, SIZE)))
    whole = [read_image(clip.key_frame.image, SIZE) for clip in split.clips]
    np.testing.assert_array_equal(batch["image"], whole)


def test_it_needs_a_size_and_is_off_by_default():
    assert not DataConfig().reduced_decoding
    with pytest.raises(UserError, match=r"^--reduced_decoding: needs --image_size"):
        replace(config_of(True).data, image_size=None, crop_size=None)
