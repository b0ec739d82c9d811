"""Runs of an experiment that are on disk, grouped into arms: they differ in the seed alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

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
        """What its runs have in common (see `run_flags.of_arm`)."""
        return _settings(self.runs[0])


def named_runs(arms: Iterable[FinishedArm]) -> list[tuple[str, Run]]:
    """(name of its arm, run) of each, arm after arm."""
    return [(arm.name, run) for arm in arms for run in arm.runs]


def by_arm(runs: Iterable[Run]) -> dict[tuple[Config, int], list[Run]]:
    """{(settings, n): runs}, in their order. A seed that is there once more is in group n = 1, and so on:
    two versions of a program, say, have equal settings and must not be averaged.

    Runs that lie in one folder stay together: a folder is in the first group that has none of its seeds. So
    do the folders beside it, the arms of a sweep: first come those of the place with most runs.
    """
    runs = list(runs)
    folders, again, beside = {}, Counter(), Counter()
    for run in runs:
        place = _settings(run), os.path.dirname(os.path.abspath(run.folder))
        earlier = again[place, run.seed]  # runs of its seed in the folder
        folders.setdefault(place, []).append((run, earlier))
        again[place, run.seed] += 1
        beside[os.path.dirname(place[1])] += 1

    def rank(folder):
        (_, path), own = folder
        sweep = os.path.dirname(path)
        return -beside[sweep], sweep, -len(own)

    taken, groups = set(), {}
    for (settings, _), own in sorted(folders.items(), key=rank):
        first = next(
            n for n in count() if not any((settings, n + earlier, run.seed) in taken for run, earlier in own)
        )
        for run, earlier in own:
            groups[run] = settings, first + earlier
            taken.add((*groups[run], run.seed))
    arms = {}
    for run in runs:
        arms.setdefault(groups[run], []).append(run)
    return arms


def _settings(run: Run) -> Config:
    return of_arm(run.config, run.has_measured_rates)
