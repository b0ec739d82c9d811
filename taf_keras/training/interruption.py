"""SIGTERM, SIGHUP and Ctrl-C: the training ends its step, saves, and stops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from taf_keras.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class StopRequest:
    """Whether a signal has asked the run to stop: `signal` is its number, or None."""

    def __init__(self):
        self.signal: int | None = None

    def obey(self, done: str) -> None:
        """Raises: Interrupted, whose message says what was `done`, if a signal has come."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise Interrupted(
                self.signal, f"interrupted ({name}): {done}; the same command goes on from there"
            )


@contextmanager
def stop_requests(said: str = "") -> Iterator[StopRequest]:
    """Inside, the first of SIGNALS is noted in what it yields; a second one acts as it does outside.

    Only a main thread can set handlers: elsewhere, signals act as before.

    Args:
        said: a line for stderr when the first one comes, where nobody else says something.
    """
    request, before = StopRequest(), {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number, _frame) -> None:
        request.signal = number
        restore()
        if said:
            os.write(2, f"{signal.Signals(number).name}: {said}\n".encode())  # a handler must not print

    if threading.current_thread() is threading.main_thread():
        # What is ignored, as SIGINT in a shell's background job, stays ignored.
        asked = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before |= {number: signal.signal(number, note) for number in asked}
    try:
        yield request
    finally:
        restore()
