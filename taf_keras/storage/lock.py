"""A folder that one process at a time may write."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import IO

_NAME = ".lock"


class Held(Exception):
    """Another process holds the folder; the message says which, as far as that process has told."""


def hold(folder: Path) -> IO[str]:
    """Takes a folder, which must exist, for this process, until it ends or closes the returned file.

    The kernel keeps the lock, so that a killed process leaves none behind. Other machines see it where the
    folder's file system passes locks on: NFS (version 4, or 3 with its lock service), CIFS, Lustre with
    `flock`, GPFS. A file system that refuses to lock gives a warning, and nothing is locked.

    Raises: Held, with the machine and the process that holds it. OSError for a folder that cannot be written.
    """
    file = (folder / _NAME).open("a+")
    try:
        import fcntl  # Windows has none

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise Held(holder or "another process") from None
    except (ImportError, OSError):
        print(f"warning: {folder} cannot be locked: take care that no other process writes it", flush=True)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {platform.node()}\n")
    file.flush()
    return file


def is_lock(path: Path) -> bool:
    """Whether `path` is the file that `hold` leaves in a folder."""
    return path.name == _NAME
