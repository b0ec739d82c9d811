"""Training in a process of its own that is killed at a chosen moment: what test_interruption.py starts.

The processes are forked from one that has imported TensorFlow, which saves each of them these seconds.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import keras
import numpy as np
from taf_examples import pyramid

from taf_keras import command
from taf_keras.config import Config
from taf_keras.evaluation import evaluate
from taf_keras.models import build
from taf_keras.serving import export
from taf_keras.training import callbacks, run, screens

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def train(config: Config, log: Path, fault=None, seed: int = 0) -> int:
    """Trains `config` until it ends, or is ended by the fault. Returns: the exit code, −SIGNAL of a kill."""
    process = PROCESSES.Process(target=_child, args=(config, log, fault, seed))
    process.start()
    process.join(600)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"{fault} did not come: {log.read_text()}")
    return process.exitcode


def _child(config, log, fault, seed) -> None:
    with log.open("a") as output, contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        build.build_backbone = pyramid  # traced in a third of the time
        if fault:
            FAULTS[fault](np.random.default_rng([seed, *fault.encode()]))
        command.run(lambda: run.train(config) and None)


def _kill(number=signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)


def _soon(seconds: float) -> None:
    """Kills in the middle of what is done next."""
    timer = threading.Timer(seconds, _kill)
    timer.daemon = True
    timer.start()


def _before(owner, name: str, then, calls: int = 1) -> None:
    """Calls `then` before the call number `calls` of a function, whose arguments `then` gets too."""
    function, left = getattr(owner, name), [calls]

    def changed(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            then(*args)
        return function(*args, **kwargs)

    setattr(owner, name, changed)


def _around_rename(ending: str, after: bool):
    """Kills directly before or after a file whose name ends so gets its name."""

    def install(_rng) -> None:
        replace = os.replace

        def changed(source, target):
            if not str(target).endswith(ending):
                return replace(source, target)
            if after:
                replace(source, target)
            _kill()

        os.replace = changed

    return install


def _in_step(rng) -> None:
    # At least two steps: the run must get on, however often it is killed.
    _before(
        callbacks.StepLogs, "on_train_batch_begin", lambda *_: _soon(rng.uniform(0, 0.05)), rng.integers(3, 9)
    )


def _terminated_in_step(rng) -> None:
    _before(
        callbacks.StepLogs, "on_train_batch_begin", lambda *_: _kill(signal.SIGTERM), 3 + 2 * rng.integers(2)
    )


FAULTS = {
    "step": _in_step,
    "SIGTERM": _terminated_in_step,
    "checkpoint": lambda rng: _before(
        keras.Model, "save_weights", lambda *_: _soon(rng.uniform(0, 0.05)), rng.integers(1, 3)
    ),
    "before rename": _around_rename(".weights.h5", after=False),
    "after rename": _around_rename(".weights.h5", after=True),
    "history": _around_rename("history.csv", after=False),
    "validation": lambda rng: _before(callbacks.StepLogs, "on_test_batch_end", lambda *_: _kill()),
    "anywhere": lambda rng: _before(screens, "announce", lambda *_: _soon(rng.uniform(0, 8))),
    "evaluation": lambda rng: _before(evaluate, "evaluate_split", lambda *_: _soon(rng.uniform(0, 0.5))),
    "export": lambda rng: _before(export, "export_model", lambda *_: _soon(rng.uniform(0, 0.3))),
    "exported": _around_rename("export", after=False),
    "metrics": _around_rename("metrics.json", after=False),
}
IN_TRAINING = list(FAULTS)[:7]
AT_THE_END = ["evaluation", "export", "exported", "metrics"]
