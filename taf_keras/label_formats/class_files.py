"""`--classes`: a file that names classes, and says what label maps hold for each."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.palette import distinct_colours
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.label_formats.export import MOST_CLASSES, UNLABELLED, Colour, class_name
from taf_keras.label_formats.open_export import read_json, read_text

FORM = "a line for each id from 0, NAME or NAME:RED,GREEN,BLUE, and void for what counts for nothing"
_VOID = ("void", "__ignore__")
_LINE = re.compile(r"(.*?)\s*:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?")
_OTHER_FORM = re.compile(r"^\d+\s*[:;,=\t]|[:;,\s]\d+[;,\s]+\d+[;,\s]+\d+|[:;,\s]#[0-9a-fA-F]{6}")


def read_class_file(path: Path) -> ClassTable:
    """Reads a classes.json as data sets have it, or text with a line for each id.

    Raises: UserError for a file that is neither.
    """
    if path.suffix.lower() == ".json":
        if path.name != "classes.json":
            raise UserError(f"--classes={path}: must be a classes.json, or text with {FORM}")
        return _of_json(path)
    listed = read_colours(path)
    names = [name for name in listed if name not in _VOID]
    if not names:
        raise UserError(f"--classes={path}: names no class")
    values = {name: VOID if name in _VOID else names.index(name) for name in listed}
    generated = iter(distinct_colours(len(names)))
    return ClassTable(
        tuple(names),
        tuple(listed[name] or next(generated) for name in names),
        {VOID: VOID} | dict(enumerate(values.values())),
        {colour: values[name] for name, colour in listed.items() if colour} or None,
    )


def _of_json(path: Path) -> ClassTable:
    """Black that is void by default, not because the file says so, is what nobody has labelled."""
    table = manifest.class_table(str(path.parent))
    void = read_json(path).get("void")
    says_colours = isinstance(void, list) and any(isinstance(value, list) for value in void)
    if says_colours or not table.raw_colours:
        return table
    colours = {colour: UNLABELLED if i == VOID else i for colour, i in table.raw_colours.items()}
    return replace(table, raw_colours=colours)


def read_colours(path: Path) -> dict[str, Colour | None]:
    """name -> colour of a file with a line for each class; CVAT's labelmap.txt is one."""
    colours: dict[str, Colour | None] = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        name, colour = _parsed(text.strip(), f"{path.name}:{line}")
        if name in colours:
            raise UserError(f"{path.name}:{line}: an earlier class is named {name} too")
        colours[name] = colour
    if not 1 <= len(colours) <= MOST_CLASSES:
        raise UserError(f"{path.name}: names {len(colours)} classes; allowed are 1 to {MOST_CLASSES}, {FORM}")
    return colours


def _parsed(text: str, place: str) -> tuple[str, Colour | None]:
    """'road:128,64,128::' -> ('road', (128, 64, 128)); what follows a second colon is passed over."""
    match = _LINE.fullmatch(text)
    if match is None and _OTHER_FORM.search(text):
        raise UserError(f"{place}: {text}: must be NAME or NAME:RED,GREEN,BLUE; ids are lines, from 0")
    if match is None:
        return class_name(text.rstrip(":"), place), None
    colour = tuple(map(int, match.groups()[1:4]))
    if max(colour) > 255:
        raise UserError(f"{place}: colour {','.join(map(str, colour))}: each must be 0 to 255")
    return class_name(match[1], place), colour
