"""The exceptions for input that a user can correct."""


class UserError(Exception):
    """Bad input: a flag, a file, a label, a checkpoint.

    The message is a single line that names what is wrong and says what is allowed. The scripts
    print it as `error: …` and exit with `exit_code`; everything else is a defect and keeps its traceback.
    """

    exit_code = 2


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


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
