"""Other runtimes: the files of `--export_formats`, and what users' own tools make of the SavedModel."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from taf_examples import every_layer

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.datasets import camvid
from taf_keras.errors import UserError
from taf_keras.models import build
from taf_keras.serving import formats
from taf_keras.serving.export import export_formats, export_model
from taf_keras.serving.formats import missing_formats

FORMATS = ("litert", "onnx")
SHAPES = [(1, 40, 56, 3), (2, 33, 17, 3)]


@pytest.fixture(scope="module", params=BRANCHES)
def exported(request, tmp_path_factory) -> Path:
    """The folder of an exported model of random weights, with both other formats."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_backbone", every_layer)
        keras.utils.set_random_seed(0)
        config = ModelConfig(model=request.param, head_channels=8)
        network = build.build_model(config, len(camvid.CLASSES))
        folder = tmp_path_factory.mktemp(request.param) / "export"
        export_model(network, camvid.CLASSES, folder)
        assert missing_formats(folder, FORMATS) == list(FORMATS)

        def again() -> keras.Model:
            other = build.build_model(config, len(camvid.CLASSES))
            other.set_weights(network.get_weights())
            return other

        assert export_formats(again, folder, FORMATS) == {}
    assert missing_formats(folder, FORMATS) == []
    assert not [path for path in folder.iterdir() if "unfinished" in path.name]
    return folder


def frames_of(shape, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def check(exported: Path, run: Callable, dtype=np.float32) -> None:
    """`run` (frames -> {name: array}) agrees with the SavedModel for frames of several sizes."""
    model = tf.saved_model.load(str(exported))
    for shape in SHAPES:
        frames = frames_of(shape, dtype)
        outputs, expected = run(frames), model.serve(frames)
        np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"], atol=1e-4)
        top = np.sort(expected["probabilities"], axis=-1)
        clear = top[..., -1] - top[..., -2] > 1e-3  # where two are alike, rounding decides
        np.testing.assert_array_equal(outputs["labels"][clear], expected["labels"].numpy()[clear])


def litert(content: bytes) -> Callable:
    def run(frames):
        interpreter = tf.lite.Interpreter(model_content=content)
        (given,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(given["index"], frames.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], frames)
        interpreter.invoke()
        found = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        return {"probabilities" if array.ndim == 4 else "labels": array for array in found}

    return run


def onnx(path: Path) -> Callable:
    session = onnxruntime.InferenceSession(str(path))
    (given,) = session.get_inputs()

    def run(frames):
        found = session.run(None, {given.name: frames})
        return {"probabilities" if array.ndim == 4 else "labels": array for array in found}

    return run


# --- The files of --export_formats ---


def test_litert_runs_the_file(exported):
    check(exported, litert((exported / "model.tflite").read_bytes()))


def test_onnx_runs_the_file(exported):
    check(exported, onnx(exported / "model.onnx"))


def test_onnx_without_its_packages_is_refused(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs `pip install -r requirements.txt onnx tf2onnx`"):
        formats.check_formats(("onnx",))


# --- Users' own tools on the SavedModel ---


@pytest.mark.parametrize(
    ("signature", "dtype"), [("serving_default", np.uint8), ("serve_float32", np.float32)]
)
def test_the_lite_converter_takes_the_folder(exported, signature, dtype):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(exported), signature_keys=[signature])
    check(exported, litert(converter.convert()), dtype)


@pytest.mark.end_to_end
def test_tf2onnx_takes_the_folder(exported, tmp_path):
    output = tmp_path / "model.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", exported, "--output", output]
    command += ["--signature_def", "serve_float32", "--opset", "17"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=300)
    check(exported, onnx(output))


def test_keras_takes_the_folder_as_a_layer(exported):
    layer = keras.layers.TFSMLayer(str(exported), call_endpoint="serve_float32")
    check(exported, lambda frames: {name: np.asarray(x) for name, x in layer(frames).items()})


def test_a_request_to_tensorflow_serving_has_the_form_of_the_signature(exported):
    """Its REST call names the inputs; the row format leaves out a name that stands alone."""
    frames = frames_of((1, 8, 8, 3), np.uint8)
    request = json.loads(json.dumps({"signature_name": "serving_default", "instances": frames.tolist()}))
    model = tf.saved_model.load(str(exported))
    signature = model.signatures[request["signature_name"]]
    (name,) = signature.structured_input_signature[1]
    outputs = signature(**{name: tf.constant(request["instances"], tf.uint8)})
    assert outputs["labels"].shape == (1, 8, 8)
