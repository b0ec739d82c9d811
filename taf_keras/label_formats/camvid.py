"""CVAT's 'CamVid 1.0': label_colors.txt, and a folder NAMEannot of coloured masks for each folder NAME."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from taf_keras.errors import UserError
from taf_keras.label_formats.class_files import read_colours
from taf_keras.label_formats.cvat_masks import coloured, table_in
from taf_keras.label_formats.export import Colour, Export, class_name
from taf_keras.label_formats.open_export import PICTURES, files, read_text
from taf_keras.label_formats.pictures import Pictures

TABLE = "label_colors.txt"
_ANNOTATIONS = "annot"


def read(folder: Path) -> Export:
    """Black is what nobody labelled; the tables call it background or, as CamVid does, Void."""
    table = table_in(folder, TABLE)
    listed = _colours(table)
    masks = {}
    for path in files(folder, {".png"}):
        parts = path.relative_to(folder).parts
        if any(part.endswith(_ANNOTATIONS) for part in parts[:-1]):
            name = PurePosixPath(*(part.removesuffix(_ANNOTATIONS) for part in parts[:-1]), path.name)
            masks[str(name)] = path
    if not masks:
        raise UserError(f"{folder.name}: has no folder of masks, such as default{_ANNOTATIONS}")
    black = next((name.lower() for name, colour in listed.items() if not any(colour)), "")
    unlabelled = black if black in ("background", "void") else "background"
    of_masks = set(masks.values())
    pictures = Pictures(folder, (path for path in files(folder, PICTURES) if path not in of_masks))
    return coloured(folder, masks, listed, unlabelled, pictures)


def _colours(path: Path) -> dict[str, Colour]:
    """Lines `64 128 64 Animal`, or as CVAT's labelmap.txt."""
    listed = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        parts = text.split(maxsplit=3)
        if not parts or parts[0].startswith("#"):
            continue
        if len(parts) < 4 or not all(part.isdecimal() and int(part) < 256 for part in parts[:3]):
            return _of_labelmap(path, line)
        name = class_name(parts[3], f"{path.name}:{line}")
        listed[name] = tuple(map(int, parts[:3]))
    return listed


def _of_labelmap(path: Path, line: int) -> dict[str, Colour]:
    listed = read_colours(path)
    if None in listed.values():
        raise UserError(f"{path.name}:{line}: must be RED GREEN BLUE NAME")
    return listed
