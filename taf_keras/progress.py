"""A progress line with an estimate of the time left, for terminals and for log files."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable

_BAR = 24
_LOG_SECONDS = 15  # a file or a pipe gets a line this often; a terminal's line is redrawn in place


class Progress:
    """Shows `done` of `total`; a callable, so that it fits wherever on_progress(done, total) is asked for.

    with Progress("training") as progress:
        progress(3, 100, "loss 1.23")
    """

    def __init__(self, label: str, stream=None):
        self.label = label
        self.stream = stream or sys.stdout
        self.started = self.shown = time.monotonic()
        self.first: int | None = None
        self.width = 0
        self.done = self.total = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.total and self.stream.isatty():
            self.stream.write("\n")
            self.stream.flush()

    def __call__(self, done: int, total: int, text: str | Callable[[], str] = "") -> None:
        """`text` goes after the times; a function of it is called where a line is written alone."""
        now = time.monotonic()
        if self.first is None:
            self.first = done - 1 if done else 0  # what an earlier run did took this one no time
        self.done, self.total = done, total
        terminal, last = self.stream.isatty(), done >= total
        if not last and now - self.shown < (0.2 if terminal else _LOG_SECONDS):
            return
        self.shown = now
        line = self._line(now - self.started, text)
        if terminal:
            line = line[: shutil.get_terminal_size().columns - 1]  # what wraps cannot be redrawn
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def say(self, text: str) -> None:
        """Writes a line of its own, above the one that is redrawn."""
        start = "\r" if self.stream.isatty() else ""
        self.stream.write(f"{start}{text.ljust(self.width)}\n")
        self.stream.flush()

    def _line(self, seconds: float, text: str | Callable[[], str]) -> str:
        filled = _BAR * self.done // max(1, self.total)
        bar = "█" * filled + "░" * (_BAR - filled)
        if self.done >= self.total:
            times = f"took {clock(seconds)}"
        elif not self.done:
            times = clock(seconds)  # there is nothing yet to estimate from
        else:
            rate = seconds / max(1, self.done - self.first)
            times = f"{clock(seconds)}, ETA {clock(rate * (self.total - self.done))}"
        said = text() if callable(text) else text
        return f"{self.label} {bar} {self.done}/{self.total}  {times}  {said}".rstrip()


def clock(seconds: float) -> str:
    """75 -> '1:15', 3700 -> '1:01:40'."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
