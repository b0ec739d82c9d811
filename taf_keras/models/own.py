"""A model of the user's own: what a function in a file returns, or a file that Keras has saved."""

from __future__ import annotations

import importlib.util
import sys

import keras

from taf_keras.config import ModelConfig
from taf_keras.errors import UserError, first_line
from taf_keras.files import sha256
from taf_keras.models import replicas
from taf_keras.models.functional import functional_fault, last_activation, regularised_layer
from taf_keras.models.layers import ResizeLike


def build_own_model(config: ModelConfig, num_classes: int) -> keras.Model:
    """The single-frame model: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size.

    Logits that are smaller than the image are upsampled to it. Under several replicas Keras' batch norm is
    synchronised.

    Raises: UserError for a file that is missing, has changed since the run began, or makes no such model.
    """
    flag, path = f"--model={config.model}", config.file
    if not path.is_file():
        raise UserError(f"{flag}: {path}: no such file")
    if config.model_sha256 not in (None, sha256(path)):
        raise UserError(f"{flag}: {path} has changed since the run began; bring back the file that it had")
    network = _from_function(config, num_classes) if config.function else _from_keras(config)
    if fault := _fault(network, num_classes):
        raise UserError(f"{flag}: {fault}")
    if replicas.are_several():  # else Keras' own statistics, which are more exact and take less time
        for layer in network._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    (image,) = network.inputs
    logits = network.outputs[0]
    if image.shape[1:3] != logits.shape[1:3] or image.shape[1:3] == (None, None):
        logits = ResizeLike(name="full_size_logits", dtype="float32")([logits, image])
    elif not isinstance(network.output, list | tuple):
        return network
    return keras.Model(image, logits, name=network.name)


def _from_function(config: ModelConfig, num_classes: int):
    flag, path = f"--model={config.model}", config.file
    name = f"taf_keras_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what it registers with Keras, and pickles, looks for it there
    sys.path.insert(0, str(path.parent))  # its neighbours
    try:
        spec.loader.exec_module(module)
        function = getattr(module, config.function, None)
        if not callable(function):
            raise UserError(f"{flag}: {path} has no function {config.function}")
        return function(num_classes)
    except (ImportError, SyntaxError) as error:
        raise UserError(f"{flag}: {path} cannot be imported: {first_line(error)}") from None
    finally:
        sys.path.remove(str(path.parent))


def _from_keras(config: ModelConfig):
    try:
        return keras.models.load_model(config.file, compile=False, safe_mode=True)
    except Exception as error:  # Keras has many for a file that it cannot read
        raise UserError(
            f"--model={config.model}: Keras cannot load it in safe mode: {first_line(error)}; layers of "
            "your own need the form FILE.py:FUNCTION"
        ) from None


def _fault(network, num_classes: int) -> str | None:
    if fault := functional_fault(network):
        return fault
    (image,), (logits,) = network.inputs, network.outputs
    if len(image.shape) != 4 or image.shape[3] != 3:
        return f"takes {image.shape}, must take RGB (batch, height, width, 3)"
    if len(logits.shape) != 4 or logits.shape[3] != num_classes:
        return f"returns {logits.shape}, must return logits (batch, height, width, {num_classes})"
    if end := last_activation(logits):
        return f"ends with a {end}, must return logits: the loss and the export take their softmax"
    if (layer := regularised_layer(network)) is not None:
        return f"layer {layer.name!r}: its activity_regularizer is not added to the loss here: leave it out"
    return None
