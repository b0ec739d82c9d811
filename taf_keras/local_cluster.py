"""Starts a cluster of several workers on this machine's CPU, to try out what several machines would do.

    python -m taf_keras.local_cluster --workers=2 -- --epochs=3 --model_dir=runs/two

Flags after `--` are those of train.py; --batch_size is that of all workers together. When a worker fails,
the others end by themselves. The same command goes on at the last checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence

from taf_keras import command
from taf_keras.command_line import TRAIN
from taf_keras.config import usable_cores
from taf_keras.errors import UserError

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 120  # for the others to notice that a worker has failed; they take less than a minute


def free_addresses(count: int) -> list[str]:
    """localhost:PORT of `count` ports on which nothing listens at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("localhost", 0))
        return [f"localhost:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start_worker(arguments: Sequence[str], addresses: Sequence[str], index: int) -> subprocess.Popen:
    """Starts one worker of the cluster with its share of the cores; its output is a pipe of text."""
    config = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    threads = str(max(1, usable_cores() // len(addresses)))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads} | os.environ
    # Two workers cannot share a GPU.
    environment |= {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,  # the terminal's Ctrl-C reaches a worker by `run` alone
    )


def run(workers: int, flags: Sequence[str], train: Sequence[str] = TRAIN) -> int:
    """Runs a cluster of `workers` processes to its end and shows their lines.

    Returns: 0, or the exit code of the first worker that failed.
    """
    addresses = free_addresses(workers)
    processes = [start_worker([*train, *flags], addresses, index) for index in range(workers)]
    readers = [
        threading.Thread(target=_show, args=(index, process), daemon=True)
        for index, process in enumerate(processes)
    ]
    failed, deadline = 0, float("inf")
    try:
        for reader in readers:
            reader.start()
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            codes = [process.poll() for process in processes]
            if not failed and any(codes):
                failed = next(code for code in codes if code)
                deadline = time.monotonic() + _GRACE_SECONDS
        for process, reader in zip(processes, readers, strict=True):
            if process.poll() is not None:
                reader.join()
        return failed or next((process.returncode for process in processes if process.returncode), 0)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


def _show(index: int, process: subprocess.Popen) -> None:
    with process.stdout as lines:
        for line in lines:
            print(f"worker {index}: {line}", end="", flush=True)


def main(arguments: list[str] | None = None, train: Sequence[str] = TRAIN) -> None:
    interrupted = "interrupted; the same command goes on at the last checkpoint"
    command.run(lambda: _main(arguments, train), interrupted, in_background=True)


def _main(arguments: list[str] | None, train: Sequence[str]) -> int:
    parser = command.Options("taf_keras.local_cluster", __doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes, 2 or more (%(default)s)")
    parser.add_argument("flags", nargs="*", metavar="-- FLAGS", help="of train.py")
    options = parser.parse_args(arguments)
    if options.workers < 2:
        raise UserError(f"--workers={options.workers}: must be 2 or more")
    code = run(options.workers, options.flags, train)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main()
