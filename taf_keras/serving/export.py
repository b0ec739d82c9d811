"""The trained model as a SavedModel for single frames, and as a file for other runtimes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.exported_classes import write_classes
from taf_keras.errors import ArgumentError, UserError, first_line
from taf_keras.files import replaced, unfinished
from taf_keras.serving.formats import FILES
from taf_keras.serving.labels import labels_of
from taf_keras.serving.quantised import converter_settings
from taf_keras.sizes import Size, size_text


def export_model(network: keras.Model, classes: ClassTable, folder: Path, size: Size | None = None) -> None:
    """Writes a SavedModel with the endpoint `serve` that `network_export.export` describes.

    The signatures are `serving_default` (uint8) and `serve_float32`, both of one input, `images`, frames of
    every size that the network takes; and `labels` (uint8) of the same input, which returns the labels alone
    and takes far less memory for large frames, see `labels_of`. `exported_classes` has the class names,
    colours and `size`. The folder gets its name only when the export is complete.

    Args:
        size: (height, width) of the frames that it was trained on, px. They alone are served where the
            network's layers need to know one, as some of Keras' do (UpSampling2D); a line says so.
    Raises: ArgumentError for such a network where `size` is None.
    """

    def outputs(images):
        logits = tf.cast(network(images, training=False), tf.float32)  # of half precision, too
        return {
            "probabilities": tf.nn.softmax(logits),
            "labels": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    def traced(shape) -> tuple[Callable, dict]:
        spec = {dtype: tf.TensorSpec(shape, dtype, name="images") for dtype in (tf.uint8, tf.float32)}
        of_floats = tf.function(outputs).get_concrete_function(spec[tf.float32])

        @tf.function
        def serve(images):  # TensorFlow traces it for both types, and again when it saves: not the network
            return of_floats(tf.cast(images, tf.float32))

        return serve, {
            "serving_default": serve.get_concrete_function(spec[tf.uint8]),
            "serve_float32": serve.get_concrete_function(spec[tf.float32]),
            "labels": labels.get_concrete_function(spec[tf.uint8]),
        }

    labels = tf.function(labels_of(network))
    shape = network.inputs[0].shape  # any size, but for a user's model of a fixed one
    try:
        serve, signatures = traced(shape)
    except Exception as error:  # of many types, from whatever layer it is
        if None not in shape[1:3]:
            raise
        if size is None:
            raise ArgumentError(
                f"{network.name} has layers that need to know the size of the frames: give image_size, that "
                "of the training"
            ) from error
        serve, signatures = traced((None, *size, 3))
        alone = f"takes frames of {size_text(size)} px alone"
        print(f"export  {alone}: {network.name} has layers that need to know it")
    module = tf.Module()
    module.network_variables = [variable.value for variable in network.variables]
    module.serve = serve

    temporary = unfinished(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    tf.saved_model.save(module, str(temporary), signatures=signatures)
    write_classes(temporary, classes, size)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def export_formats(
    load_network: Callable[[], keras.Model],
    folder: Path,
    formats: Iterable[str],
    frames: Callable[[], Iterator[np.ndarray]] | None = None,
) -> dict[str, str]:
    """Writes the files of `formats.FILES`: frames to the outputs of `serve`.

    Of `litert` and `onnx` frames are float32, of `litert_int8` uint8. A format that fails stops no other and
    leaves no file.

    Args:
        load_network: makes the network, in float32: interpreters of half precision lack operations.
        folder: that of the exported model.
        frames: for `litert_int8`, as `quantised.representative_frames` makes them.
    Returns: what was wrong, for each format that failed.
    """
    failed = {}
    for name in formats:
        path = folder / FILES[name]
        try:
            # A network of its own for each: a converter may leave its traces in a model.
            model = _single_file_model(load_network())
            with replaced(path, path.with_name(f".unfinished.{path.name}")) as temporary:
                kind, _, integers = name.partition("_")
                settings = converter_settings(frames) if integers else {}
                model.export(str(temporary), format=kind, verbose=False, **settings)
        except UserError:
            raise
        except Exception as error:  # a converter may fail in any way
            failed[name] = f"{type(error).__name__}: {first_line(error)}"
    return failed


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
        "labels": Labels(dtype="float32", name="labels")(network.output),
    }
    model = keras.Model(network.input, outputs)
    size = [side or 64 for side in network.inputs[0].shape[1:3]]
    model(np.zeros((1, *size, 3), np.float32))  # ONNX can be written of a model that was called
    return model
