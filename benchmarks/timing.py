"""Rounds in which variants take turns, the ratios of each round, and the table that they become."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taf_keras.errors import first_line
from taf_keras.progress import Progress

MISSING = "not measured: pip install -r benchmarks/requirements.txt"


@dataclass(frozen=True)
class Options:
    """How all benchmarks run.

    Attributes:
        rounds: how often every variant has its turn.
        smoke: tiny sizes, to see that it runs; its figures mean nothing.
        clock: seconds since any moment; `time.process_time` counts those of the cores that this process got.
        figure: where the curves go as PNG, if anywhere.
    """

    rounds: int = 7
    smoke: bool = False
    clock: Callable[[], float] = time.perf_counter
    figure: Path | None = None


@dataclass(frozen=True)
class Target:
    """A bound on the median ratio; `sign` is ≤, ≥, or = for equal to two decimals."""

    sign: str
    value: float

    def met(self, ratio: float) -> bool:
        if self.sign == "=":
            return abs(ratio - self.value) < 0.005
        return ratio <= self.value if self.sign == "≤" else ratio >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True)
class Row:
    """One measured claim: `name` against `against`, median, least and largest ratio of the rounds.

    Attributes:
        note: what else the reader must know; for a row that was not measured (ratio NaN), why.
        error: whether it was not measured because its benchmark failed.
    """

    name: str
    against: str
    ratio: float
    low: float
    high: float
    target: Target | None = None
    note: str = ""
    error: bool = False

    @classmethod
    def of(cls, name: str, against: str, ratios: Iterable[float], target=None, note: str = "") -> Row:
        """From the ratios of the rounds."""
        ratios = [float(ratio) for ratio in ratios]
        return cls(name, against, statistics.median(ratios), min(ratios), max(ratios), target, note)

    @classmethod
    def not_measured(cls, name: str, against: str, target: Target | None, reason: str) -> Row:
        return cls(name, against, math.nan, math.nan, math.nan, target, reason)

    @classmethod
    def failed(cls, name: str, error: Exception) -> Row:
        """In place of all rows of a benchmark."""
        note = f"{type(error).__name__}: {first_line(error)}"
        return cls(name, "", math.nan, math.nan, math.nan, note=note, error=True)

    @property
    def verdict(self) -> str:
        """met, MISSED, or empty where there is no target."""
        if math.isnan(self.ratio):
            return "FAILED" if self.error else "not measured"
        if self.target is None:
            return ""
        return "met" if self.target.met(self.ratio) else "MISSED"

    def to_json(self) -> dict:
        """Numbers that were not measured, and targets that do not exist, are null."""
        numbers = {key: getattr(self, key) for key in ("ratio", "low", "high")}
        return {
            "name": f"{self.name} / {self.against}",
            **{key: None if math.isnan(value) else value for key, value in numbers.items()},
            "target": self.target.value if self.target else None,
            "sign": self.target.sign if self.target else None,
            "verdict": self.verdict,
        }


def take_turns(
    label: str, variants: dict[str, Callable[[], float]], rounds: int
) -> dict[str, tuple[float, ...]]:
    """What every variant returned in every round: {name: (round 1, round 2, …)}.

    Every second round goes backwards, so that none always follows the same other one.
    """
    results = {name: [] for name in variants}
    done, total = 0, rounds * len(variants)
    with Progress(label) as progress:
        for turn in range(rounds):
            for name in list(variants)[:: -1 if turn % 2 else 1]:
                results[name].append(variants[name]())
                done += 1
                progress(done, total, name)
    return {name: tuple(values) for name, values in results.items()}


def seconds(call: Callable[[], object], clock: Callable[[], float], times: int = 1) -> Callable[[], float]:
    """A function that calls `call` `times` times and returns the seconds of one."""

    def timed() -> float:
        started = clock()
        for _ in range(times):
            call()
        return (clock() - started) / times

    return timed


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Of the same round each."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def medians(results: dict[str, Sequence[float]], unit: str, scale: float = 1.0) -> str:
    """'plain 812, taf 990 ms': the absolute figures behind the ratios."""
    texts = (f"{name} {scale * statistics.median(values):.3g}" for name, values in results.items())
    return f"{', '.join(texts)} {unit}"


def table(rows: Iterable[Row]) -> str:
    """The rows as a markdown table."""
    lines = ["| what | against | median | low–high | target | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        numbers = ("", "")
        if not math.isnan(row.ratio):
            numbers = (f"{row.ratio:.2f}", f"{row.low:.2f}–{row.high:.2f}")
        cells = (row.name, row.against, *numbers, str(row.target or ""), row.verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def notes(rows: Iterable[Row]) -> str:
    """The notes of the rows as a markdown list."""
    return "\n".join(f"- {row.name}: {row.note}" for row in rows if row.note)
