from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras import predict
from taf_keras.clips.clip import ClassTable
from taf_keras.clips.exported_classes import load_trained_size
from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.datasets import camvid
from taf_keras.datasets.load import class_table
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import network_predictor
from taf_keras.evaluation.network import load_network
from taf_keras.models.build import build_model, dtype_policy
from taf_keras.serving import export
from taf_keras.serving.export import export_model
from taf_keras.serving.prediction import predict_files


@pytest.fixture(scope="module")
def served(finished_run):
    """The exported model of the tiny run and the Keras model it came from."""
    config, _ = finished_run
    folder = Path(config.runtime.model_dir)
    checkpoint = max((folder / "checkpoints").iterdir())
    network = load_network(config, class_table(config.data).names, checkpoint)
    return tf.saved_model.load(str(folder / "export")), network


@pytest.mark.parametrize("size", [(32, 48), (45, 61), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_export_equals_the_model_at_any_size(served, size, dtype):
    loaded, network = served
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(dtype)
    outputs = loaded.serve(frames)
    logits = keras.ops.convert_to_numpy(network(frames.astype(np.float32), training=False))
    np.testing.assert_allclose(outputs["probabilities"], keras.ops.softmax(logits), atol=1e-5)
    assert outputs["labels"].shape == (2, *size)
    clear = np.diff(np.sort(logits, axis=-1)[..., -2:], axis=-1)[..., 0] > 1e-4
    np.testing.assert_array_equal(outputs["labels"].numpy()[clear], logits.argmax(-1)[clear])


def test_all_signatures_are_there(served):
    loaded, _ = served
    assert set(loaded.signatures) == {"serving_default", "serve_float32", "labels"}
    frames = tf.zeros((1, 8, 8, 3), tf.uint8)
    assert loaded.signatures["serving_default"](images=frames)["labels"].shape == (1, 8, 8)


@pytest.mark.parametrize("size", [(32, 48), (45, 61), (1, 1)])
def test_the_signature_of_labels_alone_has_those_of_serve(served, size):
    loaded, _ = served
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    outputs = loaded.signatures["labels"](images=tf.constant(frames))
    assert set(outputs) == {"labels", "finite"}
    np.testing.assert_array_equal(outputs["labels"], loaded.serve(frames)["labels"])


def test_a_callers_half_precision_decides_no_label():
    """In bfloat16 both larger logits are 1, and the former class would win."""
    scores = keras.Input((None, None, 3))
    with dtype_policy("mixed_bfloat16"):
        model = export._single_file_model(keras.Model(scores, scores))
    assert model(np.full((1, 1, 1, 3), [0, 1, 1.001], np.float32))["labels"].numpy().tolist() == [[[2]]]


class Counting(keras.layers.Layer):
    """A layer that counts how often it is traced."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs


def counting_network() -> tuple[keras.Model, Counting]:
    image, counting = keras.Input((None, None, 3)), Counting()
    network = keras.Model(image, counting(keras.layers.Conv2D(2, 1)(image)))
    counting.calls = 0
    return network, counting


def test_an_export_traces_the_network_for_serve_and_for_labels_alone(tmp_path):
    """A trace takes seconds: one serves both types of images, and TensorFlow's saving needs no other."""
    network, counting = counting_network()
    export_model(network, ClassTable(("a", "b"), ((0, 0, 0), (1, 1, 1))), tmp_path / "export")
    assert counting.calls == 2


def test_a_predictor_traces_the_network_once_for_any_number_of_frames():
    network, counting = counting_network()
    predict_ids = network_predictor(network)
    for frames in (1, 3, 2):
        assert predict_ids(np.zeros((frames, 4, 6, 3), np.uint8)).shape == (frames, 4, 6)
    assert counting.calls == 1


def test_an_export_knows_the_size_of_its_training(finished_run):
    config, _ = finished_run
    assert load_trained_size(Path(config.runtime.model_dir) / "export") == config.data.image_size


def test_probabilities_of_half_precision_are_float32(tmp_path):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, dtype="mixed_bfloat16")(image))
    export_model(network, ClassTable(("a", "b"), ((0, 0, 0), (1, 1, 1))), tmp_path / "export")
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    outputs = loaded.serve(np.zeros((1, 4, 4, 3), np.uint8))
    assert outputs["probabilities"].dtype == tf.float32
    np.testing.assert_allclose(np.sum(outputs["probabilities"], axis=-1), 1, atol=1e-6)


def operations(folder) -> list[str]:
    """Sorted operation types of the uint8 endpoint, functions called in it included."""
    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return sorted(node.op for node in nodes)


def test_training_with_taf_leaves_no_trace_in_the_export(finished_run, tmp_path):
    """A model trained with TAF costs what one costs that was never near it."""
    config, _ = finished_run
    classes = class_table(config.data)
    untouched = build_model(config.model, len(classes))
    export_model(untouched, classes, tmp_path / "export")
    trained = Path(config.runtime.model_dir) / "export"
    assert operations(tmp_path / "export") == operations(trained)


@pytest.mark.parametrize("model", BRANCHES)
def test_both_models_export(model, tmp_path):
    classes = camvid.CLASSES
    network = build_model(
        ModelConfig(model=model, backbone="mobilenetv2", backbone_width=0.35, head_channels=8), len(classes)
    )
    export_model(network, classes, tmp_path / "export")
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    outputs = loaded.serve(np.zeros((1, 40, 56, 3), np.uint8))
    assert outputs["probabilities"].shape == (1, 40, 56, 11)
    np.testing.assert_allclose(np.sum(outputs["probabilities"], axis=-1), 1, atol=1e-5)


def test_the_predict_command_writes_labels_and_overlays(finished_run, tmp_path, capsys):
    model = Path(finished_run[0].runtime.model_dir) / "export"
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "street.png"), image)
    output = f"--output_dir={tmp_path / 'out'}"
    predict.main([str(tmp_path / "in"), f"--model={model}", output, "--size=own"])
    labels = cv2.imread(str(tmp_path / "out" / "street_labels.png"), cv2.IMREAD_UNCHANGED)
    loaded = tf.saved_model.load(str(model))
    expected = loaded.serve(image[None, ..., ::-1])["labels"][0]  # cv2 writes BGR
    np.testing.assert_array_equal(labels, expected)
    assert cv2.imread(str(tmp_path / "out" / "street_overlay.png")).shape == (40, 56, 3)
    assert "wrote 2 files" in capsys.readouterr().out


def test_the_predict_command_names_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such image"):
        predict_files(str(tmp_path), [str(tmp_path / "x.png")], str(tmp_path))
    (tmp_path / "x.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match="holds no exported model"):
        predict_files(str(tmp_path), [str(tmp_path / "x.png")], str(tmp_path))
