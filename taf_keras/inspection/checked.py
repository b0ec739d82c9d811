"""What earlier starts found of a data set's files: one that has not changed is not opened a second time.

It lies in the user's cache folder, one file for each data set. An image or a label map is known by a key of
its path, its size and the time of its last change; so one that has changed is one that is not known. A bad
file is never remembered: it is opened, and reported, at every start.

What is not noticed is a change that keeps both the size and the time, such as damage of the disk itself.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np

from taf_keras.clips.clip import ClassTable, FilePart
from taf_keras.config import DataConfig
from taf_keras.files import default_cache_dir, replaced

FORMAT = b"taf-keras checked files 1\n"  # raise it when a look finds more: all is looked at again then
WORTH_SECONDS = 1.0  # a check that took less is sooner repeated than remembered
_DIGEST_BYTES = 16
_NO_KEY = bytes(8)
_NOTHING = np.empty(0, np.uint64), np.empty((0, 0), np.uint32)


class CheckedFiles:
    """Facts of usable files by their keys; they start empty where `file` is missing, damaged or None.

    The facts of a file are a row of whole numbers: height and width, px, and of a label map the pixels of
    each class, void last. There is a table for each number of columns.
    """

    def __init__(self, file: Path | None = None):
        self.file = file
        self._tables = _read(file) if file else {}
        self._new: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def find(self, keys: np.ndarray, columns: int) -> list[list[int] | None]:
        """The facts of each key, None for one that is not known."""
        known, facts = self._tables.get(columns, _NOTHING)
        if not len(known):
            return [None] * len(keys)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        same = known[at] == keys
        return [row if is_same else None for row, is_same in zip(facts[at].tolist(), same, strict=True)]

    def add(self, keys: np.ndarray, facts: Sequence[Sequence[int]]) -> None:
        """Takes the facts of files that were looked at; those with key 0 cannot be known."""
        facts = np.array(facts, np.uint32)[keys != 0]
        if len(facts):
            self._new.setdefault(facts.shape[1], []).append((keys[keys != 0], facts))

    def save(self) -> None:
        """Writes what is known to `file`, if there is something new. Raises: OSError where it cannot."""
        if not self.file or not self._new:
            return
        for columns, new in self._new.items():
            tables = [self._tables[columns], *new] if columns in self._tables else new
            keys, first = np.unique(np.concatenate([keys for keys, _ in tables]), return_index=True)
            self._tables[columns] = keys, np.concatenate([facts for _, facts in tables])[first]
        self._new = {}
        arrays = {}
        for columns, (keys, facts) in self._tables.items():
            arrays |= {f"keys{columns}": keys, f"facts{columns}": facts}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_name(f".{uuid4().hex}.tmp")  # several processes may write at once
        with replaced(self.file, unfinished, sync=False) as temporary:
            temporary.write_bytes(FORMAT + _digest(buffer.getbuffer()) + buffer.getbuffer())


def keys_of(sources: Iterable[object], classes: ClassTable | None = None) -> np.ndarray:
    """uint64, the key of each file; 0 for what is no file, or is missing.

    Args:
        classes: by which label maps are read; None for images.
    """
    kind = "" if classes is None else repr((len(classes), classes.raw_ids, classes.raw_colours))
    here = os.path.join(os.getcwd(), "")
    whole: dict[str, os.stat_result] = {}  # files that hold many parts
    keys = bytearray()
    for source in sources:
        try:
            if isinstance(source, str):
                name, part, found = source, "", os.stat(source)
            elif isinstance(source, FilePart):
                name, part = source.path, f"{source.begin} {source.length}"
                found = whole.get(name) or whole.setdefault(name, os.stat(name))
            else:
                found = None
        except OSError:  # which a look will meet
            found = None
        if found is None:
            keys += _NO_KEY
            continue
        root = "" if name.startswith(os.sep) or os.path.isabs(name) else here
        state = f"{found.st_size} {found.st_mtime_ns} {found.st_mode}"  # the mode may forbid to read it
        text = f"{root}{name}\0{part}\0{state}\0{kind}"
        # If 10⁷ files change, the chance that one of them gets the key of another is 5·10⁻⁶.
        keys += hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=len(_NO_KEY)).digest()
    return np.frombuffer(bytes(keys), np.uint64)


@contextmanager
def remembered(data: DataConfig) -> Iterator[CheckedFiles]:
    """Yields what is known of a data set's files, and saves what was added, however the block ends."""
    checked, started = CheckedFiles(memory_of(data)), time.monotonic()
    try:
        yield checked
    finally:
        if time.monotonic() - started >= WORTH_SECONDS:
            try:
                checked.save()
            except OSError as error:
                place, reason = checked.file.parent, error.strerror or error
                print(f"note: {place}: cannot be written: {reason}; the next start looks at all files again")


def memory_of(data: DataConfig) -> Path | None:
    """The file that remembers a data set; None for one without files, or a user without a home."""
    if data.dataset == "synthetic":
        return None
    try:
        folder = default_cache_dir() / "checked"
    except RuntimeError:
        return None
    place = hashlib.sha256(os.fsencode(os.path.realpath(data.data_dir))).hexdigest()
    return folder / f"{data.dataset}-{place[:16]}"


def _read(file: Path) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    try:
        content = file.read_bytes()
    except OSError:
        return {}
    begin = len(FORMAT) + _DIGEST_BYTES
    data = memoryview(content)[begin:]
    if content[:begin] != FORMAT + _digest(data):  # damaged, or not ours
        return {}
    arrays = np.load(io.BytesIO(data))
    names = [name.removeprefix("keys") for name in arrays if name.startswith("keys")]
    return {int(columns): (arrays[f"keys{columns}"], arrays[f"facts{columns}"]) for columns in names}


def _digest(data) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
