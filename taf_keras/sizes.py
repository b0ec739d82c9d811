"""HEIGHTxWIDTH: how sizes of images are written and read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

Size = tuple[int, int]  # (height, width), px
FORM = "HEIGHTxWIDTH in pixels, such as 360x480"


def parse_size(text: str) -> Size:
    """'360x480' -> (360, 480). Raises: ValueError for another form."""
    match = re.fullmatch("([1-9][0-9]{0,8})x([1-9][0-9]{0,8})", text)
    if match is None:
        raise ValueError(f"{text}: write {FORM}")
    return int(match[1]), int(match[2])


def size_text(size: Size) -> str:
    """(360, 480) -> '360x480'."""
    return "x".join(map(str, size))


def size_option(name: str, text: str | None, refuse: Callable[[str], NoReturn]) -> Size | None:
    """The size that an option gives, None where it gives none. `refuse` takes what is wrong with it."""
    try:
        return parse_size(text) if text else None
    except ValueError as error:
        refuse(f"--{name}={error}")
