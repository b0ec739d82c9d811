"""What runs an exported model: TensorFlow, ONNX Runtime or LiteRT; each is imported for itself alone."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from taf_keras.errors import UserError, first_line
from taf_keras.evaluation.padding import padded
from taf_keras.serving.formats import FILES
from taf_keras.sizes import Size

SAVED_MODEL = "saved_model.pb"
RUNTIME_FILES = {"tensorflow": SAVED_MODEL, **FILES}  # runtime -> its file in the folder of an export
RUNTIMES = ("tensorflow", "onnx", "litert", "litert_int8")


class Predictor(NamedTuple):
    """An exported model that was loaded.

    Attributes:
        labels: uint8 RGB (batch, height, width, 3) -> train ids, uint8 (batch, height, width). Frames of a
            size that does not fit the network's strides are `padded`.
        size: (height, width), px, of the only frames that it takes; None is any.
    """

    labels: Callable[[np.ndarray], np.ndarray]
    size: Size | None


def check_export(model: Path, runtime: str) -> None:
    """Raises: UserError for a folder without the runtime's model; TensorFlow would say so in seconds."""
    file = RUNTIME_FILES[runtime]
    if (model / file).is_file():
        return
    inner = model / "export"
    if (inner / file).is_file():
        raise UserError(f"--model={model}: holds no exported model ({file}): give --model={inner}")
    if runtime == "tensorflow" or not (model / SAVED_MODEL).is_file():
        raise UserError(f"--model={model}: holds no exported model ({file})")
    raise UserError(
        f"--runtime={runtime}: {model} holds no {file}: `train.py --export_formats={runtime}` writes it"
    )


def load_predictor(model: Path, runtime: str) -> Predictor:
    """Raises: UserError for a model that cannot be loaded, or a runtime that is not installed."""
    load = {"tensorflow": _tensorflow, "onnx": _onnx, "litert": _litert, "litert_int8": _litert}[runtime]
    loaded = load(model / RUNTIME_FILES[runtime])
    return loaded if loaded.size else loaded._replace(labels=padded(loaded.labels, "give another --size"))


def _tensorflow(path: Path) -> Predictor:
    from taf_keras.devices import out_of_memory, prepare

    prepare()
    import tensorflow as tf

    from taf_keras.evaluation.evaluate import is_finite, load_saved, refuse_nonfinite

    loaded = load_saved(str(path.parent))
    labels_alone = loaded.signatures.get("labels")

    def labels(images):
        with out_of_memory("smaller images need less, such as by --size, or a smaller --batch_size"):
            if labels_alone is None:  # an export of an earlier version
                outputs = loaded.serve(images)
                finite = is_finite(outputs["probabilities"])
            else:
                outputs = labels_alone(images=tf.constant(images))
                finite = tf.reduce_all(outputs["finite"])
            return refuse_nonfinite(outputs["labels"], finite).astype(np.uint8, copy=False)

    (given,) = loaded.signatures["serving_default"].structured_input_signature[1].values()
    return Predictor(labels, _fixed(given.shape[1:3]))


def _onnx(path: Path) -> Predictor:
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError("--runtime=onnx: needs `pip install onnxruntime`")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, but no notes
    try:
        session = onnxruntime.InferenceSession(str(path), options)
    except Exception as error:  # it has many for a damaged file
        raise UserError(f"{path}: is damaged: {first_line(error)}") from None
    (given,) = session.get_inputs()
    # Which is which: labels have three axes, probabilities four.
    (output,) = (output.name for output in session.get_outputs() if len(output.shape) == 3)

    def labels(images):
        return session.run([output], {given.name: images.astype(np.float32)})[0].astype(np.uint8)

    return Predictor(labels, _fixed(given.shape[1:3]))


def _litert(path: Path) -> Predictor:
    try:
        with warnings.catch_warnings(action="ignore"):  # that of TensorFlow is to leave it some day
            interpreter = _interpreter()(model_path=str(path))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: is damaged: {first_line(error)}") from None
    (given,) = interpreter.get_input_details()
    (output,) = (o["index"] for o in interpreter.get_output_details() if len(o["shape"]) == 3)

    def labels(images):
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(given["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images.astype(given["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(output).astype(np.uint8)

    return Predictor(labels, _fixed(given["shape_signature"][1:3]))


def _interpreter():
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    import tensorflow as tf  # has LiteRT in it

    return tf.lite.Interpreter


def _fixed(shape) -> Size | None:
    """(height, width) of a model's input where both are known; unknown sides are None, names or −1."""
    sides = tuple(side for side in shape if isinstance(side, int | np.integer) and side > 0)
    return tuple(map(int, sides)) if len(sides) == 2 else None
