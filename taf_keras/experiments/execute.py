"""Runs side by side in processes of their own, which end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

from taf_keras.errors import UserError
from taf_keras.experiments.runs import TRAIN, Job, last_line, refuse_other_settings
from taf_keras.progress import Progress
from taf_keras.storage.lock import Held, hold

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 20  # for an interrupted run to end by itself


def train_all(runs: Sequence[Job], folder: Path, jobs: int, train: Sequence[str] = TRAIN) -> list[Job]:
    """Trains the runs of an experiment's folder, says which failed, and returns them.

    Runs that have ended are not repeated, and interrupted ones go on.

    Args:
        jobs: runs side by side, 1 or more.
        train: the command to which a run's flags are added.
    Raises: UserError where a run has ended with other settings, or the folder is at work already or cannot
        be written.
    """
    if jobs < 1:
        raise UserError(f"--jobs={jobs}: must be 1 or more")
    with locked(folder) as lock:
        refuse_other_settings(runs, train)
        failed = execute(runs, jobs, lock, train)
    for run, reason in failed.items():
        print(f"failed  {run.arm} seed {run.seed}: {reason} ({run.log})")
    return list(failed)


def execute(runs: Sequence[Job], jobs: int, lock, train: Sequence[str] = TRAIN) -> dict[Job, str]:
    """Trains what has not ended yet, `jobs` at a time, each with its share of the cores.

    A run that needs another one starts after it. A run that fails stops no other. Whatever ends this
    function early, an interruption above all, ends the runs too: called again it goes on where they stopped.

    Args:
        lock: the open file of `locked`. The runs hold it as well.
        train: the command to which a run's flags are added.
    Returns: the runs that failed, and why.
    """
    waiting = [run for run in runs if not run.ended]
    running: dict[Job, subprocess.Popen] = {}
    failed, shown = {}, None
    try:
        with Progress("epochs") as progress:
            while waiting or running:
                while len(running) < jobs and (run := _next(waiting, running)):
                    waiting.remove(run)
                    running[run] = _start([*train, *run.arguments], run.log, jobs, lock)
                # Only what is new: an estimate from no epoch at all would be none.
                if (state := _state(runs, running, failed)) != shown:
                    progress(*state)
                    shown = state
                time.sleep(_POLL_SECONDS)
                for run in [run for run, process in running.items() if process.poll() is not None]:
                    code = running.pop(run).returncode
                    if code or not run.ended:
                        failed[run] = _reason(run, code)
            progress(*_state(runs, running, failed))
    finally:
        _stop(running.values())
    return failed


def _next(waiting: Sequence[Job], running: Iterable[Job]) -> Job | None:
    """The first waiting run that needs none that has yet to end.

    Where all that is left need one another it is the first, which fails and says what it needs.
    """
    unfinished = {os.path.realpath(run.folder.folder) for run in (*waiting, *running)}
    ready = (run for run in waiting if unfinished.isdisjoint(run.needs))
    return next(ready, waiting[0] if waiting and not running else None)


def _start(command: Sequence[str], log: Path, jobs: int, lock) -> subprocess.Popen:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("w")
    except OSError as error:
        raise UserError(f"{log}: cannot be written: {error.strerror}") from None
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    with output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # the terminal's Ctrl-C reaches a run by `_stop` alone
            pass_fds=(lock.fileno(),),
        )


def _reason(run: Job, code: int) -> str:
    """Why a run has failed: its log's last line, unless a signal has cut the log off."""
    return f"killed by signal {-code}" if code < 0 else last_line(run.log.read_text(errors="replace"))


def _state(runs: Sequence[Job], running, failed: Collection[Job]) -> tuple[int, int, str]:
    """Epochs done, epochs in all, and a text: there is an estimate long before the first run has ended."""
    done = total = ended = 0
    for run in runs:
        if run not in failed:
            epochs = run.config.training.epochs
            total += epochs
            # Evaluation and export come after the last epoch: it counts with them.
            done += min(run.epochs_done, epochs - 1) if run in running else run.epochs_done
            ended += run.ended and run not in running
    trouble = f", {len(failed)} failed" if failed else ""
    return done, total, f"{ended} of {len(runs)} runs{trouble}"


def _stop(processes: Iterable[subprocess.Popen]) -> None:
    for process in processes:
        process.send_signal(signal.SIGINT)
    try:
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in processes:
            process.wait(max(0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # the second Ctrl-C means now
        pass
    finally:
        for process in processes:
            process.kill()


@contextmanager
def locked(folder: Path):
    """Keeps a folder for one experiment at a time: yields the open file that says so.

    Raises: UserError while another holds it, or a run that one which was killed has left behind, and for a
        folder that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # the lock of an earlier call may be there already
            pass
        lock = hold(folder)
    except Held as holder:
        raise UserError(
            f"--output_dir={folder}: runs of this folder are still at work, begun by {holder}"
        ) from None
    except OSError as error:
        raise UserError(
            f"--output_dir={folder}: must be a folder that can be written ({error.strerror})"
        ) from None
    with lock:
        yield lock


@contextmanager
def interruptible():
    """Inside, SIGTERM and SIGHUP do what Ctrl-C does, which is one line and the exit code 130."""
    # SIGINT too: a shell's background jobs begin with it ignored, and so would their runs.
    signals = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup
        signals.append(hangup)
    before = {number: signal.signal(number, signal.default_int_handler) for number in signals}
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
