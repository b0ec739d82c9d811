"""A study from the folders of the runs: what `evaluate.py --study` calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.clips.decode import read_image
from taf_keras.devices import out_of_memory, prepare
from taf_keras.errors import require, require_one_of
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.charts import log_picture, save_chart
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.experiments.comparison import uneven_classes
from taf_keras.experiments.grouping import named_runs
from taf_keras.experiments.same_data import uneven_training
from taf_keras.files import writes
from taf_keras.progress import Progress
from taf_keras.storage.run import Run
from taf_keras.studies import attenuation, class_change, consistency, difference, predictions, swap_interval
from taf_keras.studies.compared import common_data, read_arms
from taf_keras.studies.confusions import matrices_of_runs
from taf_keras.studies.footage import INTERVALS, Footage, load_footage
from taf_keras.studies.groups import compiled, groups_of


@dataclass(frozen=True)
class Study:
    """What a study measures and plots, and what it asks of the data.

    Attributes:
        measure: (network, footage, on_progress) -> table of one network; None for `difference`, whose table
            is of all at once.
        plot: (tables of all networks, footage) -> matplotlib figure.
        intervals: |n| in frames; (0,) looks at key frames alone.
        changes_branches: whether there is a branch to choose.
        clips: how many clips it takes unless told otherwise; None is all.
    """

    measure: Callable | None
    plot: Callable
    intervals: tuple[int, ...] = INTERVALS
    changes_branches: bool = True
    clips: int | None = None


STUDIES = {
    "swap_interval": Study(swap_interval.measure, swap_interval.plot),
    "predictions": Study(predictions.measure, predictions.plot, predictions.INTERVALS, clips=3),
    "attenuation": Study(attenuation.measure, attenuation.plot, intervals=(0,)),
    "class_change": Study(class_change.measure, class_change.plot, changes_branches=False),
    "consistency": Study(consistency.measure, consistency.plot, changes_branches=False),
    "difference": Study(None, difference.plot, intervals=(0,), changes_branches=False),
}


def run_study(
    study: str,
    model_dirs: Sequence[str],
    split: str | None = None,
    branch: str | None = None,
    max_clips: int | None = None,
    group_by: str | None = None,
    output_dir: str | None = None,
    data_dir: str | None = None,
) -> pd.DataFrame:
    """Compares runs, writes STUDY.csv and STUDY.png, and shows the picture in the TensorBoard of each run.

    Args:
        study: one of STUDIES.
        model_dirs: folders of runs, or folders of such folders (see `compared.read_arms`).
        split: `train`, `val` or `test`; None is the split of the first run's own metrics.json.
        branch: the branch to change; None is every one (for `predictions` the first).
        max_clips: as many clips of the split, evenly spaced; None is all (for `predictions` three).
        group_by: for `difference`, a regular expression that finds the group of a clip (see
            `groups.groups_of`); None makes each video a group.
        output_dir: None is `studies` in the folder of the first run.
        data_dir: where the data set lies now, if not where it lay in training.
    Returns: the table, one row per model, seed and whatever the study varies (of `difference` that of
        `difference.compare`).
    Raises: UserError for an unknown study or branch, runs that see different frames, a run without
        a checkpoint, a split without the frames that the study needs, and groups that are none.
    """
    require_one_of("study", study, STUDIES)
    chosen = STUDIES[study]
    expression = compiled(group_by)
    arms = read_arms(model_dirs)
    if chosen.measure is None:
        one = f"--study={study}: compares models with the first; --model_dir has one alone, {arms[0].name}"
        require(len(arms) > 1, one)
    else:
        require(expression is None, f"--group_by={group_by}: --study={study} has no groups of clips")
    named = named_runs(arms)
    runs = [run for _, run in named]
    _check_branch(study, branch, runs)
    if warning := uneven_training(named):
        print(warning, file=sys.stderr)
    checkpoints = list(map(reported_checkpoint, runs))
    data, split = common_data(runs, split, data_dir)
    prepare()
    clips = chosen.clips if max_clips is None else max_clips
    footage = load_footage(data, split, chosen.intervals, clips, runs[0].config.runtime.threads)
    for run in runs:
        run.check_classes(footage.split.classes.names)
    folder = Path(output_dir) if output_dir else runs[0].folder / "studies"
    with writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
    needs_memory = out_of_memory("smaller images need less")
    if chosen.measure is None:
        groups = groups_of(footage.split.clips, expression)
        with needs_memory:
            matrices = matrices_of_runs(runs, checkpoints, footage, folder / "confusion")
        results = [(name, run.seed, own) for (name, run), own in zip(named, matrices, strict=True)]
        table = difference.compare(results, footage.split.classes.names, groups)
        print(difference.describe(table))
        if warning := uneven_classes(difference.counted_classes(results)):
            print(warning, file=sys.stderr)
    else:
        with needs_memory:
            table = _measure(study, named, checkpoints, footage, branch)

    numbers = folder / f"{study}.csv"
    table.drop(columns="prediction", errors="ignore").to_csv(numbers, index=False)  # maps are for the picture
    picture = save_chart(chosen.plot(table, footage), folder / f"{study}.png")
    print(f"wrote   {numbers}, {picture.name}")
    for run in runs:
        log_picture(read_image(str(picture)), f"studies/{study}", run.tensorboard / "studies")
    return table


def _measure(
    study: str,
    named: Sequence[tuple[str, Run]],
    checkpoints: Sequence[Path],
    footage: Footage,
    branch: str | None,
) -> pd.DataFrame:
    """The tables of all networks, with the columns `model` and `seed` before them."""
    tables = []
    with Progress(study) as progress:
        progress(0, len(named) * len(footage.split.clips))
        for i, (name, run) in enumerate(named):
            network = load_network(run.config, footage.split.classes.names, checkpoints[i])
            network = BranchedNetwork(network, run.config.branch_layers, branch)

            def show(done, total, i=i):
                progress(i * total + done, len(named) * total)

            table = STUDIES[study].measure(network, footage, show)
            table.insert(0, "model", name)
            table.insert(1, "seed", run.seed)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _check_branch(study: str, branch: str | None, runs: Sequence[Run]) -> None:
    if not STUDIES[study].changes_branches:
        require(branch is None, f"--branch={branch}: --study={study} changes no branch")
        return
    for run in runs:
        model, allowed = run.config.model.model, run.config.branches
        require(
            bool(allowed),
            f"--study={study}: {run.folder} names no branch of {model}: a run of a "
            "model of your own has them in its --change_rates, a baseline too",
        )
        require(
            branch is None or branch in allowed,
            f"--branch={branch}: {model} ({run.folder}) has {', '.join(allowed)}",
        )
