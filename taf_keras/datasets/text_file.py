"""Text and JSON that others wrote: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

from taf_keras.errors import UserError, first_line


def read_text(path: Path, must_hold: str) -> str:
    """The text of a UTF-8 file, without the byte order mark that it may begin with."""
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {must_hold}") from None
    if not data.strip():
        raise UserError(f"{path}: is empty; {must_hold}")
    fault, at = "has a NUL byte", data.find(b"\0")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        fault, at = "is not UTF-8", error.start
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise UserError(f"{path}:{line}: {fault}")
    return text


def parse_json(text: str, place, on_object: Callable | None = None):
    """What a JSON text holds. Raises: UserError that names `place` where it is none.

    Args:
        on_object: the list of (key, value) of an object -> what stands for it.
    """
    try:
        return json.loads(text, object_pairs_hook=on_object)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}:{error.lineno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{place}: cannot be read: {first_line(error)}") from None
