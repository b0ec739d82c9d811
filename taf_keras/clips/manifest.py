"""Not there yet."""

from __future__ import annotations

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import ClassTable, Split
from taf_keras.errors import UserError


def class_table(data_dir: str) -> ClassTable:
    raise UserError("--dataset=manifest: no reader yet")


def load_split(data_dir: str, split: str, temporal_context: int, bad: BadFiles | None = None) -> Split:
    raise UserError("--dataset=manifest: no reader yet")


def splits(data_dir: str) -> tuple[str, ...]:
    raise UserError("--dataset=manifest: no reader yet")
