"""The kinds of value a flag takes: how each is read, shown and refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from absl import flags

flags.disclaim_key_flags()  # --help lists a flag under the module that asked for it, not under this one


class FlagDefiner:
    """Defines absl flags of a few kinds, all with the same look in `--help` and in errors.

    Every method takes the flag's name, its default (the dataclass's own, never a literal) and its help.
    `empty` says what the value is when the flag is empty (`--name=`), which is None in the config; a
    flag without it refuses to be empty. Ranges are not checked here but by the dataclass, once.
    """

    def __init__(self, flag_values: flags.FlagValues = flags.FLAGS):
        self._flag_values = flag_values

    def text(self, name: str, default, help: str, empty: str = "") -> None:
        """Any text: a name or a path."""
        self._define(name, default, help, _Parser(_text, "", "must not be empty", empty), str)

    def choice(self, name: str, default, allowed: Iterable[str], help: str, empty: str = "") -> None:
        """One of `allowed`. The refusal has the words of `taf_keras.config.require_one_of`."""
        allowed = tuple(allowed)

        def read(text: str) -> str:
            return allowed[allowed.index(text)]

        parser = _Parser(read, "", f"allowed are {', '.join(allowed)}", empty)
        self._define(name, default, f"<{'|'.join(allowed)}> {help}", parser, str)

    def integer(self, name: str, default, help: str, empty: str = "") -> None:
        self._define(name, default, help, _Parser(int, "a whole number", "", empty), str)

    def number(self, name: str, default, help: str, empty: str = "") -> None:
        self._define(name, default, help, _Parser(float, "a number", "", empty), str)

    def boolean(self, name: str, default, help: str) -> None:
        """`--name`, `--noname`, or `--name=true` and `--name=false`."""
        parser = _Parser(_boolean, "", "write true or false", "")
        self._define(name, default, help, parser, None, boolean=True)

    def rates(self, name: str, default, help: str, empty: str = "", words: tuple[str, ...] = ()) -> None:
        """Comma-separated numbers, as a tuple of floats, or NAME=number, as pairs; or one of `words`."""
        form = " or ".join(["comma-separated numbers, such as 1e-4,inf,inf", "NAME=number,…", *words])

        def read(text: str):
            return text if text in words else _rates(text)

        def write(value) -> str:
            if isinstance(value, str):
                return value
            return ",".join("=".join(map(str, r)) if isinstance(r, tuple) else str(r) for r in value)

        self._define(name, default, help, _Parser(read, form, "", empty), write)

    def names(self, name: str, default, help: str, empty: str) -> None:
        """Comma-separated names, as a tuple; empty is the empty tuple."""
        parser = _Parser(lambda text: tuple(text.split(",")), "comma-separated names", "", empty, nothing=())
        self._define(name, default, help, parser, _join(","))

    def size(self, name: str, default, help: str, empty: str = "") -> None:
        """Height and width in pixels, as a tuple of two positive ints."""
        form = "HEIGHTxWIDTH in pixels, such as 360x480"
        self._define(name, default, help, _Parser(_size, form, "", empty), _join("x"))

    def _define(self, name, default, help, parser, write: Callable | None, **kwargs) -> None:
        if parser.empty:
            help = f"{help} Empty: {parser.empty}."
        serializer = _Serializer(write) if write else None
        flags.DEFINE(parser, name, default, help, self._flag_values, serializer, **kwargs)


class _Parser(flags.ArgumentParser):
    """Reads text with `read`, a function that raises ValueError; refuses in words of ours."""

    def __init__(self, read: Callable, form: str, refusal: str, empty: str, nothing=None):
        super().__init__()
        self._nothing = nothing
        self.syntactic_help = form
        self.empty = empty
        self._read = read
        self._refusal = refusal or f"write {form}"

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument  # a default
        if not argument and self.empty:
            return self._nothing
        try:
            return self._read(argument)
        except ValueError:
            raise ValueError(self._refusal) from None


class _Serializer(flags.ArgumentSerializer):
    def __init__(self, write: Callable[..., str]):
        self._write = write

    def serialize(self, value) -> str:
        return self._write(value)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _boolean(text: str) -> bool:
    return ("false", "true").index(text.lower()) == 1


def _rates(text: str) -> tuple:
    if "=" not in text:
        return tuple(float(part) for part in text.split(","))
    pairs = [part.rpartition("=") for part in text.split(",")]
    if not all(name for name, _, _ in pairs):
        raise ValueError
    return tuple((name, float(rate)) for name, _, rate in pairs)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch("([1-9][0-9]*)x([1-9][0-9]*)", text)
    if match is None:
        raise ValueError
    return int(match[1]), int(match[2])


def _join(separator: str) -> Callable[..., str]:
    return lambda values: separator.join(map(str, values))
