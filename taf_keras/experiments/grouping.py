"""Runs of an experiment that are on disk, grouped into arms: they differ in the seed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from taf_keras.config import Config
from taf_keras.run_flags import of_arm
from taf_keras.storage.run import Run


@dataclass(frozen=True)
class FinishedArm:
    """Runs that differ in the seed alone, and the name under which they are shown."""

    name: str
    runs: tuple[Run, ...]

    @property
    def config(self) -> Config:
        """What its runs have in common (see `settings.of_arm`)."""
        return of_arm(self.runs[0].config)


def by_arm(runs: Iterable[Run]) -> dict[tuple[Config, int], list[Run]]:
    """{(settings, n): runs}, in their order. A seed that is there once more is in group n = 1, and so on:
    two versions of a program, say, have equal settings and must not be averaged."""
    arms, seen = {}, Counter()
    for run in runs:
        settings = of_arm(run.config)
        arms.setdefault((settings, seen[settings, run.seed]), []).append(run)
        seen[settings, run.seed] += 1
    return arms
