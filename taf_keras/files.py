"""Files that are the old one or the new one, whenever a process is killed or a disk is full.

And where files lie that can be made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taf_keras.errors import UserError, first_line

_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM)


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/taf-keras`, or `~/.cache/taf-keras` where that is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taf-keras"


@contextmanager
def replaced(path: Path, temporary: Path | None = None, sync: bool = True) -> Iterator[Path]:
    """Yields a path to write, which becomes `path` when it is complete and on the disk.

    Args:
        temporary: the yielded path, in the same folder as `path`; None is `unfinished(path)`.
        sync: wait until the disk has it. Without, a power cut may leave an empty file, a kill does not.
    """
    temporary = temporary or unfinished(path)
    try:
        yield temporary
        if sync:
            _sync(temporary)
        os.replace(temporary, path)
        if sync:
            _sync(path.parent)  # the new name
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def unfinished(path: Path) -> Path:
    """Where `path` is written until it is complete."""
    return path.with_name(f".{path.name}.tmp")


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, complete or not at all; many in a row do not wait for the disk.

    Raises: UserError where it cannot be written.
    """
    with writes(path), replaced(path, sync=False) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, values) -> None:
    """Writes strict JSON (NaN becomes null) atomically: the file is the old one or the new one."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(_strict(values), indent=2, allow_nan=False) + "\n")


def sha256(path: Path, size: int = 0) -> str:
    """The hexadecimal digest of a file, or of its first `size` bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(size)) if size else hashlib.file_digest(file, "sha256")
    return digest.hexdigest()


@contextmanager
def reads(place) -> Iterator[None]:
    """Inside, an OSError is a UserError: `place`, a path or a flag with one, cannot be read."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{place}: cannot be read: {error.strerror or error}") from None


@contextmanager
def writes(place, *errors: type[Exception]) -> Iterator[None]:
    """Inside, an OSError, or one of `errors`, is a UserError: `place` cannot be written."""
    try:
        yield
    except (OSError, *errors) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"{place}: cannot be written: {reason}") from None


def require_writable(place, folder: Path) -> None:
    """Looks whether `folder` may be written, or made where it does not exist; writes nothing.

    Raises: UserError: `place`, a path or a flag with one, cannot be written.
    """
    with writes(place):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{place}: cannot be written: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{place}: cannot be written: no permission to write in {there}")


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
