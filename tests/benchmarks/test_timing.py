"""Rounds, ratios and the table of the benchmarks."""

import json
import math

import pytest

from benchmarks.timing import MISSING, Row, Target, notes, ratios, seconds, table, take_turns

ROW = Row.of("TAF step", "plain step", [1.3, 1.1, 1.2], Target("≤", 1.25), "plain 800 ms")
MISSED = Row.of("images/s", "keras-hub", [0.9], Target("≥", 1.0))
ABSENT = Row.not_measured("images/s", "keras-hub", Target("≥", 1.0), MISSING)


def test_a_ratio_is_of_one_round():
    # A machine that is ten times slower in the second round changes no ratio.
    assert ratios((2.0, 20.0), (1.0, 10.0)) == [2.0, 2.0]


def test_rounds_of_unequal_number_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratios((1.0, 2.0), (1.0,))


def test_variants_take_turns_and_every_second_round_goes_backwards():
    order = []
    variants = {name: lambda name=name: order.append(name) or len(order) for name in "abc"}
    results = take_turns("test", variants, rounds=2)
    assert order == list("abccba")
    assert results == {"a": (1, 6), "b": (2, 5), "c": (3, 4)}


def test_seconds_are_those_of_one_call():
    times, calls = iter((10.0, 16.0)), []
    assert seconds(lambda: calls.append(1), lambda: next(times), times=3)() == 2.0
    assert len(calls) == 3


def test_a_row_has_the_median_and_the_range_of_its_rounds():
    assert (ROW.ratio, ROW.low, ROW.high) == (1.2, 1.1, 1.3)


@pytest.mark.parametrize(
    ("target", "ratio", "met"),
    [
        (Target("≤", 1.25), 1.25, True),
        (Target("≤", 1.25), 1.2501, False),
        (Target("≥", 0.95), 0.95, True),
        (Target("≥", 0.95), 0.94, False),
        (Target("=", 1.0), 1.004, True),
        (Target("=", 1.0), 0.99, False),
        (Target("=", 1.0), 1.01, False),
    ],
)
def test_a_target_is_a_bound_on_the_median(target, ratio, met):
    assert target.met(ratio) is met


def test_verdicts():
    verdicts = [row.verdict for row in (ROW, MISSED, ABSENT, Row.of("a", "b", [1.0]))]
    assert verdicts == ["met", "MISSED", "not measured", ""]


def test_the_table_has_a_line_for_every_row():
    lines = table([ROW, MISSED, ABSENT]).splitlines()
    assert lines[2:] == [
        "| TAF step | plain step | 1.20 | 1.10–1.30 | ≤ 1.25 | met |",
        "| images/s | keras-hub | 0.90 | 0.90–0.90 | ≥ 1 | MISSED |",
        "| images/s | keras-hub |  |  | ≥ 1 | not measured |",
    ]
    assert {line.count("|") for line in lines} == {7}
    assert notes([ROW, MISSED, ABSENT]).splitlines() == ["- TAF step: plain 800 ms", f"- images/s: {MISSING}"]


def test_json_is_strict():
    measured, absent = json.loads(json.dumps([ROW.to_json(), ABSENT.to_json()], allow_nan=False))
    assert measured == {
        "name": "TAF step / plain step",
        "ratio": 1.2,
        "low": 1.1,
        "high": 1.3,
        "target": 1.25,
        "sign": "≤",
        "verdict": "met",
    }
    assert absent["ratio"] is None
    assert math.isnan(ABSENT.ratio)
