"""Colours for classes that have none of their own."""

from __future__ import annotations

import colorsys


def distinct_colours(count: int) -> list[tuple[int, int, int]]:
    """So many colours (red, green, blue), 0–255, evenly spaced in hue.

    Example:
        >>> distinct_colours(3)
        [(230, 46, 46), (46, 230, 46), (46, 46, 230)]
    """
    hues = (i / count for i in range(count))
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.8, 0.9)) for hue in hues]
