"""Which clips a page shows, and which of their frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taf_keras.clips.subset import evenly_spaced


def chosen_clips(accuracy: np.ndarray, most: int) -> tuple[list[int], str]:
    """Positions of at most so many clips, ascending, and in words which they are.

    All of them, or else a third each: the worst, those around the median, and the best.

    Args:
        accuracy: of the key frame of each clip, float (clips,); NaN where it has no labelled pixel.
    """
    order = [int(i) for i in np.argsort(accuracy, kind="stable") if np.isfinite(accuracy[i])]
    if len(order) <= most:
        return sorted(order), "all"
    worst = -(-most // 3)
    best = -(-(most - worst) // 2)
    middle = most - worst - best
    begin = min(max(worst, (len(order) - middle) // 2), len(order) - best - middle)
    chosen = order[:worst] + order[begin : begin + middle] + order[len(order) - best :]
    parts = {"worst": worst, "around the median": middle, "best": best}
    return sorted(chosen), ", ".join(f"{count} {name}" for name, count in parts.items() if count)


def chosen_offsets(offsets: Sequence[int], most: int) -> list[int]:
    """At most so many of the offsets n, evenly over all of them, 0 among them; ascending."""
    chosen = evenly_spaced(offsets, most)
    if 0 not in chosen:
        chosen[min(range(len(chosen)), key=lambda i: abs(chosen[i]))] = 0
    return chosen
