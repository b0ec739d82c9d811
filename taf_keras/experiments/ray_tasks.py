"""What Ray executes on the machines of its cluster: functions that import this module there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from taf_keras.experiments.execute import POLL_SECONDS, start, stop

# Becomes the command after the first argument, and the kernel kills it with its parent. That argument is the
# parent's id: it may have ended already.
_BOUND = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def missing(paths: dict[str, str]) -> list[str]:
    """The names of those paths that this machine does not see."""
    return [name for name, path in paths.items() if not os.path.exists(path)]


def train(arguments: Sequence[str], log: str, folder: str, threads: int) -> int:
    """One run in a process of its own, which ends with the task. Returns: its exit code."""
    bound = [sys.executable, "-c", _BOUND, str(os.getpid()), *arguments]
    with open(log, "a") as output:
        process = start(bound, output, threads, cwd=folder)
    try:
        while process.poll() is None:  # short sleeps: a task is cancelled between two lines of Python
            time.sleep(POLL_SECONDS)
        return process.returncode
    finally:
        stop([process])
