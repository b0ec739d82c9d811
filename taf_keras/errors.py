"""The one exception for input that a user can correct."""


class UserError(Exception):
    """Bad input: a flag, a file, a label, a checkpoint.

    The message is a single line that names what is wrong and says what is allowed. The scripts
    print it as `error: …` and exit with code 2; everything else is a defect and keeps its traceback.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
