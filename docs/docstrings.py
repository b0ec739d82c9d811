"""Docstrings of the library as the site shows them: an extension of griffe, with which mkdocstrings reads."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import griffe

_WORD = re.compile(r"^(Returns|Yields|Raises): (?=\S)", re.MULTILINE)
_LIST = re.compile(r"^(\S+ .*:)\n((?: {4,}\S.*\n?)+)", re.MULTILINE)  # of names, below more than one word


class HouseStyle(griffe.Extension):
    """Makes of the house's docstrings what griffe knows.

    `Returns: what` and `Raises: what` on one line become a paragraph each. Names below a sentence become a
    list. `Example:` becomes griffe's word for code that is no Markdown.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            text = _LIST.sub(_as_list, _WORD.sub(r"\n**\1:** ", obj.docstring.value))
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)

    def on_class(self, *, cls: griffe.Class, **kwargs) -> None:
        """Settings describe themselves when they are imported: `{bound}` becomes what is allowed."""
        if cls.path.startswith("taf_keras.config.") and cls.docstring:
            sys.path.insert(0, str(Path(__file__).parents[1]))
            cls.docstring.value = inspect.getdoc(getattr(import_module("taf_keras.config"), cls.name))


def _as_list(match: re.Match) -> str:
    items = re.sub(r"^ {4}(\S[^:\n]*):", r"- `\1`:", match[2], flags=re.MULTILINE)
    return f"{match[1]}\n\n{items}\n"
