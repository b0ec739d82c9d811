"""The classes of a data set that labels are added to: they only grow, and keep their ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.palette import distinct_colours
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.label_formats.export import MOST_CLASSES, UNLABELLED, Export


def existing_classes(data_dir: Path) -> ClassTable | None:
    """The classes of data_dir/classes.json; None where there is no such file.

    Raises: UserError for ids that are not positions: this command's label maps hold positions.
    """
    if not (data_dir / "classes.json").exists():
        return None
    table = manifest.class_table(str(data_dir))
    count = len(table)
    if table.lookup[:count].tolist() != list(range(count)) or table.lookup[VOID] != VOID:
        raise UserError(
            f"{data_dir / 'classes.json'}: its ids are not the positions of its classes, as they were: "
            "choose another --output_dir"
        )
    return table


def merged(
    export: Export, table: ClassTable | None, background: str | None, before: ClassTable | None
) -> tuple[ClassTable, np.ndarray, list[str]]:
    """The classes of the data set, and what becomes of the export's.

    Args:
        table: of `--classes`: the classes wanted, in their order; others become void. None takes all.
        background: the class of what nobody has labelled; None is void.
        before: the classes that the data set has.
    Returns: the classes; uint8 (256,) from values of the export's label maps to ids or VOID; and the export's
        classes that become void.
    Raises: UserError where the ids of classes would change.
    """
    wanted = list(table.names) if table else list(export.classes)
    if background is not None and background not in wanted:
        wanted.insert(0, background)
    names = [*(before.names if before else ()), *(n for n in wanted if not before or n not in before.names)]
    listed = [n for n in names if n != background or (table and n in table.names)]  # it may be in no list
    if before and table and list(table.names) != listed[: len(table)]:
        moved = next(n for n, other in zip(table.names, listed, strict=False) if n != other)
        raise UserError(
            f"--classes: class {moved} would get another id than in the data set, whose classes are "
            f"{', '.join(before.names)}: name these first, in this order, or choose another --output_dir"
        )
    if (count := max(len(names), len(export.classes))) > MOST_CLASSES:
        raise UserError(f"{count} classes; allowed are {MOST_CLASSES}")
    ids = np.full(256, VOID, np.uint8)
    for position, name in enumerate(export.classes):
        if name in wanted:
            ids[position] = names.index(name)
    if background is not None:
        ids[UNLABELLED] = names.index(background)
    colours = _colours(names, export, table, before)
    return ClassTable(tuple(names), colours), ids, [name for name in export.classes if name not in wanted]


def _colours(names: list[str], export: Export, table: ClassTable | None, before: ClassTable | None) -> tuple:
    """Those that the data set has, then those of `--classes`, then the export's; no two classes share one."""
    known = dict(export.classes)
    for of in (table, before):
        known |= dict(zip(of.names, of.colours, strict=True)) if of else {}
    generated = iter(distinct_colours(2 * len(names)))
    colours: list = []
    for name in names:
        colour = known.get(name)
        while colour is None or colour in colours:
            colour = next(generated)
        colours.append(tuple(colour))
    return tuple(colours)


def as_json(classes: ClassTable) -> dict:
    """The content of classes.json."""
    entries = [
        {"name": name, "colour": list(colour)}
        for name, colour in zip(classes.names, classes.colours, strict=True)
    ]
    return {"classes": entries, "void": VOID}
