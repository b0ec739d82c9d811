"""The images that an export holds beside its labels, and which of them each label is of."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from taf_keras.label_formats.open_export import PICTURES, files

_IMAGE_FOLDERS = {"JPEGImages", "images", "Images", "image", "img", "imgs", "frames"}
MASK_FOLDERS = {"masks", "mask", "labels", "label", "annotations", "gt", "SegmentationClass"}
MASK_SUFFIX = "_(masks?|labels?|labelIds|ids|seg|gt|L)"  # after the name of the image


def lies_with_images(path: Path, folder: Path) -> bool:
    """Whether it is in a folder of the export that is named after images."""
    return not _IMAGE_FOLDERS.isdisjoint(path.relative_to(folder).parts[:-1])


def image_folders(folder: Path, masks: Collection[Path] = ()) -> Pictures:
    """The pictures of an export that lie in such folders, and are none of its masks."""
    found = (path for path in files(folder, PICTURES) if lies_with_images(path, folder))
    return Pictures(folder, (path for path in found if path not in masks))


def no_mask_folders(folder: Path) -> Pictures:
    """The pictures of an export that lie in no folder named after masks."""
    found = files(folder, PICTURES)
    return Pictures(folder, (p for p in found if MASK_FOLDERS.isdisjoint(p.relative_to(folder).parts[:-1])))


def composed(name: str) -> str:
    """With letters that are one character each: macOS writes `ü` as two in the names of files."""
    return unicodedata.normalize("NFC", name)


class Pictures:
    """Images, found by the names that labels have.

    Folders named after images or labels do not count: images/park/7.jpg is that of masks/park/7.png.
    """

    def __init__(self, folder: Path, paths: Iterable[Path]):
        self._whole: dict[str, Path] = {}
        self._ends: dict[str, Path | None] = {}  # of each path from each of its folders on; None for several
        for path in paths:
            keys = _keys(path.relative_to(folder).as_posix(), _IMAGE_FOLDERS)
            self._whole |= dict.fromkeys(keys[:2], path)
            for key in keys:
                self._ends[key] = path if self._ends.setdefault(key, path) == path else None

    def of(self, name: str) -> Path | None:
        """The image of a label: that of its whole path, else the one whose path ends as it does.

        Args:
            name: a path in the export or in its folder of labels; the suffix may be another one.
        """
        keys = _keys(name.replace("\\", "/"), MASK_FOLDERS)
        found = [*(self._whole.get(key) for key in keys[:2]), *(self._ends.get(key) for key in keys)]
        return next((path for path in found if path is not None), None)


def _keys(name: str, dropped: set[str]) -> list[str]:
    """With its suffix and without, from its first folder on, then from the second on, …"""
    path = PurePosixPath(composed(name))
    folders = [part for part in path.parts[:-1] if part not in dropped]
    names = (path.name, path.stem if path.suffix.lower() in PICTURES else path.name)
    return ["/".join([*folders[i:], end]) for i in range(len(folders) + 1) for end in names]
