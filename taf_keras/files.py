"""Files that are the old one or the new one, whenever a process is killed or a disk is full."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taf_keras.errors import UserError

_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM)


@contextmanager
def replaced(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yields a path to write, which becomes `path` when it is complete and on the disk.

    Args:
        temporary: the yielded path, in the same folder as `path`; None is `.NAME.tmp`.
    """
    temporary = temporary or unfinished(path)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)  # the new name
    finally:
        temporary.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where `path` is written until it is complete."""
    return path.with_name(f".{path.name}.tmp")


def write_json(path: Path, values) -> None:
    """Writes strict JSON (NaN becomes null) atomically: the file is the old one or the new one."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(_strict(values), indent=2, allow_nan=False) + "\n")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Inside, what the file system refuses (a full disk, a folder that is read-only) is a UserError.

    HDF5 and TensorFlow have exceptions of their own for it, which tell by their text alone.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        if number not in _REFUSED:
            texts = {os.strerror(known): known for known in _REFUSED if known != errno.EPERM}
            number = next((known for text, known in texts.items() if text in str(error)), None)
        if number is None:
            raise
        place = getattr(error, "filename", None) or folder
        raise UserError(
            f"{place}: cannot be written: {os.strerror(number)}; checkpoints that were saved are whole, "
            "and the same command goes on from the last one"
        ) from None


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _strict(value):
    if isinstance(value, dict):
        return {key: _strict(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None if value != value else ("inf" if value > 0 else "-inf")
    return value
