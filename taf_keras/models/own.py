"""A model of the user's own: what a function in a file returns, or a file that Keras has saved."""

from __future__ import annotations

import importlib.util
import sys

import keras

from taf_keras.config import ModelConfig
from taf_keras.errors import UserError, first_line
from taf_keras.files import sha256
from taf_keras.models.layers import ResizeLike


def build_own_model(config: ModelConfig, num_classes: int) -> keras.Model:
    """The single-frame model: RGB (batch, height, width, 3) in [0, 255] -> logits at the same size.

    Logits that are smaller than the image are upsampled to it.

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
    if not isinstance(network, keras.Model) or not getattr(network, "inputs", None):
        return f"made a {type(network).__name__}, must be a functional keras.Model"
    if has_own_call(network):
        return (
            f"made a {type(network).__name__} with a call() of its own, must be keras.Model(inputs, outputs)"
        )
    inputs, outputs = network.inputs, network.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        return f"has {len(inputs)} inputs and {len(outputs)} outputs, must have one of each"
    if isinstance(network.output, dict):
        return "returns a dict, must return the logits themselves"
    image, logits = inputs[0].shape, outputs[0].shape
    if len(image) != 4 or image[3] != 3:
        return f"takes {image}, must take RGB (batch, height, width, 3)"
    if len(logits) != 4 or logits[3] != num_classes:
        return f"returns {logits}, must return logits (batch, height, width, {num_classes})"
    if _is_softmax(outputs[0]):
        return "ends with a softmax, must return logits: the loss and the export take their softmax"
    return None


def has_own_call(model: keras.Model) -> bool:
    """Whether its class has a `call` of the user's, which Keras calls in place of the graph."""
    owner = next(base for base in type(model).__mro__ if "call" in vars(base))
    return not owner.__module__.startswith("keras.")


def _is_softmax(tensor) -> bool:
    """Whether the operation that makes a symbolic tensor, inside nested models too, ends with a softmax."""
    operation = tensor._keras_history.operation
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return _is_softmax(operation.outputs[tensor._keras_history.tensor_index])
    activation = getattr(operation, "activation", None)
    return type(operation).__name__ == "Softmax" or activation is keras.activations.softmax
