"""The map of experiments as a figure: `python -m docs.gain_map` draws docs/results/map.png.

Of taf_keras/advice/map.csv: what TAF and what labels on every frame gained, against how far pixels move.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from taf_keras import command
from taf_keras.advice.nearest import read_map
from taf_keras.advice.places import SAME
from taf_keras.evaluation.charts import COLOURS, new_chart, save_chart

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "results" / "map.png"
_GAINS = {"all": "labels on every frame", "taf": "TAF"}


def figure(cells: pd.DataFrame):
    """Gains with error bars; the marker tells the places of val, its size the share of labelled frames."""
    plot, axes = new_chart(
        "",
        "motion, % of the width a frame",
        "gain on the baseline, points of mIoU ± standard error",
        (8, 4.8),
    )
    axes.axhline(0, color="#888888", linewidth=1)
    percent = 100 * cells.motion_share_per_frame
    twins = cells.groupby("motion_share_per_frame").cumcount()  # whose error bars stand beside each other
    apart = max(1.02, (percent.max() / percent.min()) ** (1 / 40))
    for i, (_, cell) in enumerate(cells.iterrows()):
        at = percent.iloc[i] * apart ** (3 * twins.iloc[i])
        for j, gain in enumerate(_GAINS):
            axes.errorbar(
                at * apart**j,
                cell[gain],
                cell[f"{gain}_se"],
                color=COLOURS[j],
                marker="o" if cell.places == SAME else "D",
                markersize=5 + 8 * cell.label_share**0.5,
                fillstyle="full" if cell.places == SAME else "none",
                capsize=3,
            )
        top = np.nanmax([0.0, *(cell[gain] + cell[f"{gain}_se"] for gain in _GAINS)])
        axes.annotate(
            cell.cell, (at, top), (0, 5), textcoords="offset points", rotation=35, fontsize=8, clip_on=False
        )
    axes.set_xscale("log")
    axes.margins(0.15, 0.2)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if percent.min() / 2 < tick < percent.max() * 2]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    for j, name in enumerate(_GAINS.values()):
        axes.plot([], [], color=COLOURS[j], marker="s", linestyle="", label=name)
    for marker, fill, name in (("o", "full", "same places"), ("D", "none", "new places")):
        axes.plot([], [], color="#444444", marker=marker, fillstyle=fill, linestyle="", label=name)
    axes.plot([], [], linestyle="", label="size: share of frames with labels")
    axes.legend(frameon=False, fontsize=8)
    return plot


def main(arguments: list[str] | None = None) -> None:
    def write() -> None:
        command.Options("docs.gain_map", __doc__).parse_args(arguments)
        save_chart(figure(read_map()), PICTURE)
        print(f"wrote {PICTURE}")

    command.run(write)


if __name__ == "__main__":
    main()
