"""The labels of an exported model: by its signature of labels alone, and by other runtimes."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError
from taf_keras.models.layers import ResizeLike
from taf_keras.serving import labels as labels_module
from taf_keras.serving.export import export_formats, export_model
from taf_keras.serving.formats import FILES
from taf_keras.serving.labels import labels_of
from taf_keras.serving.runtimes import RUNTIMES, check_export, load_predictor

CLASSES = ClassTable(("a", "b", "c", "d", "e"), ((255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9), (0, 0, 0)))
IN_FLOATS = [name for name in RUNTIMES if name != "litert_int8"]  # of which test_quantised.py is
SIZES = [(1, 40, 56), (2, 33, 17), (3, 1, 1), (1, 7, 90)]


def network(size=(None, None), classes=5, resized=True) -> keras.Model:
    """Logits at stride 4, resized to the image: what `build_model` ends in."""
    keras.utils.set_random_seed(1)
    image = keras.Input((*size, 3))
    logits = keras.layers.Conv2D(classes, 5, 4 if resized else 1, "same")(image)
    return keras.Model(image, ResizeLike()([logits, image]) if resized else logits)


def frames(shape) -> np.ndarray:
    """Smooth, so that more than noise decides."""
    batch, height, width = shape
    small = np.random.default_rng(0).integers(0, 256, (batch, height // 4 + 2, width // 4 + 2, 3), np.uint8)
    return np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in small])


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "export"
    export_model(network(), CLASSES, folder)
    assert export_formats(network, folder, FILES, lambda: iter(frames((4, 40, 56)))) == {}
    return folder


def u_net() -> keras.Model:
    """Joins features of strides 2 and 4: sides that are no multiples of 4 do not fit together."""
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(4, 3, 2, "same")(image)
    coarse = keras.layers.Conv2D(4, 3, 2, "same")(fine)
    joined = keras.layers.Concatenate()([fine, keras.layers.Conv2DTranspose(4, 2, 2)(coarse)])
    return keras.Model(image, keras.layers.Conv2DTranspose(5, 2, 2)(joined))


# --- Sizes that do not fit the strides ----------------------------------------------------------------


@pytest.mark.parametrize("runtime", IN_FLOATS)
def test_frames_that_do_not_fit_the_strides_get_a_border(runtime, tmp_path):
    export_model(u_net(), CLASSES, tmp_path / "export")
    assert export_formats(u_net, tmp_path / "export", [r for r in [runtime] if r in FILES]) == {}
    labels = load_predictor(tmp_path / "export", runtime).labels
    for _ in range(2):  # the second time it is known
        images = frames((2, 29, 42))
        found = labels(images)
        bordered = np.pad(images, ((0, 0), (0, 3), (0, 22), (0, 0)), "edge")
        assert found.shape == (2, 29, 42)
        np.testing.assert_array_equal(found, labels(bordered)[:, :29, :42])
    fitting = frames((1, 28, 44))  # as it is
    np.testing.assert_array_equal(labels(fitting), np.argmax(u_net()(fitting.astype(np.float32)), axis=-1))


# --- Labels alone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strip", [1, 3000, 2**20])
@pytest.mark.parametrize("resized", [True, False])
@pytest.mark.parametrize("shape", SIZES)
def test_labels_equal_the_argmax_of_the_network(shape, resized, strip, monkeypatch):
    """Whatever the number of rows in a strip: one, some, or all."""
    monkeypatch.setattr(labels_module, "_STRIP_SCORES", strip)
    model, images = network(resized=resized), frames(shape)
    found = tf.function(labels_of(model))(images)
    logits = model(images.astype(np.float32))
    np.testing.assert_array_equal(found["labels"], np.argmax(logits, axis=-1))
    assert found["labels"].dtype == tf.uint8
    assert found["finite"].numpy().tolist() == [True] * shape[0]


def test_more_than_256_classes_get_wider_labels():
    model, images = network(classes=300), frames((1, 40, 56))
    found = labels_of(model)(images)["labels"]
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, np.argmax(model(images.astype(np.float32)), axis=-1))


def test_logits_that_are_not_finite_are_told():
    model = network()
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel, bias * np.nan])
    assert labels_of(model)(frames((2, 8, 8)))["finite"].numpy().tolist() == [False, False]


def test_no_tensor_holds_the_scores_of_a_whole_frame(monkeypatch):
    """All that the function makes of a frame of a known size has fewer elements than that."""
    monkeypatch.setattr(labels_module, "_STRIP_SCORES", 5000)
    size = (1, 256, 320)
    spec = tf.TensorSpec((*size, 3), tf.uint8)
    graph = tf.function(labels_of(network())).get_concrete_function(spec).graph
    sizes = [
        output.shape.num_elements()
        for part in (graph, *(graph._get_function(name).graph for name in graph._functions))
        for operation in part.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    ]
    assert max(sizes) <= 3 * np.prod(size) < len(CLASSES) * np.prod(size)


# --- Runtimes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", IN_FLOATS)
def test_every_runtime_has_the_labels_of_serve(exported, runtime):
    predictor = load_predictor(exported, runtime)
    assert predictor.size is None
    served = tf.saved_model.load(str(exported))
    for shape in SIZES:
        images = frames(shape)
        outputs, found = served.serve(images), predictor.labels(images)
        assert (found.shape, found.dtype) == (shape, np.uint8)
        top = np.sort(outputs["probabilities"], axis=-1)
        clear = top[..., -1] - top[..., -2] > (1e-3 if runtime != "tensorflow" else -1)
        np.testing.assert_array_equal(found[clear], outputs["labels"].numpy()[clear])


@pytest.mark.parametrize("runtime", IN_FLOATS)
def test_a_size_that_the_network_needs_is_known(tmp_path, runtime):
    folder = tmp_path / "export"
    export_model(network((24, 32)), CLASSES, folder)
    assert export_formats(lambda: network((24, 32)), folder, ("litert", "onnx")) == {}
    predictor = load_predictor(folder, runtime)
    assert predictor.size == (24, 32)
    assert predictor.labels(frames((1, 24, 32))).shape == (1, 24, 32)


def test_exports_of_earlier_versions_serve(exported, tmp_path):
    """They have no signature of labels alone."""
    loaded, module = tf.saved_model.load(str(exported)), tf.Module()
    module.loaded, module.serve = loaded, loaded.serve
    signatures = {"serving_default": loaded.signatures["serving_default"]}
    tf.saved_model.save(module, str(tmp_path / "export"), signatures=signatures)
    images = frames((2, 33, 17))
    found = load_predictor(tmp_path / "export", "tensorflow").labels(images)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, loaded.serve(images)["labels"])


def test_a_network_that_has_diverged_is_refused(tmp_path):
    model = network()
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel, bias * np.nan])
    export_model(model, CLASSES, tmp_path / "export")
    with pytest.raises(UserError, match="not finite"):
        load_predictor(tmp_path / "export", "tensorflow").labels(frames((1, 8, 8)))


def test_onnx_needs_no_tensorflow(exported, tmp_path):
    """The whole command, on a video and an image, where TensorFlow and Keras cannot be imported."""
    writer = cv2.VideoWriter(
        str(tmp_path / "a.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 25, (56, 40)
    )
    images = frames((4, 40, 56))
    for image in images:
        writer.write(image[..., ::-1])
    writer.release()
    cv2.imwrite(str(tmp_path / "b.png"), images[0][..., ::-1])
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from taf_keras.predict import main; main(sys.argv[1:])"
    )
    words = ["a.avi", "b.png", f"--model={exported}", "--runtime=onnx", "--labels=npz", "--output_dir=out"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    served = tf.saved_model.load(str(exported))
    expected = served.serve(images)["labels"].numpy()
    with np.load(tmp_path / "out" / "a_labels.npz") as archive:
        found = np.stack([archive[name] for name in sorted(archive)])
    assert (found == expected).mean() > 0.999
    assert (cv2.imread(str(tmp_path / "out" / "b_labels.png"), 0) == expected[0]).mean() > 0.999


@pytest.mark.parametrize("runtime", FILES)
def test_a_runtime_without_its_file_is_refused(exported, tmp_path, runtime):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(UserError) as refused:
        check_export(tmp_path, runtime)
    file = FILES[runtime]
    assert str(refused.value).endswith(
        f"{tmp_path} holds no {file}: `train.py --export_formats={runtime}` writes it"
    )
    with pytest.raises(UserError, match=f"give --model={exported}"):
        check_export(exported.parent, runtime)


@pytest.mark.parametrize(("runtime", "file"), FILES.items())
def test_a_damaged_file_is_named(tmp_path, runtime, file):
    (tmp_path / file).write_text(json.dumps("damaged"))
    with pytest.raises(UserError, match=f"{file}: is damaged: "):
        load_predictor(tmp_path, runtime)
