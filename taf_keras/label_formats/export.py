"""What the export of every annotation tool becomes: class names, and a label map for each image."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from taf_keras.errors import BadFileError, UserError, first_line
from taf_keras.sizes import Size

UNLABELLED = 254  # pixels that nobody has labelled; VOID, 255, are those that were meant to count for nothing
MOST_CLASSES = UNLABELLED
MOST_PIXELS = 178_956_970  # of one image; Pillow warns above

Colour = tuple[int, int, int]
# What code meets that takes a stranger's JSON or XML for what its format says; the last are of PNGs in them.
_DAMAGE = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError),
    *(OSError, SyntaxError, struct.error, Image.DecompressionBombError),
)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One labelled image of an export.

    Attributes:
        name: the image's, with the folder and the suffix that the export gives it.
        read: the label map, uint8 (height, width): positions of classes, UNLABELLED or VOID. It raises
            BadFileError where it cannot be had.
        picture: the image itself, where the export has it.
    """

    name: str
    read: Callable[[], np.ndarray]
    picture: Path | None = None


@dataclass(eq=False)
class Export:
    """All that is used of an export.

    Attributes:
        classes: name -> (red, green, blue), or None where the export has no colour.
        images: those with labels.
        said: what a user should know -> how often, such as 'polyline: not used'.
        left_out: what should have been used and cannot be.
    """

    classes: dict[str, Colour | None]
    images: list[LabelledImage] = field(default_factory=list)
    said: Counter = field(default_factory=Counter)
    left_out: list[BadFileError] = field(default_factory=list)

    def add(self, name: str, read: Callable[[], np.ndarray], picture: Path | None = None) -> None:
        self.images.append(LabelledImage(name, read, picture))


def class_name(text, place) -> str:
    """The name of a class on one line. Raises: UserError where there is none."""
    name = " ".join(str(text).split())
    if not name or not isinstance(text, str):
        raise UserError(f"{place}: {text!r}: is no name of a class")
    return name


def image_size(height, width) -> Size:
    """The size that an export gives an image. Raises: ValueError for one that cannot be."""
    size = (int(height), int(width))
    if not (min(size) >= 1 and size[0] * size[1] <= MOST_PIXELS):
        raise ValueError(f"an image of {height}x{width} px is not read")
    return size


@contextmanager
def as_written(place, tool: str) -> Iterator[None]:
    """Inside, whatever is not where `tool` puts it is a BadFileError that names `place`."""
    try:
        yield
    except _DAMAGE as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else first_line(error)
        raise BadFileError(place, f"is not as {tool} writes it: {reason}") from None
