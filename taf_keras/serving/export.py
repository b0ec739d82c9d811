"""The trained model as a SavedModel for single frames."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError

CLASSES_FILE = Path("assets.extra") / "classes.json"  # TensorFlow sets this folder aside for such files


_FILES = {"litert": "model.tflite", "onnx": "model.onnx"}


def export_model(network: keras.Model, classes: ClassTable, folder: Path, formats=()) -> None:
    """Writes a SavedModel whose endpoint `serve` maps frames to probabilities and labels.

    `serve` takes RGB frames (batch, height, width, 3) in [0, 255], uint8 or float32, of any size, and
    returns {"probabilities": float32 (batch, height, width, classes), "labels": int32 (batch, height,
    width)}. It refuses all else, and says what is allowed. Preprocessing is inside. The signatures are
    `serving_default` (uint8) and `serve_float32`. `assets.extra/classes.json` holds the class names and
    colours.

    `formats` adds model.tflite (`litert`) and model.onnx (`onnx`): float32 frames to the same outputs.

    The folder gets its name only when the export is complete.
    """

    @tf.function
    def serve(images):
        logits = network(tf.cast(_checked(images), tf.float32), training=False)
        return {
            "probabilities": tf.nn.softmax(logits),
            "labels": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    # TensorFlow holds `serve` to these shapes and dtypes by itself, but a signature to its dtype alone: so
    # signatures are of any shape, which the graph then looks at.
    for dtype in (tf.uint8, tf.float32):
        serve.get_concrete_function(tf.TensorSpec((None, None, None, 3), dtype, name="images"))
    any_shape = tf.function(serve.python_function)
    frames = {
        dtype: any_shape.get_concrete_function(tf.TensorSpec(None, dtype, name="images"))
        for dtype in (tf.uint8, tf.float32)
    }
    module = tf.Module()
    module.network_variables = [variable.value for variable in network.variables]
    module.serve = serve

    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    signatures = {"serving_default": frames[tf.uint8], "serve_float32": frames[tf.float32]}
    tf.saved_model.save(module, str(temporary), signatures=signatures)
    (temporary / CLASSES_FILE).parent.mkdir(exist_ok=True)
    (temporary / CLASSES_FILE).write_text(
        json.dumps({"names": classes.names, "colours": classes.colours}, indent=2) + "\n"
    )
    for name in formats:
        _single_file_model(network).export(str(temporary / _FILES[name]), format=name, verbose=False)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def _checked(images):
    """The same images, known to be (batch, height, width, 3), once a graph with them has looked."""
    shape = tf.shape(images)
    fits = (tf.size(shape) == 4) & tf.reduce_all(shape >= 1) & tf.reduce_all(shape[-1:] == 3)
    message = "images must be RGB frames (batch, height, width, 3), each 1 or more, not of shape"
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, shape], summarize=8)]):
        return tf.ensure_shape(tf.identity(images), (None, None, None, 3))


def check_formats(formats) -> None:
    """Raises: UserError where a format needs a package that is not installed."""
    if "onnx" in formats:
        missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"--export_formats=onnx: needs `pip install {' '.join(missing)}`")


@keras.saving.register_keras_serializable("taf_keras")
class Labels(keras.layers.Layer):
    """Class of the largest score, int32. (keras.ops.argmax needs operations that LiteRT lacks.)"""

    def call(self, scores):
        return tf.argmax(scores, axis=-1, output_type=tf.int32)

    def compute_output_spec(self, scores):
        return keras.KerasTensor(scores.shape[:-1], dtype="int32")


def _single_file_model(network: keras.Model) -> keras.Model:
    outputs = {
        "probabilities": keras.layers.Softmax(dtype="float32", name="probabilities")(network.output),
        "labels": Labels(name="labels")(network.output),
    }
    return keras.Model(network.input, outputs)
