"""Measurements that need a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_fresh(*arguments: str) -> str:
    """Runs this Python with `arguments` in the project's folder. Returns: what it printed.

    Raises: RuntimeError with the end of its messages where it fails.
    """
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def measure_fresh(module: str, *arguments: str) -> dict:
    """What `python -m module arguments` prints as JSON in its last line."""
    return json.loads(run_fresh("-m", module, *arguments).splitlines()[-1])
