"""What all backbones share: the levels of their pyramid, and where their weights come from."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Mapping

import keras

from taf_keras.config import check_weights_file
from taf_keras.errors import UserError, first_line

LEVELS = ("P2", "P3", "P4", "P5")  # Pn has a stride of 2^n, but for the stages that are dilated instead


def pyramid(
    backbone: keras.Model, taps: Mapping[str, str], preprocess: Callable | None = None
) -> keras.Model:
    """RGB float32 (batch, height, width, 3) -> {"P2": …, …, "P5": …}, the outputs of the layers `taps`."""
    levels = keras.Model(backbone.input, {level: backbone.get_layer(taps[level]).output for level in LEVELS})
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, levels(preprocess(image) if preprocess else image), name="backbone")


def load_file(backbone: keras.Model, path: str, of: str) -> keras.Model:
    """The backbone with the weights of a file. Raises: UserError where they are not those `of` it."""
    check_weights_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer, before the error that says it all
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"--backbone_weights={path}: not the weights of {of}: {first_line(error)}") from None
    return backbone


def download(make: Callable[[], keras.Model], of: str) -> keras.Model:
    """The backbone that `make` makes with its ImageNet weights. Raises: UserError where it cannot."""
    try:
        return make()
    except Exception as error:  # download errors of many types, and widths that were never trained
        raise UserError(
            f"--backbone_weights=imagenet: the weights of {of} cannot be downloaded: {first_line(error)}. "
            "Allowed without a network are random and the path of a weights file"
        ) from None
