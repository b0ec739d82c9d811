"""A setting as a flag of absl: how its text is read, shown and refused."""

from __future__ import annotations

from absl import flags

from taf_keras.settings import Setting, text_of
from taf_keras.sizes import FORM, parse_size


def define(groups: dict[str, type], flag_values: flags.FlagValues) -> None:
    """Defines the flags of dataclasses of settings, which `--help` lists under their names."""
    for heading, group in groups.items():
        for own in group.SETTINGS.values():
            parser = _Parser(own)
            help = f"<{'|'.join(parser.choices)}> {own.text}" if parser.choices else own.text
            flag = flags.Flag(parser, _Serializer(), own.flag, own.default, help, boolean=own.type == "bool")
            flags.DEFINE_flag(flag, flag_values, heading)


class _Parser(flags.ArgumentParser):
    """Reads the text of a setting's values, and refuses it in words of ours. Empty text is None."""

    def __init__(self, setting: Setting):
        super().__init__()
        kind = setting.type.removesuffix(" | None")
        self.syntactic_help, self._read = _READERS[kind]
        self.choices = setting.choices if kind == "str" else ()
        self._may_be_none = kind != setting.type

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument  # a default
        if not argument and self._may_be_none:
            return None
        if self.choices and argument not in self.choices:
            raise ValueError(f"allowed are {', '.join(self.choices)}")
        try:
            return self._read(argument)
        except ValueError as error:
            raise ValueError(f"write {self.syntactic_help}" if self.syntactic_help else error) from None


class _Serializer(flags.ArgumentSerializer):
    def serialize(self, value) -> str:
        return str(value) if isinstance(value, float) else text_of(value)  # --help shows 1.0


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("write true or false")
    return text.lower() == "true"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _rates(text: str) -> tuple | str:
    if text == "auto":
        return text
    pairs = [part.rpartition("=") for part in text.split(",")]
    named = "=" in text
    if named and not all(name for name, _, _ in pairs):
        raise ValueError
    return tuple((name, float(rate)) if named else float(rate) for name, _, rate in pairs)


_READERS = {  # type: the form of the text in --help, and its reader
    "str": ("", _text),
    "bool": ("", _boolean),
    "int": ("a whole number", int),
    "float": ("a number", float),
    "tuple[int, int]": (FORM, parse_size),
    "tuple[str, ...]": ("comma-separated names", _names),
    "tuple[float, ...]": ("comma-separated numbers, such as 0.5,1,1.5", _numbers),
    "tuple[float, ...] | tuple[tuple[str, float], ...] | str": (
        "comma-separated numbers, such as 1e-4,inf,inf or NAME=number,… or auto",
        _rates,
    ),
}
