"""CVAT's 'Segmentation mask 1.1', and its 'PASCAL VOC 1.1' with masks: SegmentationClass and labelmap.txt."""

from __future__ import annotations

from pathlib import Path

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats import picture_masks
from taf_keras.label_formats.class_files import read_colours
from taf_keras.label_formats.export import UNLABELLED, Colour, Export
from taf_keras.label_formats.open_export import files
from taf_keras.label_formats.pictures import Pictures, image_folders

TABLE, MASKS = "labelmap.txt", "SegmentationClass"
_BLACK = (0, 0, 0)


def read(folder: Path) -> Export:
    """CVAT puts a class `background` into every table, in black: it is what nobody has labelled."""
    table = table_in(folder, TABLE)
    listed = read_colours(table)
    if missing := [name for name, colour in listed.items() if colour is None]:
        raise UserError(f"{table.name}: class {missing[0]} has no colour; CVAT writes NAME:RED,GREEN,BLUE::")
    return coloured(folder, mask_files(folder), listed)


def table_in(folder: Path, name: str) -> Path:
    """Raises: UserError for a folder without a file of this name."""
    found = next((path for path in files(folder, {".txt"}) if path.name == name), None)
    if found is None:
        raise UserError(f"{folder.name}: has no {name}, which gives the classes their colours")
    return found


def mask_files(folder: Path) -> dict[str, Path]:
    """The masks by the names of their images; sub-folders of images are sub-folders of SegmentationClass."""
    found = {}
    for path in files(folder, {".png"}):
        parts = path.relative_to(folder).parts
        if MASKS in parts[:-1]:
            found["/".join(parts[parts.index(MASKS) + 1 :])] = path
    if not found:
        raise UserError(f"{folder.name}: {MASKS} holds no masks")
    return found


def coloured(
    folder: Path,
    masks: dict[str, Path],
    listed: dict[str, Colour],
    unlabelled: str = "background",
    pictures: Pictures | None = None,
) -> Export:
    """Masks in the colours of a table, or of ids that are its lines.

    Args:
        masks: by the names of their images.
        listed: the table.
        unlabelled: its class, if black, that stands for what nobody has labelled.
        pictures: the images; None to look for them.
    """
    names = [name for name, colour in listed.items() if (name.lower(), colour) != (unlabelled, _BLACK)]
    owners: dict[Colour, str] = {}
    for name in names:
        if owners.setdefault(listed[name], name) != name:
            raise UserError(
                f"classes {owners[listed[name]]} and {name} have one colour: masks cannot tell them apart"
            )
    colours = {_BLACK: UNLABELLED} | {listed[name]: i for i, name in enumerate(names)}
    ids = {line: names.index(name) if name in names else UNLABELLED for line, name in enumerate(listed)}
    export = Export({name: listed[name] for name in names})
    pictures = pictures or image_folders(folder, set(masks.values()))
    for name, path in masks.items():
        try:
            of = {"ids": ids} if picture_masks.mode(path) == "L" else {"colours": colours}
        except BadFileError as error:
            export.left_out.append(error)
            continue
        export.add(name, picture_masks.reader(path, names, **of), pictures.of(name))
    return export
