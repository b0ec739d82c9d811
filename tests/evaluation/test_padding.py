"""Frames of sizes that a network's strides do not fit: the border that they get, and what is refused."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.datasets.load import load_split
from taf_keras.devices import out_of_memory
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import confusion_matrix, metrics
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.evaluation.padding import padded
from taf_keras.evaluation.run import evaluate
from taf_keras.storage.run import Run
from taf_keras.studies.confusions import matrices_of_runs
from taf_keras.studies.footage import load_footage
from taf_keras.training.run import train
from taf_keras.viewer.run import view

U_NET = """
import keras


def unet(classes):  # its skip needs sides that 8 divides
    image = keras.Input((None, None, 3))
    skip = keras.layers.Conv2D(4, 3, strides=4, padding="same")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(skip)
    x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skip])
    x = keras.layers.Conv2D(classes, 1)(x)
    return keras.Model(image, keras.layers.UpSampling2D(4, interpolation="bilinear")(x))
"""


def even_alone(images):
    """Segments sides that 2 divides: a pixel's class is its red value, its scores are the colours."""
    if images.shape[1] % 2 or images.shape[2] % 2:
        raise ValueError("odd\nsides")
    return images


@pytest.mark.parametrize("part", [lambda found: found, lambda found: found[..., 0]])
def test_a_border_is_not_in_what_is_returned(part):
    images = np.random.default_rng(0).integers(0, 256, (2, 29, 42, 3), np.uint8)
    segment = padded(lambda x: part(even_alone(x)), "none")
    for _ in range(2):  # the second time it is known
        np.testing.assert_array_equal(segment(images), part(images))


def test_the_border_repeats_the_last_pixels_up_to_the_next_multiple_of_32():
    seen = []

    def watched(images):
        found = even_alone(images)
        seen.append(images)
        return found

    images = np.random.default_rng(0).integers(0, 256, (1, 33, 42, 3), np.uint8)
    padded(watched, "none")(images)
    (bordered,) = seen
    assert bordered.shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(bordered[0, 33:, :42], np.broadcast_to(images[0, -1], (31, 42, 3)))
    np.testing.assert_array_equal(bordered[0, :33, 50], images[0, :, -1])


@pytest.mark.parametrize("shape", [(1, 30, 40, 3), (1, 64, 32, 3)])
def test_a_size_that_fits_with_no_border_is_one_line(shape):
    def refuse(images):
        raise ValueError("no\nmore")

    with pytest.raises(
        UserError, match=r"^frames of \d+x\d+ px cannot be segmented \(no\): give another size$"
    ):
        padded(refuse, "give another size")(np.zeros(shape, np.uint8))


def test_what_is_wrong_with_the_predictions_is_said_as_it_is():
    def diverged(images):
        raise UserError("not finite")

    with pytest.raises(UserError, match=r"^not finite$"):
        padded(diverged, "none")(np.zeros((1, 30, 40, 3), np.uint8))


def test_that_memory_is_short_is_no_matter_of_the_size():
    def exhausted(images):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with (
        pytest.raises(UserError, match=r"^the device has no memory left: eat less$"),
        out_of_memory("eat less"),
    ):
        padded(exhausted, "none")(np.zeros((1, 30, 40, 3), np.uint8))


@pytest.fixture
def run_with_other_test_frames(request, tmp_path, untraced) -> Run:
    """A U-Net for frames of the size `request.param`, trained on 32×48 px, whose test frames have 36×54."""
    rng = np.random.default_rng(0)
    for split, size in (("train", (32, 48)), ("val", (32, 48)), ("test", (36, 54))):
        rows = ["clip,frame,image,label"]
        for clip in range(2):
            cv2.imwrite(str(tmp_path / f"{split}{clip}.png"), rng.integers(0, 256, (*size, 3), np.uint8))
            cv2.imwrite(str(tmp_path / f"{split}{clip}_ids.png"), rng.integers(0, 3, size, np.uint8))
            rows.append(f"{clip},0,{split}{clip}.png,{split}{clip}_ids.png")
        (tmp_path / f"{split}.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "classes.json").write_text(json.dumps({"classes": [{"name": name} for name in "abc"]}))
    (tmp_path / "nets.py").write_text(U_NET.replace("(None, None, 3)", f"({request.param}, 3)"))
    config = Config(
        DataConfig("manifest", str(tmp_path), eval_split="val", min_scale=1.0, max_scale=1.0),
        ModelConfig(f"{tmp_path}/nets.py:unet"),
        TAFConfig("baseline"),
        TrainingConfig(epochs=1, batch_size=2),
        RuntimeConfig(model_dir=str(tmp_path / "run"), validations=0),
    )
    train(config)
    return Run(config.runtime.model_dir)


@pytest.mark.parametrize("run_with_other_test_frames", ["None, None"], indirect=True)
def test_a_split_of_another_size_is_evaluated_with_a_border(run_with_other_test_frames, tmp_path):
    run = run_with_other_test_frames
    split = load_split(run.config.data, "test")
    network = load_network(run.config, split.classes.names, reported_checkpoint(run))

    def labels(images, height, width):
        """NumPy's border, and the network itself."""
        rows, columns = np.minimum(range(64), height - 1), np.minimum(range(64), width - 1)
        scores = network(images[:, rows][:, :, columns].astype(np.float32))
        return np.argmax(scores[:, :height, :width], axis=-1)

    matrices = []
    for clip in split.clips:
        image = cv2.imread(str(clip.key_frame.image))[None, ..., ::-1]
        truth = cv2.imread(str(clip.key_frame.label), cv2.IMREAD_GRAYSCALE)
        matrices.append(confusion_matrix(truth, labels(image, 36, 54)[0], 3))
    expected = metrics(np.stack(matrices), split)

    found = evaluate(str(run.folder), "test")
    assert found["pixel_accuracy"] == expected["pixel_accuracy"]
    assert found["per_class_iou"] == expected["per_class_iou"]
    footage = load_footage(run.config.data, "test", (0,), None, 1)
    (kept,) = matrices_of_runs([run], [reported_checkpoint(run)], footage, tmp_path / "confusion")
    np.testing.assert_array_equal(kept, matrices)
    assert view(run, tmp_path / "view", "test") == []  # no frame that could not be read

    several = evaluate(str(run.folder), "test", scales=(0.5, 1.5), flip=True)
    assert several["frames"] == 2


@pytest.mark.parametrize("run_with_other_test_frames", ["32, 48"], indirect=True)
def test_a_size_that_a_network_does_not_take_is_one_line_of_evaluate(run_with_other_test_frames):
    folder = str(run_with_other_test_frames.folder)
    remedy = "give a split whose frames the network takes"
    with pytest.raises(UserError, match=rf"^frames of 36x54 px .*: {remedy}$"):
        evaluate(folder, "test")
    with pytest.raises(UserError, match=r"^frames of 16x24 px .*: give other --scales$"):
        evaluate(folder, "val", scales=(0.5,))
