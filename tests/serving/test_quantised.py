"""LiteRT in 8-bit integers: which frames choose the ranges, and what the file then computes."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.models.layers import ResizeLike
from taf_keras.serving.export import export_formats
from taf_keras.serving.formats import FILES
from taf_keras.serving.quantised import FRAMES, representative_frames
from taf_keras.serving.runtimes import load_predictor

CLASSES = ClassTable(("sky", "road", "car"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
SIZE = (48, 64)


def scene(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame of blue above green with red blocks, between grey levels 60 and 190, and its labels."""
    rng = np.random.default_rng(number)
    label = np.zeros(SIZE, np.uint8)
    label[rng.integers(16, 32) :] = 1
    for _ in range(3):
        y, x = rng.integers(0, SIZE[0] - 12), rng.integers(0, SIZE[1] - 12)
        label[y : y + 12, x : x + 12] = 2
    image = 60 + 100 * np.eye(3)[[2, 1, 0]][label] + rng.uniform(0, 30, (*SIZE, 3))
    return image.astype(np.uint8), label


def split(count: int) -> Split:
    clips = (Clip(f"clip{i}", (Frame(0, *scene(i)),), 0) for i in range(count))
    return Split("train", tuple(clips), CLASSES)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """It has learned the scenes. Most of its bytes are weights, as those of a real network are."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for stride in (2, 2, 1):
        x = keras.layers.Conv2D(48, 3, stride, "same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    model = keras.Model(image, ResizeLike()([keras.layers.Conv2D(len(CLASSES), 1)(x), image]))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = map(np.stack, zip(*map(scene, range(32)), strict=True))
    model.fit(images.astype(np.float32), labels, batch_size=8, epochs=12, verbose=0)
    return model


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> Path:
    folder, train = tmp_path_factory.mktemp("export"), split(32)
    again = keras.models.clone_model(network)
    again.set_weights(network.get_weights())
    frames = lambda: representative_frames(train, None)  # noqa: E731
    assert export_formats(lambda: again, folder, ("litert", "litert_int8"), frames) == {}
    return folder


def test_frames_are_spread_over_the_split_in_its_order():
    train = split(2 * FRAMES)
    for frame, clip in zip(list(representative_frames(train, None))[1:], train.clips[2::2], strict=True):
        np.testing.assert_array_equal(frame, clip.key_frame.image)
    for count in (1, FRAMES - 1, FRAMES, FRAMES + 1):
        assert len(list(representative_frames(split(count), None))) == min(count, FRAMES)
    assert {frame.shape for frame in representative_frames(split(3), (24, 32))} == {(24, 32, 3)}


def test_the_first_frame_has_black_and_white_and_the_data_set_has_not():
    train = split(2)
    first, second = representative_frames(train, None)
    assert (first.min(), first.max()) == (0, 255)
    assert min(train.clips[0].key_frame.image.min(), second.min()) >= 60
    assert (first != train.clips[0].key_frame.image).any(axis=-1).sum() == 2


def test_the_input_is_a_picture_whatever_the_frames_brightness(exported):
    interpreter = tf.lite.Interpreter(str(exported / FILES["litert_int8"]))
    (given,) = interpreter.get_input_details()
    assert given["dtype"] == np.uint8
    scale, zero = given["quantization"]
    assert scale == pytest.approx(1, abs=1e-6)
    assert zero == 0


def test_nothing_but_the_probabilities_is_in_floats(exported):
    interpreter = tf.lite.Interpreter(str(exported / FILES["litert_int8"]))
    details = interpreter.get_tensor_details()
    (probabilities,) = (o["index"] for o in interpreter.get_output_details() if len(o["shape"]) == 4)
    assert [t["index"] for t in details if t["dtype"] == np.float32] == [probabilities]
    kernels = [t for t in details if t["dtype"] == np.int8 and np.prod(t["shape"]) == 48 * 48 * 9]
    assert len(kernels) == 2


def test_the_file_is_a_third_of_the_floats_and_has_their_labels(exported, network):
    small, large = ((exported / FILES[name]).stat().st_size for name in ("litert_int8", "litert"))
    assert small < large / 3
    images = np.stack([scene(i)[0] for i in range(32)])
    labels = np.stack([scene(i)[1] for i in range(32)])
    floats, integers = (load_predictor(exported, name).labels(images) for name in ("litert", "litert_int8"))
    assert (floats == labels).mean() > 0.9  # it has learned something
    assert (floats == integers).mean() > 0.98


def test_other_sizes_than_those_of_the_frames_are_taken(exported):
    predictor = load_predictor(exported, "litert_int8")
    assert predictor.size is None
    large = cv2.resize(scene(0)[0], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    small = predictor.labels(scene(0)[0][None])[0]
    assert (predictor.labels(large[None])[0][::2, ::2] == small).mean() > 0.9
