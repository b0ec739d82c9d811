"""The files of an export: a folder, one file, or a ZIP, which is unpacked with care.

Exports come from strangers. Nothing is unpacked outside of the folder it belongs to, nothing but text and
pictures is, and not more than a disk takes.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from taf_keras.datasets.text_file import parse_json
from taf_keras.errors import UserError, first_line
from taf_keras.files import reads

try:
    from lzma import LZMAError
except ImportError:  # a Python without it unpacks no such ZIP
    LZMAError = zlib.error

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
_TEXT = {".json", ".xml", ".txt", ".csv"}
_MOST_BYTES, _MOST_FILES = 50_000_000_000, 200_000
_MOST_RATIO, _SMALL = 200, 1_000_000_000  # unpacked to packed, and what is no matter even so
_DAMAGE = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, LZMAError, EOFError, ValueError)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The folder of an export, or its one file. What a ZIP holds is there until the end of the block.

    Raises: UserError for a file that is missing, or a ZIP that is damaged or cannot be trusted.
    """
    if path.suffix.lower() != ".zip":
        with reads(path):
            path.stat()
        yield path.resolve()  # messages have its name, which "." has none of
        return
    with TemporaryDirectory(prefix="taf_keras_labels_") as temporary:
        folder = Path(temporary) / path.stem
        folder.mkdir()
        _unpack(path, folder)
        yield folder


def files(folder: Path, suffixes: set[str]) -> list[Path]:
    """The files below `folder` whose names end so, sorted; what systems hide is not among them."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path for path in found if not _is_hidden(path.relative_to(folder).parts))


def read_text(path: Path) -> str:
    """Raises: UserError for a file that cannot be read, or is not UTF-8."""
    with reads(path):
        data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: is not UTF-8") from None


def read_json(path: Path):
    """Raises: UserError for what is no JSON."""
    return parse_json(read_text(path), path.name)


def read_xml(path: Path) -> ET.Element:
    """The root element. Raises: UserError for what is no XML, or has entities: they can fill a memory."""
    text = read_text(path)  # UTF-8, so that no other encoding hides a declaration
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{path.name}: has a DOCTYPE or entities of its own, which no annotation tool writes")
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise UserError(f"{path.name}: is not XML: {error}") from None


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with reads(path), zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_wanted(member, path)]
            _refuse_bombs(members, path, folder)
            for member in members:
                member.filename = member.filename.replace("\\", "/")  # of a ZIP made on Windows
                archive.extract(member, folder)
    except _DAMAGE as error:
        raise UserError(f"{path}: is not a whole ZIP file: {first_line(error)}") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, a compression of its own
        raise UserError(f"{path}: cannot be unpacked: {first_line(error)}") from None


def _is_wanted(member: zipfile.ZipInfo, path: Path) -> bool:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in str(name)[:2]:
        raise UserError(f"{path}: holds {member.filename!r}, a path out of its own folder: not unpacked")
    return not (member.is_dir() or _is_hidden(name.parts)) and name.suffix.lower() in PICTURES | _TEXT


def _refuse_bombs(members: list[zipfile.ZipInfo], path: Path, folder: Path) -> None:
    unpacked, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
    free = shutil.disk_usage(folder).free
    if len(members) > _MOST_FILES or unpacked > _MOST_BYTES:
        raise UserError(f"{path}: holds {len(members):,} files of {unpacked:,} bytes: too many to unpack")
    if unpacked > max(_SMALL, _MOST_RATIO * packed):
        raise UserError(f"{path}: {packed:,} bytes would become {unpacked:,}: not unpacked")
    if unpacked > free:
        raise UserError(f"{path}: needs {unpacked:,} bytes where {free:,} are free, in {folder.parents[1]}")
