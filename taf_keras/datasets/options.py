"""Settings of a data set as options of a command, with the names and words of train.py's flags."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields
from functools import partial

from taf_keras.config import DataConfig
from taf_keras.errors import require
from taf_keras.settings import text_of
from taf_keras.sizes import Size, size_option


def add_data_options(options: ArgumentParser, *names: str, **changed: dict) -> None:
    """An option for each of these fields of DataConfig; `changed` has arguments of add_argument, by field."""
    for name in names:
        own = DataConfig.SETTINGS[name]
        reader = _READERS.get(name) or _TYPES[own.type.removesuffix(" | None")]
        how = {"action": "store_true"} if reader is bool else {"default": own.default, "type": reader}
        how |= {"metavar": "|".join(own.choices)} if own.choices else {}
        default = f" ({text_of(own.default)})" if own.default else ""
        help = (own.text + default).replace("%", "%%")
        options.add_argument(f"--{own.flag}", **{"help": help} | how | changed.get(name, {}))


def data_config(options: Namespace) -> DataConfig:
    """The settings that the options give. Raises: UserError for what cannot be."""
    names = {field.name for field in fields(DataConfig)}
    return DataConfig(**{name: value for name, value in vars(options).items() if name in names})


def _size(text: str) -> Size | None:
    return size_option("image_size", text, partial(require, False))


_READERS = {"image_size": _size}
_TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}
