"""Plain masks: pictures of ids or colours that `--classes` explains, or of two values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.errors import UserError
from taf_keras.label_formats import picture_masks
from taf_keras.label_formats.class_files import FORM
from taf_keras.label_formats.export import Export
from taf_keras.label_formats.open_export import files
from taf_keras.label_formats.pictures import MASK_FOLDERS, MASK_SUFFIX, image_folders, lies_with_images

_TWO = {"background": (0, 0, 0), "object": (255, 255, 255)}
_SHOWN = 8


def read(folder: Path, table: ClassTable | None) -> Export:
    """Masks are the PNG files of a folder named masks or labels where there is one, else all PNG files.

    Where some of them are named after others, as STEM_mask.png after STEM.png, these are the images.
    """
    masks = _mask_files(folder)
    images = _images_beside(masks)
    found, left_out = picture_masks.values_of(list(images) or masks, table)
    if not found:
        raise UserError(f"no mask can be read: {left_out[0]}")
    coloured = picture_masks.with_colours(found, table)
    ids = sorted({int(v) for value in found.values() if value.ndim == 1 for v in value})
    if table is None:
        if coloured or not (set(ids) <= {0, 1} or set(ids) <= {0, 255}):
            raise UserError(f"{_described(found, ids)}, and nothing says which class is which: {_GIVE}")
        table = ClassTable(tuple(_TWO), tuple(_TWO.values()), {0: 0, ids[-1]: 1} if ids[-1] else {0: 0})
    elif coloured and not table.raw_colours:
        raise UserError(f"{_described(found, ids)}, and --classes gives no colours: {_GIVE}")
    elif len(table) == 2 and table.raw_ids == {0: 0, 1: 1, VOID: VOID} and ids in ([0, 255], [255]):
        table = ClassTable(table.names, table.colours, {0: 0, 255: 1}, table.raw_colours)
    export = Export(dict(zip(table.names, table.colours, strict=True)), left_out=left_out)
    pictures = image_folders(folder, set(images) or set(masks))
    for path in found:
        name = path.relative_to(folder).as_posix()
        read_one = picture_masks.table_reader(path, table, path in coloured)
        export.add(name, read_one, images.get(path) or pictures.of(name))
    return export


_NAMED = re.compile(f"(.+){MASK_SUFFIX}")
_GIVE = f"give --classes=FILE with {FORM}"


def _mask_files(folder: Path) -> list[Path]:
    found = files(folder, {".png", ".bmp", ".tif", ".tiff"})
    named = [path for path in found if MASK_FOLDERS & set(path.relative_to(folder).parts[:-1])]
    masks = named or [path for path in found if not lies_with_images(path, folder)]
    if not masks:
        raise UserError(f"{folder.name}: holds no masks, PNG files of ids or colours")
    return masks


def _images_beside(masks: list[Path]) -> dict[Path, Path | None]:
    """Mask -> the image that it is named after, for those that are named so."""
    stems = {path.with_suffix(""): path for path in masks}
    named = {path: _NAMED.fullmatch(path.stem) for path in masks}
    found = {path: stems.get(path.with_name(match[1])) for path, match in named.items() if match}
    return found if any(found.values()) else {}


def _described(found: dict[Path, np.ndarray], ids: list[int]) -> str:
    colours = sorted({tuple(c) for value in found.values() if value.ndim == 2 for c in value.tolist()})
    shown = ["/".join(map(str, colour)) for colour in colours] or list(map(str, ids))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"the masks hold the {'colours' if colours else 'ids'} {', '.join(shown[:_SHOWN])}{more}"
