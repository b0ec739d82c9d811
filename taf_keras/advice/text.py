"""A survey and its advice as text for people, and as values for programs."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping

import pandas as pd

from taf_keras.advice.places import NEW, SAME
from taf_keras.advice.recommend import Advice
from taf_keras.advice.survey import Survey
from taf_keras.datasets.load import evaluation_split
from taf_keras.sizes import size_text
from taf_keras.tables import aligned

_WIDTH = 98  # characters
_ORACLE = (
    "The arm `all` is the most that can be gained: labels on every frame. Where you change --epochs,\n"
    "change those of this arm by the same factor."
)
_CELLS = 4  # of the map
_CLASSES = 6
_VERDICTS = {SAME: "val shows the places of train", NEW: "val shows new places", None: "cannot tell"}


def text(found: Survey, cells: pd.DataFrame, advice: Advice, rates: Mapping[str, float] | None) -> str:
    """The whole report.

    Args:
        cells: of the map, nearest first.
        rates: change rate of each branch of a baseline, where they were measured.
    """
    data = found.data
    place = f"{data.dataset} in {data.data_dir}" if data.data_dir else data.dataset
    blocks = [
        [f"{place}, measured at {size_text(found.motion.size)} px"],
        _facts(_measured(found, rates)),
        [
            "Nearest experiments: mIoU of the baseline in %, gains in points ± s.e.; distance in octaves",
            *_table(cells),
        ],
        _facts(advice.reasons),
        [
            "This finds out on your clips; add what else you train with (--backbone_weights, …).",
            *_without_val(found),
            *([_ORACLE] if '"all: ' in advice.command else []),
            textwrap.indent(advice.command, "  "),
        ],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def values(found: Survey, cells: pd.DataFrame, advice: Advice, rates: Mapping[str, float] | None) -> dict:
    """The same for JSON: what was measured, in the units of `Survey`, the cells and the advice."""
    measured = {
        f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name not in ("data", "train")
    }
    measured |= {name: dataclasses.asdict(measured[name]) for name in ("motion", "places")}
    measured |= {"label_share": found.label_share, "motion_share_per_frame": found.motion.share_per_frame}
    return {
        "measured": measured | {"change_rates": rates},
        "cells": cells.to_dict("records"),
        "advice": dataclasses.asdict(advice),
    }


def _without_val(found: Survey) -> list[str]:
    if found.has_val:
        return []
    return [f"There is no val split: mIoU is of {evaluation_split(found.data)}. Label frames for val first."]


def _measured(found: Survey, rates: Mapping[str, float] | None) -> list[tuple[str, str]]:
    motion, places = found.motion, found.places
    of = f" (of {motion.split}, whose frames lie nearer)" if motion.split != "train" else ""
    left_out = f"; {found.bad_files} bad files are left out" if found.bad_files else ""
    fastest = list(motion.class_px.items())[:_CLASSES]
    rows = [
        ("clips", f"{len(found.train.clips)} of {found.found} of train, evenly sampled{left_out}"),
        (
            f"motion{of}",
            f"{motion.px_per_frame:.2f} px a frame, {motion.share_per_frame:.2%} of the width, by flow "
            f"over {_frames(motion.gap_frames)}, which returns on {motion.returns:.0%} of the pixels"
            f"{': not believed' if motion.doubt else ''}",
        ),
        ("classes that move", "px a frame: " + ", ".join(f"{name} {px:.2f}" for name, px in fastest)),
        ("colours", f"mean |ΔRGB| of 255 at 128 px: {_at(motion.light, '{:.1f}')} frames"),
        (
            "labels",
            f"{found.key_frames:,} key frames of {found.frames:,} frames ({found.label_share:.1%}); "
            f"{found.labelled:,} frames have labels",
        ),
        ("partners", f"{_frames(found.partner_gap)} from the key frame and more, up to {found.farthest}"),
    ]
    if found.class_change:
        changed = _at(found.class_change, "{:.1%}")
        rows.append(
            ("classes change", f"pixels of another class: {changed} frames (of {found.class_change_split})")
        )
    else:
        rows.append(("classes change", "not known: no two labelled frames lie in one clip"))
    rows.append(("places", f"{_VERDICTS[places.verdict]}: {places.reason}"))
    if rates:
        own = ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items())
        rows.append(("change rates", f"δ a frame of the baseline that stays free: {own}"))
    return rows


def _frames(count: float) -> str:
    return f"{count:g} frame{'s' if count != 1 else ''}"


def _at(figures: Mapping[int, float], form: str) -> str:
    """{1: 2.0, 5: 3.0} -> '2.0 / 3.0 at 1 / 5'."""
    return f"{' / '.join(map(form.format, figures.values()))} at {' / '.join(map(str, figures))}"


def _table(cells: pd.DataFrame) -> list[str]:
    if cells.empty:
        return ["none"]
    head = [
        "",
        "motion",
        "|ΔRGB|",
        "labels",
        "places",
        "baseline",
        "TAF",
        "all labels",
        "seeds",
        "octaves",
    ]
    rows = [
        [
            cell.cell,
            f"{cell.motion_share_per_frame:.2%}",
            f"{cell.light_change_5:.1f}",
            f"{cell.label_share:.0%}",
            cell.places,
            f"{cell.baseline:.1f}",
            f"{cell.taf:+.1f} ± {cell.taf_se:.1f}",
            f"{cell['all']:+.1f} ± {cell.all_se:.1f}",
            f"{cell.seeds:g}",
            f"{cell.distance:.1f}",
        ]
        for _, cell in cells.head(_CELLS).iterrows()
    ]
    return aligned([head, *rows])


def _facts(rows: list[tuple[str, str]]) -> list[str]:
    """Topics on the left, sentences on the right; a topic that is long has a line of its own."""
    left = 20
    lines = []
    for topic, sentences in rows:
        wrapped = textwrap.wrap(sentences, _WIDTH - left, break_long_words=False, break_on_hyphens=False)
        if len(topic) >= left:
            lines.append(topic)
            topic = ""
        lines += [
            f"{name:<{left}}{line}"
            for name, line in zip([topic, *[""] * len(wrapped)], wrapped, strict=False)
        ]
    return lines
