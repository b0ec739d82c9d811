"""Pascal VOC's masks: SegmentationClass holds pictures with a palette, whose indices are the classes.

labelme2voc writes such folders, with class_names.txt: `__ignore__` counts for nothing and `_background_` is
what has no label. Pictures without a palette hold the colours of `--classes`.
"""

from __future__ import annotations

from pathlib import Path

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.errors import UserError
from taf_keras.label_formats import picture_masks
from taf_keras.label_formats.class_files import FORM, read_colours
from taf_keras.label_formats.export import Colour, Export
from taf_keras.label_formats.open_export import files
from taf_keras.label_formats.pictures import image_folders

TABLES = ("class_names.txt", "labels.txt")
IGNORED = "__ignore__"
FOLDERS = ("SegmentationClassPNG", "SegmentationClass")


def read(folder: Path, table: ClassTable | None) -> Export:
    """The indices are the lines of class_names.txt or `--classes`, from 0, but `__ignore__`; 255 is void."""
    masks = _mask_files(folder)
    classes: dict[str, Colour | None]
    if table is not None:
        classes, ids = dict(zip(table.names, table.colours, strict=True)), table.raw_ids
    else:
        lists = [path for path in files(folder, {".txt"}) if path.name in TABLES]
        if not lists:
            raise UserError(
                f"{folder.name}: masks with a palette hold numbers, and nothing says which class is which: "
                f"give --classes=FILE with {FORM}"
            )
        classes = read_colours(min(lists, key=lambda path: TABLES.index(path.name)))
        classes.pop(IGNORED, None)
        ids = {i: i for i in range(len(classes))} | {VOID: VOID}
    export = Export(classes)
    pictures, coloured = image_folders(folder, set(masks.values())), set()
    if table and table.raw_colours:
        found, export.left_out = picture_masks.values_of(masks.values(), table)
        masks = {name: path for name, path in masks.items() if path in found}
        coloured = picture_masks.with_colours(found, table)
    for name, path in masks.items():
        if path in coloured:
            read_one = picture_masks.table_reader(path, table, coloured=True)
        else:
            read_one = picture_masks.reader(path, list(classes), ids)
        export.add(name, read_one, pictures.of(name))
    return export


def _mask_files(folder: Path) -> dict[str, Path]:
    """By their paths in the export, without the folder that is named after masks."""
    found = {path.relative_to(folder): path for path in files(folder, {".png"})}
    for name in FOLDERS:
        if masks := {
            "/".join(part for part in place.parts if part != name): path
            for place, path in found.items()
            if name in place.parts[:-1]
        }:
            return masks
    raise UserError(f"{folder.name}: {FOLDERS[-1]} holds no masks")
