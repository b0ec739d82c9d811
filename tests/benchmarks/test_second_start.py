"""The benchmark of a second start times starts that open no file."""

import builtins
import time

import pytest

from benchmarks import second_start
from benchmarks.timing import Options
from taf_keras.clips import image_files
from taf_keras.inspection import checked

CLIPS = 4  # of a smoke run, with 31 frames and a label map each


@pytest.mark.parametrize(("worth_seconds", "opened_by"), [(0, 1), (1000, 3)])
def test_the_first_start_alone_opens_files(worth_seconds, opened_by, monkeypatch):
    opened = []

    def opening(path, *arguments):
        opened.append(path)
        return builtins.open(path, *arguments)

    monkeypatch.setattr(image_files, "open", opening, raising=False)
    monkeypatch.setattr(checked, "WORTH_SECONDS", worth_seconds)
    (row,) = second_start.rows(Options(rounds=2, smoke=True, clock=time.perf_counter))
    assert len(set(opened)) == CLIPS * 32
    times = {path: opened.count(path) for path in opened}
    assert min(times.values()) == opened_by
    assert 0 < row.low <= row.ratio <= row.high
    assert row.note.startswith(f"{CLIPS * 32} files: first ")
