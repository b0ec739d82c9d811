"""The folder of a page: replaced as a whole, and nothing in it that is not the page's."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taf_keras.errors import UserError
from taf_keras.files import reads, unfinished, writes

PAGE, PICTURES = "index.html", "pictures"
GENERATOR = "taf_keras.view"  # what the page says of itself at its beginning
_HEAD_BYTES = 1000
_PICTURE = re.compile(r"\d+/-?\d+_(image\.jpg|(truth|prediction|wrong)\.png)")


def require_own(folder: Path) -> None:
    """Raises: UserError for a folder that holds anything but an earlier page."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"--output_dir={folder}: is a file, not a folder")
    with reads(folder):
        foreign = next(_foreign(folder), None) if folder.is_dir() else None
    if foreign is not None:
        raise UserError(
            f"--output_dir={folder}: holds {foreign.relative_to(folder)}, which is no page of this command: "
            "give another folder"
        )


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder, which takes the place of `folder` when it is complete.

    Raises: UserError where it cannot be made, or `folder` holds anything but an earlier page by then.
    """
    folder = folder.resolve()
    temporary = unfinished(folder)
    with writes(folder):
        shutil.rmtree(temporary, ignore_errors=True)  # of a call that was killed
        temporary.mkdir(parents=True)
    try:
        yield temporary
        require_own(folder)
        with writes(folder):
            if folder.is_dir():
                shutil.rmtree(folder)
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _foreign(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in sorted(files)):
            if not _is_own(path, folder):
                yield path
        yield from (path for path in (Path(parent, name) for name in folders) if path.is_symlink())


def _is_own(path: Path, folder: Path) -> bool:
    if path == folder / PAGE:
        with path.open("rb") as file:
            return f'name="generator" content="{GENERATOR}"'.encode() in file.read(_HEAD_BYTES)
    pictures = folder / PICTURES
    return path.is_relative_to(pictures) and bool(_PICTURE.fullmatch(path.relative_to(pictures).as_posix()))
