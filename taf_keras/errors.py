"""The exceptions for input that a user can correct, and the words in which they speak of it."""

from __future__ import annotations

import re

FIELDS: dict[str, str] = {}  # flag: the field that it sets, where that has another name
speaks_of_flags = False  # on the command line `--epochs=0`, elsewhere `epochs=0`


def spoken(text: str) -> str:
    """A message that names settings as `--flag`, in the words of where it is read."""
    if speaks_of_flags:
        return text
    return re.sub(r"(?<![^\s(,;])--([a-z]\w*)(?![\w/.-]\w)", lambda flag: FIELDS.get(flag[1], flag[1]), text)


class UserError(Exception):
    """Bad input: a flag, a file, a label, a checkpoint.

    The message is a single line that names what is wrong and says what is allowed. It is written with flags,
    `--epochs=0: …`; where no command runs it is shown with the names of fields and arguments. Commands print
    it as `error: …` and exit with `exit_code`; everything else is a defect and keeps its traceback.
    """

    exit_code = 2

    def __str__(self) -> str:
        return spoken(super().__str__())


class ArgumentError(UserError, ValueError):
    """An argument of the library that cannot be used."""


class PartlyDone(UserError):
    """All but something optional was done; the message names that."""

    exit_code = 1


class BadFileError(UserError):
    """One file of a data set, or one row of its list, that cannot be used as it is.

    Attributes:
        file: its path; with `:LINE` for a row of a list.
        reason: what is wrong with it.
    """

    def __init__(self, file, reason: str):
        super().__init__(f"{file}: {reason}")
        self.file = str(file)
        self.reason = reason


class Interrupted(KeyboardInterrupt):
    """A signal has ended the run. The scripts print the message and exit with 128 + `signal`."""

    def __init__(self, signal: int, message: str = "interrupted"):
        super().__init__(message)
        self.signal = int(signal)


def require(condition: bool, message: str) -> None:
    """Raises UserError(message) unless `condition` holds."""
    if not condition:
        raise UserError(message)


def require_one_of(name: str, value, allowed) -> None:
    """Raises a UserError that names the setting, its value and what is allowed."""
    require(value in allowed, f"--{name}={value}: allowed are {', '.join(map(str, allowed))}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
