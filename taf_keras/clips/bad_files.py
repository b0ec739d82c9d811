"""What happens to a bad file: it stops the run, or is left out and counted (`--on_bad_file`)."""

from __future__ import annotations

from taf_keras.config import ON_BAD_FILE
from taf_keras.errors import BadFileError, require_one_of


class BadFiles:
    """Takes the bad files that the readers and the check find.

    Attributes:
        found: what was left out so far, in the order in which it was found; empty under `refuse`.
    """

    def __init__(self, on_bad_file: str = "refuse"):
        require_one_of("on_bad_file", on_bad_file, ON_BAD_FILE)
        self.refuse = on_bad_file == "refuse"
        self.found: list[BadFileError] = []
        self._known: set[str] = set()  # windows overlap: one file may belong to many clips

    def add(self, file, reason: str) -> None:
        """`take` for the reason why `file`, or FILE:LINE, cannot be used."""
        self.take(BadFileError(file, reason))

    def take(self, error: BadFileError) -> None:
        """Raises `error` under `refuse`; under `skip` keeps it, once, and the caller leaves the file out."""
        if self.refuse:
            raise error
        if str(error) not in self._known:
            self._known.add(str(error))
            self.found.append(error)


REFUSE = BadFiles()
