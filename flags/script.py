"""The frame of `train.py` and `evaluate.py`: flags in, one line out for what the user can correct."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

from absl import app, flags, logging

from taf_keras.errors import Interrupted, UserError

from .recipe_files import find_flag_files


def run(main: Callable[[], None], *modules: ModuleType) -> None:
    """Defines the flags of `modules`, parses the command line and calls `main`, which imports TensorFlow.

    Bad input ends in one line `error: …` on stderr and exit code 2, or 1 where all but something optional
    is done. SIGTERM and Ctrl-C end in one line and 143 or 130. Any other exception is a defect and keeps
    its traceback.
    """
    for module in modules:
        module.define()
    # Before TensorFlow is imported: warnings and errors of its C++ part, but no notes.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    app.run(lambda _: _call(main), flags_parser=lambda argv: _parse(argv, main, modules))


def _parse(argv: list[str], main: Callable[[], None], modules: tuple[ModuleType, ...]) -> list[str]:
    """Parses the command line; `app.run` calls it once absl's own flags are defined."""
    # The script's own words; what pip makes of a console script has none.
    text = sys.modules["__main__"].__doc__ or sys.modules[main.__module__].__doc__
    flags.DEFINE_flag(_Help("help", "?", text, modules))
    flags.DEFINE_flag(_Help("helpshort", None, text, modules))
    try:
        rest = flags.FLAGS([argv[0], *find_flag_files(argv[1:])])
    except UserError as error:
        _refuse(str(error))
    except flags.UnrecognizedFlagError as error:
        _refuse(f"{error} (--help lists all flags)")
    except UnicodeDecodeError:
        _refuse(f"--flagfile: not a text file, in {' '.join(argv[1:])}")
    except (flags.Error, ValueError) as error:  # ValueError: absl's answer to --noflip=3
        _refuse(str(error).removeprefix("flag ").removeprefix("ERROR:: "))
    if len(rest) > 1:
        _refuse(
            f"unexpected argument {rest[1]!r}: settings are written --name=value (--help lists all flags)"
        )
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.WARNING  # app.run would take INFO, for every library's notes
    return rest


def _call(main: Callable[[], None]) -> None:
    try:
        signal.signal(signal.SIGTERM, _terminated)
        from taf_keras.devices import require_tensorflow  # not for --help

        require_tensorflow()
        main()
    except UserError as error:
        _refuse(str(error), error.exit_code)
    except Interrupted as interrupted:
        _end(interrupted)
    except KeyboardInterrupt:
        _end(Interrupted(signal.SIGINT))


def _terminated(number, _frame) -> NoReturn:
    raise Interrupted(number)


def _end(interrupted: Interrupted) -> NoReturn:
    print(interrupted, file=sys.stderr)
    sys.exit(128 + interrupted.signal)  # as shells have it


def _refuse(message: str, code: int = UserError.exit_code) -> NoReturn:
    print("error:", " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(code)


class _Help(flags.BooleanFlag):
    """Shows `text` and the flags of all modules; absl's own knows the script's alone and exits with 1."""

    def __init__(self, name: str, short_name: str | None, text: str, modules: tuple[ModuleType, ...]):
        super().__init__(name, False, "show this help", short_name, allow_override=True)
        self._text = text
        self._modules = modules

    def parse(self, argument) -> None:
        if self._parse(argument):
            parts = [self._text.rstrip()]
            parts += [flags.FLAGS.module_help(module) for module in self._modules]
            parts += ["\nFlags of absl, such as --flagfile=PATH and --verbosity: --helpfull"]
            _show("\n".join(parts))
            sys.exit(0)


def _show(text: str) -> None:
    sys.stdout.reconfigure(errors="replace")  # a terminal without Greek letters
    try:
        print(text, flush=True)
    except BrokenPipeError:  # --help | head; Python flushes once more at its end, which must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
