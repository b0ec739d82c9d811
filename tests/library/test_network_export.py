"""`export`: which networks it takes, and one line for the others."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import taf_keras as tk

CLASSES = ["road", "car"]


def network_of(inputs_of=lambda image: image, outputs_of=lambda logits: logits) -> keras.Model:
    image = keras.Input((16, 16, 3))
    slow = layers.Conv2D(2, 3, padding="same", name="slow")(image)
    logits = layers.Conv2D(2, 1)(layers.Concatenate()([slow, image]))
    return keras.Model(inputs_of(image), outputs_of(logits))


class Subclass(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (lambda: tk.TAF(network_of(), {"slow": 0.0}), "a TAF has no functional graph"),
        (Subclass, "a Subclass has no functional graph"),
        (lambda: keras.Sequential([layers.Conv2D(2, 1)]), "a Sequential has no functional graph"),
        (lambda: "network.keras", "a str has no functional graph"),
        (lambda: network_of(outputs_of=lambda x: {"seg": x}), "it returns a dict"),
        (lambda: network_of(outputs_of=lambda x: [x, x]), "it has 2 outputs"),
    ],
)
def test_what_is_no_such_network_is_refused(network, fault, tmp_path):
    message = rf"^network: {fault}.*; allowed is .*; of a TAF it is TAF\(…\).network$"
    with pytest.raises(ValueError, match=message):
        tk.export(network(), str(tmp_path / "exported"), CLASSES)
    assert not list(tmp_path.iterdir())


def test_a_list_of_one_is_the_one(tmp_path):
    """The usual idiom keras.Model([image], [logits])."""
    network = network_of(lambda x: [x], lambda x: [x])
    if keras.backend.backend() != "tensorflow":
        with pytest.raises(ValueError, match=r"^export: a SavedModel needs TensorFlow, and Keras runs on "):
            tk.export(network, str(tmp_path / "exported"), CLASSES)
        return
    import tensorflow as tf

    tk.export(network, str(tmp_path / "exported"), CLASSES)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    expected = np.argmax(network.predict(frames.astype("float32"), verbose=0), axis=-1)
    np.testing.assert_array_equal(exported.serve(frames)["labels"], expected)
    assert json.loads(next(tmp_path.glob("exported/**/*.json")).read_text())["names"] == CLASSES


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
def test_no_softmax_is_taken_of_a_softmax_or_sigmoid(end, tmp_path):
    network = network_of(outputs_of=lambda x: layers.Activation(end)(x))
    with pytest.raises(ValueError, match=rf"^network: ends with a {end}, and the export adds a softmax"):
        tk.export(network, str(tmp_path / "exported"), CLASSES)


def test_a_folder_that_holds_anything_else_stays(tmp_path):
    """An empty one is taken, and so is an earlier export."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a SavedModel needs TensorFlow")
    runs, network = tmp_path / "runs", network_of()
    (runs / "taf").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=rf"^folder='{runs}': holds something else; allowed is a new one, or an"
    ):
        tk.export(network, str(runs), CLASSES)
    assert (runs / "taf").is_dir()
    for _ in range(2):
        tk.export(network, str(runs / "taf"), CLASSES)
    assert (runs / "taf" / "saved_model.pb").is_file()


def free(size=(None, None)) -> keras.Model:
    image = keras.Input((*size, 3))
    return keras.Model(image, layers.Conv2D(2, 1)(image))


def upsampling() -> keras.Model:
    """Its last layer is one of those that must know the size of what they enlarge."""
    image = keras.Input((None, None, 3))
    return keras.Model(image, OfKnownSize()(layers.Conv2D(2, 1)(image)))


class OfKnownSize(layers.Layer):
    def call(self, x):
        if x.shape[1] is None:
            raise TypeError("rows are unknown")
        return x

    def compute_output_spec(self, x):  # Keras does not ask `call`
        return keras.KerasTensor(x.shape, x.dtype)


@pytest.mark.parametrize(
    ("network", "given", "kept"),
    [
        (free, None, None),
        (free, (16, 24), (16, 24)),
        (lambda: free((16, None)), [16, 24], (16, 24)),
        (lambda: free((16, 24)), None, (16, 24)),
        (upsampling, (16, 24), (16, 24)),
    ],
)
def test_the_export_keeps_the_size_at_which_frames_are_shown(network, given, kept, tmp_path):
    """By a size that nobody gave, `predict` would show frames as large as they are."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a SavedModel needs TensorFlow")
    from taf_keras.clips.exported_classes import load_trained_size

    tk.export(network(), str(tmp_path / "exported"), CLASSES, image_size=given)
    assert load_trained_size(tmp_path / "exported") == kept


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (free, (0, 24), r"^image_size=\(0, 24\): the network takes \(height, width\) of any×any px$"),
        (free, (24,), r"^image_size=\(24,\): "),
        (lambda: free((16, None)), (24, 24), r"^image_size=\(24, 24\): .* of 16×any px$"),
        (upsampling, None, r"has layers that need to know the size of the frames: give image_size, that of "),
    ],
)
def test_a_size_that_cannot_be_is_refused(network, given, message, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a SavedModel needs TensorFlow")
    with pytest.raises(ValueError, match=message):
        tk.export(network(), str(tmp_path / "exported"), CLASSES, image_size=given)
    assert not (tmp_path / "exported").exists()
