"""Generated splits on disk: written once, checked when read, shared by all processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from taf_keras.config import SPLITS
from taf_keras.errors import UserError
from taf_keras.files import default_cache_dir, sha256
from taf_keras.streets.config import GENERATOR_VERSION, SyntheticConfig

Arrays = tuple[np.ndarray, np.ndarray]  # images (clips, frames, height, width, 3), labels (…, width)

_FILES = ("images.npy", "labels.npy")
_INDEX = "index.json"  # name -> SHA-256 of the files; written last


def entry_name(config: SyntheticConfig, split: str) -> str:
    """Folder name of a split's entry: it changes with everything the split's clips depend on."""
    settings = asdict(config)
    for name in SPLITS:
        settings.pop(f"{name}_clips")
    settings |= {"version": GENERATOR_VERSION, "split": split, "clips": config.clip_count(split)}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"synthetic-v{GENERATOR_VERSION}-{split}-{digest[:16]}"


def _read(entry: Path) -> Arrays | None:
    """The entry's arrays, mapped so that processes share their pages; None if it is missing or damaged."""
    try:
        index = json.loads((entry / _INDEX).read_text())
        if index != {name: sha256(entry / name) for name in _FILES}:
            return None
        return tuple(np.load(entry / name, mmap_mode="r") for name in _FILES)
    except (OSError, ValueError):  # ValueError: index.json is not JSON
        return None


def _publish(folder: Path, entry: Path) -> None:
    """Moves a finished folder to its place, in one step whatever other processes do there."""
    for _ in range(10):
        with contextlib.suppress(OSError):  # the place is taken
            folder.rename(entry)
            return
        if _read(entry) is not None:  # another process was faster; its bytes are the same
            return
        with contextlib.suppress(OSError):  # damaged: out of the way, into the folder that will be deleted
            entry.rename(folder.with_name(f"{folder.name}-damaged"))
    folder.rename(entry)


@contextlib.contextmanager
def _writing(root: Path):
    """Turns what the disk refuses into advice."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write the synthetic data to {root}: {reason}; choose another folder with --data_dir"
        ) from error


def load(
    config: SyntheticConfig,
    split: str,
    cache_dir: str | os.PathLike | None,
    generate: Callable[[], Iterable[Arrays]],
    on_progress: Callable[[int, int], None] | None = None,
) -> Arrays:
    """Arrays of a split: from the cache, or generated and then cached.

    Args:
        config, split: what to load.
        cache_dir: where entries lie; None is `default_cache_dir()`.
        generate: called without arguments where the entry is missing or damaged; gives the images and
            labels of each clip in order.
        on_progress: called with (clips done, clips in all) while generating.

    Returns:
        Read-only uint8 arrays: images (clips, frames, height, width, 3) and labels without the last axis.

    Raises:
        UserError: the cache folder cannot be written.
    """
    root = Path(cache_dir) if cache_dir else default_cache_dir()
    entry = root / entry_name(config, split)
    arrays = _read(entry)
    if arrays is not None:
        return arrays

    count = config.clip_count(split)
    shape = (count, len(config.offsets(split)), config.height, config.width)
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the last step is a rename within one file system.
        scratch = tempfile.TemporaryDirectory(prefix=".unfinished-", dir=root)
    with scratch:
        folder = Path(scratch.name) / "entry"
        with _writing(root):
            folder.mkdir()
            for name, size in zip(_FILES, ((*shape, 3), shape), strict=True):
                with (folder / name).open("wb") as file:
                    header = {"descr": "|u1", "fortran_order": False, "shape": size}
                    np.lib.format.write_array_header_1_0(file, header)
        for done, clip in enumerate(generate(), start=1):
            with _writing(root):
                for name, array in zip(_FILES, clip, strict=True):
                    with (folder / name).open("ab") as file:
                        file.write(array.tobytes())
            if on_progress:
                on_progress(done, count)
        with _writing(root):
            (folder / _INDEX).write_text(json.dumps({name: sha256(folder / name) for name in _FILES}))
            own = _read(folder)  # stays mapped, whatever happens to the folder's name
            _publish(folder, entry)
        return _read(entry) or own
