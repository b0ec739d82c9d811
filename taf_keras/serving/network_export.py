"""The export of a segmentation network, for the library's users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.palette import distinct_colours
from taf_keras.errors import ArgumentError
from taf_keras.models.functional import functional_fault, last_activation


def export(
    network: keras.Model,
    folder: str,
    classes: Sequence[str] | ClassTable,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Writes a network as a SavedModel for single frames, as `train.py` does; TAF leaves no trace in it.

    `serve` takes RGB frames (batch, height, width, 3) in [0, 255], uint8 or float32, and returns
    {"probabilities": float32 (batch, height, width, classes), "labels": int32 (batch, height, width)}.
    `python -m taf_keras.predict --model=FOLDER` reads it. (For other outputs, such as a depth, there
    is Keras' own `network.export`.)

    Args:
        network: RGB frames -> logits (batch, height, width, classes), such as `TAF(…).network`.
        folder: a new one, or that of an earlier export, which is replaced when this one is complete.
        classes: their names, or a table with names and colours.
        image_size: (height, width) of the frames that it was trained on, px. The export keeps it, and
            `taf_keras.predict` shows the network all frames at that size. Where it is None and the network
            takes every size, frames are shown as large as they are, unless `--size` says another.
    Raises: ArgumentError for a network that is not functional or ends with a softmax or a sigmoid, a number
        of classes that it does not have, an `image_size` that it does not take, or None where its layers need
        one, a folder that holds anything else, or another backend than TensorFlow.

    Example:
        >>> image = keras.Input((None, None, 3))
        >>> network = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
        >>> export(network, "exported", ["road", "car"])
    """
    if fault := functional_fault(network):
        raise ArgumentError(f"network: {fault}; of a TAF it is TAF(…).network")
    if end := last_activation(network.outputs[0]):
        raise ArgumentError(
            f"network: ends with a {end}, and the export adds a softmax: give it without, as logits"
        )
    if keras.backend.backend() != "tensorflow":
        raise ArgumentError(
            f"export: a SavedModel needs TensorFlow, and Keras runs on {keras.backend.backend()}: save the "
            "network by network.save(FILE.keras), and load it under KERAS_BACKEND=tensorflow"
        )
    from taf_keras.serving.export import export_model

    if not isinstance(classes, ClassTable):
        classes = ClassTable(tuple(classes), tuple(distinct_colours(len(classes))))
    outputs = network.outputs[0].shape[-1]
    if outputs != len(classes):
        raise ArgumentError(f"classes: {len(classes)} are named, and the network has {outputs} outputs")
    path = Path(folder).resolve()
    if path.exists() and not (path / "saved_model.pb").is_file() and not _is_empty(path):
        raise ArgumentError(f"folder={folder!r}: holds something else; allowed is a new one, or an export")
    export_model(network, classes, path, _trained_size(network, image_size))


def _trained_size(network: keras.Model, image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    fixed = network.inputs[0].shape[1:3]
    if image_size is None:
        return None if None in fixed else fixed
    size = tuple(map(int, image_size))
    fits = len(size) == 2 and all(
        side > 0 and own in (None, side) for own, side in zip(fixed, size, strict=True)
    )
    if not fits:
        allowed = "×".join("any" if side is None else str(side) for side in fixed)
        raise ArgumentError(f"image_size={image_size}: the network takes (height, width) of {allowed} px")
    return size


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
