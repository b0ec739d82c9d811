"""A setting says once its default, bound, unit, text and origin; check, flag, help and tables use that."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taf_keras.errors import FIELDS, require, require_one_of
from taf_keras.sizes import size_text


@dataclass(frozen=True)
class Bound:
    """Which values are allowed, in words and as a predicate."""

    words: str = ""  # with a place for the {unit} if a refusal says it
    allows: Callable[[Any], bool] = lambda _: True
    brief: str = ""  # the words of the help, if it says less
    of: str = ""  # what of the value is bounded


ANY = Bound()


@dataclass(frozen=True)
class Setting:
    """A field, and what its check, its flag and its documentation need beside it."""

    field: str
    type: str  # as the source has it
    default: Any
    description: str  # with {bound}, {brief} or {values} where it says what is allowed
    flag: str  # its name
    bound: Bound = ANY
    choices: tuple[str, ...] = ()  # all values, or all items of a list of names
    values: str = ""  # in words, if they are no choices
    unit: str = ""

    @property
    def text(self) -> str:
        """The description, with the words of what is allowed."""
        words, values = self.bound.words.format(unit=""), self.values or ", ".join(self.choices)
        text = " ".join(self.description.split())
        return text.format(bound=words, brief=self.bound.brief or words, values=values)

    def check(self, value) -> None:
        """Raises: UserError that names the flag and its value, and says what is allowed."""
        if value is None and self.type.endswith(" | None"):
            return
        for item in (value if self.type == "tuple[str, ...]" else (value,)) if self.choices else ():
            require_one_of(self.flag, item, self.choices)
        words = self.bound.words.format(unit=self.unit and f" {self.unit}")
        require(self.bound.allows(value), f"--{self.flag}={value}: {self.bound.of}must be {words}")


def setting(default, bound: Bound = ANY, **facts) -> Any:
    """A field of a dataclass of settings; `facts` are those of `Setting`."""
    return dataclasses.field(default=default, metadata={"setting": {"bound": bound} | facts})


def described(group: type) -> type:
    """A dataclass that describes its fields under `Attributes:` of its docstring.

    `group.SETTINGS` is then {field: Setting}, of all fields that `setting` has made; others have no flag.
    """
    head, _, attributes = inspect.cleandoc(group.__doc__ or "").partition("Attributes:\n")
    texts = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE))
    group.SETTINGS = {
        f.name: Setting(f.name, f.type, f.default, texts.get(f.name, ""), **{"flag": f.name} | facts)
        for f in dataclasses.fields(group)
        if (facts := f.metadata.get("setting"))
    }
    FIELDS.update({own.flag: name for name, own in group.SETTINGS.items() if own.flag != name})
    texts |= {name: own.text for name, own in group.SETTINGS.items()}
    wrapper = textwrap.TextWrapper(106, initial_indent=" " * 4, subsequent_indent=" " * 8)
    lines = [wrapper.fill(f"{name}: {text}") for name, text in texts.items()]
    group.__doc__ = "\n".join([f"{head}Attributes:", *lines])
    return group


def check(values) -> None:
    """UserError unless each setting of a dataclass has, for itself, a value that is allowed."""
    for own in values.SETTINGS.values():
        own.check(getattr(values, own.field))


def text_of(value) -> str:
    """A value as its flag has it: 0.5, true, 360x480, 1e-06,inf or NAME=1e-06,…; None is empty."""
    if isinstance(value, tuple):
        if [type(item) for item in value] == [int, int]:
            return size_text(value)
        return ",".join("=".join(map(text_of, v)) if isinstance(v, tuple) else text_of(v) for v in value)
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
