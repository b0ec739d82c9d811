"""Which classes the training labels show: what training cannot learn, or has been told wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable, Split
from taf_keras.errors import UserError

_SHOWN = 8  # absent classes that are named


def require_several_classes(split: Split) -> None:
    """UserError where the labels show one class alone beside void; the table has several (`load_split`).

    Such a training ends with a perfect score and has learnt nothing. Most often masks of 0 and 255 are meant
    to have two classes, and 255 counts as void.
    """
    classes, absent = split.classes, split.absent_ids
    present = np.setdiff1d(range(len(classes)), absent)
    if len(present) > 1:
        return
    has_void, count = split.label_pixels[:, -1].any(), len(split.clips)
    ids = f"label maps must hold the ids of the classes, {_described(classes, range(len(classes)))}"
    raise UserError(
        f"split {split.name}: its {f'{count:,} label maps hold' if count > 1 else 'label map holds'} "
        f"{_described(classes, present)}{' and void' if has_void else ''} alone, no pixel of "
        f"{_described(classes, absent)}: there is nothing to tell apart; "
        + (_instead_of_void(classes, absent) if has_void else ids)
    )


def absence_warning(split: Split, everywhere: np.ndarray | None = None) -> str | None:
    """A sentence on the classes of which the training labels have no pixel; None where they have all.

    Where class 0 is one of them, and has no pixel elsewhere either, ids may begin at 1: with the last class
    absent none is out of range then, and every pixel counts as a neighbour of its class.

    Args:
        everywhere: int (classes + 1,), label pixels of all splits together, where they are known.
    """
    absent = split.absent_ids
    if not len(absent):
        return None
    text = (
        f"the training labels have no pixel of {_described(split.classes, absent)}: "
        f"the model cannot learn {'it' if len(absent) == 1 else 'them'}"
    )
    generated = isinstance(split.clips[0].key_frame.label, np.ndarray)  # whose ids are right
    elsewhere = everywhere is not None and everywhere[0] > 0
    if absent[0] > 0 or split.classes.lookup[0] != 0 or generated or elsewhere:
        return text
    return (
        f"{text}; if ids begin at 1 in your label maps, every pixel counts as the class after its own in "
        'the list: then "void": 0 in classes.json counts from 1'
    )


def _instead_of_void(classes: ClassTable, absent: Sequence[int]) -> str:
    """What to write where void is meant as a class."""
    void = np.flatnonzero(classes.lookup == VOID).tolist()
    one = len(absent) == 1
    counts = f"{', '.join(map(str, void))} {'counts' if len(void) == 1 else 'count'} as void"
    return (
        f"{counts}: where that stands for {classes.names[absent[0]] if one else 'a class'}, give "
        f'{"it" if one else "that class"} "id": {void[-1]} in classes.json'
    )


def _described(classes: ClassTable, ids: Sequence[int]) -> str:
    """'road (id 3), car (id 8)', with the ids that label maps hold."""
    named = [f"{classes.names[i]} (id {_raw_id(classes, i)})" for i in ids[:_SHOWN]]
    return ", ".join(named) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")


def _raw_id(classes: ClassTable, train_id: int) -> int:
    return int(np.flatnonzero(classes.lookup == train_id)[0])
