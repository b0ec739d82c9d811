"""The frame of every command: how options are read, and how it ends.

Exit codes: 0; 1 where something single or optional failed and is named; 2 bad input; 128 + N signal N.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from taf_keras import errors
from taf_keras.errors import Interrupted, UserError


class Options(argparse.ArgumentParser):
    """The options of a module that is run: `--help` shows its docstring, bad input is one line."""

    def __init__(self, module: str, doc: str, **kwargs):
        super().__init__(
            prog=f"python -m {module}",
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **kwargs,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists all options)")


def run(
    main: Callable[[], int | None], interrupted: str = "interrupted", in_background: bool = False
) -> None:
    """Calls `main`, and ends the process where that returns an exit code other than 0, or fails.

    A UserError is one line `error: …` on stderr and its exit code; SIGINT (Ctrl-C), SIGTERM and SIGHUP are
    one line and 128 + their number. Any other exception is a defect and keeps its traceback.

    Args:
        interrupted: the line, unless what was interrupted has one of its own.
        in_background: take SIGINT although it is ignored, as shells have it for background jobs; processes
            that `main` starts would ignore it too.
    """
    # Before TensorFlow is imported: warnings and errors of its C++ part, but no notes.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    spoke_of_flags, errors.speaks_of_flags = errors.speaks_of_flags, True
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files may hold anything
    before = {number: signal.signal(number, own) for number, own in _handlers(in_background).items()}
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        _end(f"error: {' '.join(str(error).splitlines())}", error.exit_code)
    except Interrupted as stop:
        _end(str(stop) or interrupted, 128 + stop.signal)
    except KeyboardInterrupt:
        _end(interrupted, 128 + signal.SIGINT)
    except BrokenPipeError:
        if _has_reader():
            raise
        # … | head; Python flushes once more at its end, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        errors.speaks_of_flags = spoke_of_flags
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    if code:
        sys.exit(code)


def _handlers(in_background: bool) -> dict:
    """Of the signals that end a command. Only a main thread can set them: elsewhere they act as before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {signal.SIGTERM: _interrupt}
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup
        handlers[hangup] = _interrupt
    if in_background:
        handlers[signal.SIGINT] = signal.default_int_handler
    return handlers


def _has_reader() -> bool:
    """Whether stdout is read."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return False
    return True


def _interrupt(number, _frame) -> NoReturn:
    raise Interrupted(number, "")


def _end(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)
