"""Runs side by side in processes of their own, which end with the process that started them.

An executor says where. It is a context manager: called with the runs, their folder, how many may be at work
at once, the command train.py and the folder's lock, it yields a function that begins a run. This one returns
another, which says what has come of the run: None while it is at work, then its exit code, or what has
happened to it in words. Leaving the context ends the runs that are still at work.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from taf_keras.config import usable_cores
from taf_keras.errors import UserError
from taf_keras.experiments.plan import Job
from taf_keras.files import writes
from taf_keras.progress import Progress
from taf_keras.serving.formats import missing_formats
from taf_keras.storage.lock import Held, hold
from taf_keras.storage.run import Run

INTERRUPTED = "interrupted; the same command goes on where it stopped"
POLL_SECONDS = 0.2
GRACE_SECONDS = 20  # for an interrupted run to end by itself

Begin = Callable[[Job], Callable[[], int | str | None]]
Executor = Callable[[Sequence[Job], Path, int, Sequence[str], IO], AbstractContextManager[Begin]]


@contextmanager
def local(_jobs, _folder, at_once: int, train: Sequence[str], lock: IO) -> Iterator[Begin]:
    """The executor of this machine: each run has its share of the cores, and holds the lock, too."""
    threads = max(1, usable_cores() // at_once)
    processes = []

    def begin(job: Job):
        with open_log(job) as output:
            process = start([*train, *job.arguments], output, threads, pass_fds=(lock.fileno(),))
        processes.append(process)
        return process.poll

    try:
        yield begin
    finally:
        stop(processes)


def train_all(
    jobs: Sequence[Job], folder: Path, at_once: int, train: Sequence[str], executor: Executor = local
) -> list[Job]:
    """Trains the runs of an experiment's folder, says which failed, and returns them.

    Runs that have ended are not repeated, and interrupted ones go on. A run that fails stops no other.
    Whatever ends this function early, an interruption above all, ends the runs too.

    Args:
        at_once: runs side by side, 1 or more.
        train: the command to which a run's arguments are added.
        executor: where the runs are, see this module's text.
    Raises: UserError where a run has begun with other settings, or needs one that is nowhere, and where the
        folder is at work already or cannot be written.
    """
    if at_once < 1:
        raise UserError(f"--jobs={at_once}: must be 1 or more")
    with locked(folder) as lock:
        _refuse_hopeless(jobs)
        with executor(jobs, folder, at_once, train, lock) as begin:
            failed = _execute(jobs, at_once, begin)
    for job, reason in failed.items():
        print(f"failed  {job.arm} seed {job.seed}: {reason} ({job.log})")
    return list(failed)


def _refuse_hopeless(jobs: Iterable[Job]) -> None:
    """UserError where a run's folder holds something else, or it needs one that nobody will have trained."""
    refused = []
    planned = {os.path.realpath(job.run.folder) for job in jobs}
    for job in jobs:
        try:
            config = job.run.as_begun(job.config)  # with rates that are measured already
            job.run.check(config)
        except UserError as error:
            refused.append(str(error))
            continue
        if not job.run.has_ended:
            refused += [
                f"arm {job.arm!r}, seed {job.seed}: {flag}: is not the model_dir of a run that has ended, or "
                "of a run of this command"
                for folder, flag in replace(job, config=config).needs.items()
                if folder not in planned and not Run(folder).has_ended
            ]
    if refused:
        raise UserError(refused[0] + (f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""))


def _execute(jobs: Sequence[Job], at_once: int, begin: Begin) -> dict[Job, str]:
    """Trains what is left to do. Returns: the runs that failed, and why."""
    # train.py adds the formats that an export lacks to a run that has ended, too.
    waiting = [
        job
        for job in jobs
        if not job.run.has_ended or missing_formats(job.run.export, job.config.runtime.export_formats)
    ]
    running: dict[Job, Callable[[], int | str | None]] = {}
    failed, shown = {}, None
    with Progress("epochs") as progress:
        while waiting or running:
            while len(running) < at_once and (job := _next(waiting, running)):
                waiting.remove(job)
                running[job] = begin(job)
            # Only what is new: an estimate from no epoch at all would be none.
            if (state := _state(jobs, running, failed)) != shown:
                progress(*state)
                shown = state
            time.sleep(POLL_SECONDS)
            for job, outcome in list(running.items()):
                if (code := outcome()) is not None:
                    del running[job]
                    if code or not job.run.has_ended:
                        failed[job] = _reason(job, code)
        progress(*_state(jobs, running, failed))
    return failed


def _next(waiting: Sequence[Job], running: Iterable[Job]) -> Job | None:
    """The first waiting run that needs none that has yet to end.

    Where all that are left need one another it is the first, which fails and says what it needs.
    """
    unfinished = {os.path.realpath(job.run.folder) for job in (*waiting, *running)}
    ready = (job for job in waiting if unfinished.isdisjoint(job.needs))
    return next(ready, waiting[0] if waiting and not running else None)


def open_log(job: Job) -> IO[str]:
    """The log of a run that begins now, empty; that of a training which has ended stays.

    Raises: UserError where it cannot be written.
    """
    with writes(job.log):
        job.log.parent.mkdir(parents=True, exist_ok=True)
        return job.log.open("a" if job.run.has_ended else "w")


def start(arguments: Sequence[str], output: IO, threads: int, **more) -> subprocess.Popen:
    """Starts a run. `more` are arguments of Popen."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=os.environ | {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)},
        start_new_session=True,  # the terminal's Ctrl-C reaches a run by `stop` alone
        **more,
    )


def _reason(job: Job, code: int | str) -> str:
    """Why a run has failed: train.py says it in its last line, unless a signal has cut it off."""
    if isinstance(code, str):
        return code
    if code < 0:
        return f"killed by signal {-code}"
    return (job.log.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]


def _state(jobs: Sequence[Job], running, failed: Collection[Job]) -> tuple[int, int, str]:
    """Epochs done, epochs in all, and a text: there is an estimate long before the first run has ended."""
    done = total = ended = 0
    for job in jobs:
        if job not in failed:
            epochs = job.config.training.epochs
            total += epochs
            # Evaluation and export come after the last epoch: it counts with them.
            done += min(job.epochs_done, epochs - 1) if job in running else job.epochs_done
            ended += job.run.has_ended and job not in running
    trouble = f", {len(failed)} failed" if failed else ""
    return done, total, f"{ended} of {len(jobs)} runs{trouble}"


def stop(processes: Sequence[subprocess.Popen]) -> None:
    """Ends runs: SIGTERM, and SIGKILL for those that are still there after their grace."""
    for process in processes:
        process.terminate()
    try:
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            process.wait(max(0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # the second Ctrl-C means now
        pass
    finally:
        for process in processes:
            process.kill()


@contextmanager
def locked(folder: Path):
    """Keeps a folder for one experiment at a time: yields the open file that says so. The runs hold it, too.

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
