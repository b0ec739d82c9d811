import io

import pytest

from taf_keras import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then_with_the_time_left(clock):
    stream = io.StringIO()
    bar = progress.Progress("training", stream)
    for step in range(1, 101):
        clock[0] = float(step)
        bar(step, 100)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 7  # every 15 of 100 seconds, and the last
    assert "30/100  0:30, ETA 1:10" in lines[1]
    assert "100/100  took 1:40" in lines[-1]


def test_steps_of_an_earlier_run_do_not_count_as_fast(clock):
    stream = io.StringIO()
    bar = progress.Progress("training", stream)
    bar(91, 100)
    clock[0] = 20.0
    bar(92, 100)  # the second step of this run after 20 s: 10 s each, 8 to go
    assert "92/100  0:20, ETA 1:20" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3700, "1:01:40")])
def test_clock(seconds, text):
    assert progress.clock(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_fits_into_the_terminal(clock, monkeypatch):
    """One that wraps would scroll with each redrawing."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    bar = progress.Progress("training", stream)
    for step in (1, 2):
        clock[0] = float(step)
        bar(step, 100, "loss 1.234  val mIoU 38.8%")
    lines = stream.getvalue().split("\r")[1:]
    assert [len(line) for line in lines] == [39, 39]
    assert lines[1].startswith("training ░")


def test_a_line_of_its_own_covers_the_one_that_is_redrawn(clock):
    stream = Terminal()
    bar = progress.Progress("training", stream)
    clock[0] = 1.0
    bar(1, 100, "a long text at its end")
    before = stream.getvalue()
    bar.say("hello")
    said = stream.getvalue().removeprefix(before)
    assert said == "\r" + "hello".ljust(len(before) - 1) + "\n"
