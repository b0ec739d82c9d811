"""Charts in one style: colours that the colour-blind can tell apart, units on the axes, error bars."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

# Okabe and Ito's palette, with a marker for each colour, so that print in grey still tells them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def series_style(index: int) -> dict:
    """Colour and marker of the series number `index`, as keyword arguments of matplotlib's `plot`."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": _MARKERS[index % len(_MARKERS)]}


def new_chart(title: str, xlabel: str, ylabel: str, size_inches=(6.4, 4.2)):
    """An empty chart: (figure, axes) of matplotlib. Labels hold the units."""
    figure, axes = new_figure(figsize=size_inches)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def new_figure(*args, **kwargs):
    """(figure, axes) of matplotlib's `subplots`, with these arguments; it is for files alone.

    Text is shown as it is: a logarithmic axis needs a formatter that writes no formulas.
    """
    import matplotlib

    matplotlib.use("Agg")  # no display is needed
    matplotlib.rcParams["text.parse_math"] = False  # in a name, $ begins no formula
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(*args, layout="constrained", **kwargs)
    for each in figure.axes:
        each.grid(alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_chart(figure, path: Path, tensorboard: Path | None = None, dpi: int = 120) -> Path:
    """Writes the figure as PNG, and as an image named after the file to TensorBoard; closes it."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
    if tensorboard is not None:
        log_picture(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), path.stem, tensorboard)
    return path


def log_picture(picture: np.ndarray, name: str, tensorboard: Path) -> None:
    """Writes one uint8 RGB picture (height, width, 3) to the TensorBoard folder `tensorboard`."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(tensorboard))
    with writer.as_default(step=0):
        tf.summary.image(name, picture[None])
    writer.close()
