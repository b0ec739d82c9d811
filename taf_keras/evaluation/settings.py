"""A configuration as the flags of train.py: what distinguishes runs, and how to repeat one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from taf_keras.config import Config, flag_name

_SIZES = ("image_size", "crop_size")


def settings(config: Config) -> dict[str, str]:
    """{flag: its text} of every setting on which the result depends; without the seed."""
    values = {}
    for group in fields(config):
        if group.name == "runtime":
            continue
        for field in fields(group.default_factory):
            name = flag_name(group.name, field.name)
            if name != "seed":
                values[name] = _text(name, getattr(getattr(config, group.name), field.name))
    return values


def differing(several: Sequence[dict[str, str]]) -> list[str]:
    """The names of the settings that are not the same in all."""
    return [name for name in several[0] if len({own[name] for own in several}) > 1] if several else []


def changed(values: dict[str, str]) -> dict[str, str]:
    """Those of the settings that are not the defaults."""
    default = settings(Config())
    return {name: text for name, text in values.items() if text != default[name]}


def as_flags(values: dict[str, str]) -> list[str]:
    """{flag: its text} as words of a command line."""
    return [f"--{name}={text}" for name, text in values.items()]


def _text(name: str, value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ("x" if name in _SIZES else ",").join(_text("", part) for part in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
