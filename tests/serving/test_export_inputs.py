"""What the exported model takes and what it refuses, both models."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.datasets import camvid
from taf_keras.models.build import build_model
from taf_keras.serving.export import export_model


@pytest.fixture(scope="module", params=BRANCHES)
def exported(request, tmp_path_factory):
    """A small model with random weights, exported and loaded."""
    keras.utils.set_random_seed(0)
    config = ModelConfig(model=request.param, backbone="mobilenetv2", backbone_width=0.35, head_channels=8)
    folder = tmp_path_factory.mktemp(request.param) / "export"
    export_model(build_model(config, len(camvid.CLASSES)), camvid.CLASSES, folder)
    return tf.saved_model.load(str(folder))


def endpoints(model) -> list:
    """Every way to call the model with uint8 frames."""
    return [model.serve, lambda frames: model.signatures["serving_default"](images=tf.constant(frames))]


def check_outputs(outputs, frames):
    probabilities, labels = outputs["probabilities"].numpy(), outputs["labels"].numpy()
    assert probabilities.shape == (*frames.shape[:3], len(camvid.CLASSES))
    assert (probabilities.dtype, labels.dtype) == (np.float32, np.int32)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    assert labels.shape == frames.shape[:3]
    labelled = np.take_along_axis(probabilities, labels[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(labelled, probabilities.max(axis=-1), atol=1e-6)  # two may be equal


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 7), (1, 7, 1), (1, 33, 17), (3, 31, 64), (32, 17, 33)], ids=str
)
def test_any_size_and_number_of_frames(exported, shape):
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for call in endpoints(exported):
        check_outputs(call(frames), frames)
    check_outputs(exported.signatures["serve_float32"](images=tf.cast(frames, tf.float32)), frames)


@pytest.mark.slow
def test_a_large_frame(exported):
    frames = np.random.default_rng(0).integers(0, 256, (1, 2048, 4096, 3), np.uint8)
    check_outputs(exported.serve(frames), frames)


OTHER_SHAPES = [(), (3,), (8, 8), (8, 8, 3), (1, 1, 8, 8, 3), (1, 8, 8, 1), (1, 8, 8, 4), (1, 3, 8, 8)]
EMPTY = [(1, 0, 8, 3), (1, 8, 0, 3)]


def test_signatures_say_rank_names_and_dtypes(exported):
    """What TensorFlow Serving, TFLiteConverter and tf2onnx read off the file."""
    for name, dtype in (("serving_default", tf.uint8), ("serve_float32", tf.float32)):
        arguments, named = exported.signatures[name].structured_input_signature
        (images,) = named.values()
        assert arguments == ()
        assert (list(named), images.dtype, images.shape.as_list()) == (
            ["images"],
            dtype,
            [None, None, None, 3],
        )
        outputs = exported.signatures[name].structured_outputs
        assert {key: (x.dtype, x.shape.rank) for key, x in outputs.items()} == {
            "probabilities": (tf.float32, 4),
            "labels": (tf.int32, 3),
        }


@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_signatures_refuse_other_shapes(exported, shape):
    """In TensorFlow's own words, which name the shape that they got or the one that they take."""
    for name, dtype in (("serving_default", np.uint8), ("serve_float32", np.float32)):
        with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
            exported.signatures[name](images=tf.zeros(shape, dtype))


@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_serve_refuses_other_shapes(exported, shape):
    """What it got, and what it takes."""
    found = re.escape(f"shape={shape} dtype=uint8")
    with pytest.raises(ValueError, match=rf"(?s)Got:.*{found}.*Expected.*shape=\(None, None, None, 3\)"):
        exported.serve(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", EMPTY, ids=str)
def test_serve_refuses_frames_without_a_pixel(exported, shape):
    """In words of TensorFlow's."""
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        exported.serve(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "int64", "bool"])
def test_other_dtypes_are_refused_by_name(exported, dtype):
    frames = np.zeros((1, 8, 8, 3), dtype)
    with pytest.raises(ValueError, match=f"(?s)Got:.*dtype={dtype}.*Expected.*tf.uint8.*tf.float32"):
        exported.serve(frames)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be a uint8 tensor"):
        exported.signatures["serving_default"](images=tf.constant(frames))


@pytest.mark.parametrize("value", ["text", [[1, 2]], None])
def test_what_is_no_array_is_refused(exported, value):
    with pytest.raises(ValueError, match=r"(?s)Expected.*tf.uint8.*tf.float32"):
        exported.serve(value)
