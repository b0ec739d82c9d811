"""What happens to a bad file: it stops the run, or is left out and counted (`--on_bad_file`)."""

from __future__ import annotations

from taf_keras.config import ON_BAD_FILE, require_one_of
from taf_keras.errors import BadFileError


class BadFiles:
    """Takes the bad files that the readers and the check find.

    Attributes:
        found: what was left out so far, in the order in which it was found; empty under `refuse`.
    """

    def __init__(self, on_bad_file: str = "refuse"):
        require_one_of("on_bad_file", on_bad_file, ON_BAD_FILE)
        self.refuse = on_bad_file == "refuse"
        self.found: list[BadFileError] = []

    def add(self, error: BadFileError) -> None:
        """Raises `error` under `refuse`; under `skip` keeps it, and the caller leaves the file out."""
        if self.refuse:
            raise error
        self.found.append(error)
