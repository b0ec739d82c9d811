"""Which tool wrote an export, and its reader.

The formats are simple enough to be read here, each in a file: datumaro, which knows most of them, brings some
twenty packages along.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taf_keras.clips.clip import ClassTable
from taf_keras.errors import UserError
from taf_keras.label_formats import (
    camvid,
    coco,
    cvat_masks,
    cvat_xml,
    label_studio,
    label_studio_png,
    labelme,
    plain,
    roboflow,
    supervisely,
    voc,
)
from taf_keras.label_formats.export import Export
from taf_keras.label_formats.open_export import PICTURES, files, read_json

# What `--format` may be -> how it is called.
FORMATS = {
    "cvat_mask": "CVAT's segmentation masks",
    "cvat_xml": "CVAT's XML",
    "camvid": "CamVid's coloured masks",
    "coco": "COCO",
    "labelme": "LabelMe's JSON",
    "label_studio": "Label Studio's JSON",
    "roboflow": "Roboflow's semantic masks",
    "supervisely": "Supervisely's JSON",
    "voc": "Pascal VOC's masks",
    "plain": "plain masks",
}

_UNKNOWN = f"is no export that is known, which are {', '.join(FORMATS.values())}"
_FOLDERS_ALONE = ("plain", "voc", "cvat_mask", "camvid", "roboflow", "supervisely")


def detected(place: Path) -> str:
    """The format of a folder or a file. Raises: UserError for what is none of them."""
    if place.is_file():
        return _of_file(place)
    names = {path.name for path in files(place, {".txt", ".csv", ".json"})}
    folders = {path.name for path in place.rglob("*") if path.is_dir()}
    if camvid.TABLE in names:
        return "camvid"
    if roboflow.TABLE in names:
        return "roboflow"
    if cvat_masks.MASKS in folders and cvat_masks.TABLE in names:
        return "cvat_mask"
    if supervisely.META in names and "ann" in folders:
        return "supervisely"
    for path in files(place, {".json"}):
        if kind := _of_json(path):
            return kind
    if folders & set(voc.FOLDERS):
        return "voc"
    if files(place, {".xml"}):
        return "cvat_xml"
    label_studio_png.refuse_alone(place)
    if not files(place, PICTURES):
        raise UserError(f"{place.name}: {_UNKNOWN}")
    return "plain"


def read_export(place: Path, kind: str, table: ClassTable | None) -> Export:
    """The labels of a folder or a file.

    Args:
        kind: one of FORMATS.
        table: of `--classes`, for formats that hold numbers alone.
    Raises: UserError for what is not as the format says.
    """
    if place.is_file() and kind in _FOLDERS_ALONE:
        raise UserError(f"{place.name}: {FORMATS[kind]} are a folder, or a ZIP of one")
    folder = place if place.is_dir() else place.parent
    readers: dict[str, Callable[[], Export]] = {
        "plain": lambda: plain.read(folder, table),
        "voc": lambda: voc.read(folder, table),
        "cvat_mask": lambda: cvat_masks.read(folder),
        "camvid": lambda: camvid.read(folder),
        "cvat_xml": lambda: cvat_xml.read(_one(place, ".xml"), folder),
        "coco": lambda: coco.read(_of_kind(place, "coco"), folder),
        "labelme": lambda: labelme.read(_of_kind(place, "labelme"), folder),
        "label_studio": lambda: label_studio.read(_of_kind(place, "label_studio"), folder),
        "roboflow": lambda: roboflow.read(folder),
        "supervisely": lambda: supervisely.read(folder),
    }
    return readers[kind]()


def _of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return "cvat_xml"
    kind = _of_json(path) if suffix == ".json" else None
    if kind is None:
        raise UserError(f"{path}: {_UNKNOWN}")
    return kind


def _of_json(path: Path) -> str | None:
    content = read_json(path)
    return next((kind for kind, fits in _JSON.items() if fits(content)), None)


_JSON = {
    "coco": coco.is_coco,
    "labelme": labelme.is_labelme,
    "label_studio": label_studio.is_label_studio,
}


def _of_kind(place: Path, kind: str) -> list[Path]:
    paths = [place] if place.is_file() else files(place, {".json"})
    found = [path for path in paths if _JSON[kind](read_json(path))]
    if not found:
        raise UserError(f"{place.name}: holds no JSON of {FORMATS[kind]}")
    return found


def _one(place: Path, suffix: str) -> Path:
    paths = [place] if place.is_file() else files(place, {suffix})
    if len(paths) != 1:
        raise UserError(f"{place.name}: holds {len(paths)} files {suffix}; give the one to read")
    return paths[0]
