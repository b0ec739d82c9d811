"""The page: what `view.html.jinja` shows, from the clips that were drawn."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import ClassTable, Clip
from taf_keras.evaluation.confusion import summarise
from taf_keras.files import write_bytes
from taf_keras.pages.environment import environment
from taf_keras.viewer.drawing import Drawn
from taf_keras.viewer.folder import GENERATOR
from taf_keras.viewer.pictures import VOID_COLOUR, WRONG_COLOUR


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip of the page.

    Attributes:
        position: in its split.
        matrix: confusion matrix of the key frame (classes, classes), the truth in rows.
        pictures: their folder, seen from the page.
    """

    clip: Clip
    position: int
    matrix: np.ndarray
    pictures: str
    drawn: Drawn


def write_page(
    path: Path,
    title: str,
    source: Path,
    chosen: str,
    results: dict,
    classes: ClassTable,
    shown: Sequence[Shown],
) -> None:
    """Writes the page, whose clips are in order from the worst pixel accuracy of a key frame to the best.

    Args:
        source: the weights.
        chosen: in words, which clips are shown.
        results: the figures of the whole split (`evaluate.metrics`).
    """
    templates = environment(Path(__file__).parent)
    templates.filters["percent"] = _percent
    script = templates.get_template("view.js").render()
    clips = sorted((_clip(own, classes) for own in shown), key=lambda own: own["accuracy"])
    text = templates.get_template("view.html.jinja").render(
        title=title,
        generator=GENERATOR,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        source=source,
        chosen=chosen,
        results=results,
        clips=clips,
        slides=any(len(own["offsets"]) > 1 for own in clips),
        wrong=_css(WRONG_COLOUR),
        void=_css(VOID_COLOUR),
    )
    write_bytes(path, text.encode("utf-8", errors="replace"))  # a file's name need not be text


def _clip(shown: Shown, classes: ClassTable) -> dict:
    values, drawn = summarise(shown.matrix.astype(np.float64)), shown.drawn
    iou = values["per_class_iou"]
    return {
        "name": shown.clip.name,
        "position": shown.position,
        "pictures": shown.pictures,
        "height": drawn.size[0],
        "width": drawn.size[1],
        "offsets": drawn.offsets,
        "labelled": drawn.labelled,
        "key": drawn.offsets.index(0),
        "key_number": shown.clip.key_number,
        "accuracy": float(values["pixel_accuracy"]),
        "miou": float(values["miou"]),
        "legend": [(classes.names[i], _css(classes.colours[i]), float(iou[i])) for i in drawn.train_ids],
    }


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def _css(colour: Sequence[int]) -> str:
    return f"#{bytes(colour).hex()}"
