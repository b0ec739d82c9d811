"""A study from the folders of the runs: what `evaluate.py --study` calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taf_keras.clips.decode import read_image
from taf_keras.config import require, require_one_of
from taf_keras.devices import prepare
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.charts import log_picture, save_chart
from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.progress import Progress
from taf_keras.studies import attenuation, change_rate, consistency, predictions, swap_interval
from taf_keras.studies.footage import INTERVALS, load_footage
from taf_keras.studies.runs import ComparedRun, common_data, read_runs


@dataclass(frozen=True)
class Study:
    """What a study measures and draws, and what it asks of the data.

    Attributes:
        measure: (network, footage, on_progress) -> table of one network.
        draw: (tables of all networks, footage) -> matplotlib figure.
        intervals: |n| in frames; (0,) looks at key frames alone.
        changes_branches: whether there is a branch to choose.
        clips: how many clips it takes unless told otherwise; None is all.
    """

    measure: Callable
    draw: Callable
    intervals: tuple[int, ...] = INTERVALS
    changes_branches: bool = True
    clips: int | None = None


STUDIES = {
    "swap_interval": Study(swap_interval.measure, swap_interval.draw),
    "predictions": Study(predictions.measure, predictions.draw, predictions.INTERVALS, clips=3),
    "attenuation": Study(attenuation.measure, attenuation.draw, intervals=(0,)),
    "change_rate": Study(change_rate.measure, change_rate.draw, changes_branches=False),
    "consistency": Study(consistency.measure, consistency.draw, changes_branches=False),
}


def run_study(
    study: str,
    model_dirs: Sequence[str],
    split: str | None = None,
    branch: str | None = None,
    max_clips: int | None = None,
    output_dir: str | None = None,
    data_dir: str | None = None,
) -> pd.DataFrame:
    """Compares runs, writes STUDY.csv and STUDY.png, and shows the picture in the TensorBoard of each run.

    Args:
        study: one of STUDIES.
        model_dirs: folders of runs, or folders of such folders (see `runs.read_runs`).
        split: `train`, `val` or `test`; None is the split of the first run's own metrics.json.
        branch: the branch to change; None is every one (for `predictions` the first).
        max_clips: as many clips of the split, evenly spaced; None is all (for `predictions` three).
        output_dir: None is `studies` in the folder of the first run.
        data_dir: where the data set lies now, if not where it lay in training.
    Returns: the table, one row per model, seed and whatever the study varies.
    Raises: UserError for an unknown study or branch, runs that see different frames, a run without
        a checkpoint, and a split without the frames that the study needs.
    """
    require_one_of("study", study, STUDIES)
    chosen = STUDIES[study]
    runs = read_runs(model_dirs)
    _check_branch(study, branch, runs)
    checkpoints = [latest_checkpoint(run.folder) for run in runs]
    data, split = common_data(runs, split, data_dir)
    threads = runs[0].config.runtime.threads
    prepare()
    clips = chosen.clips if max_clips is None else max_clips
    footage = load_footage(data, split, chosen.intervals, clips, threads)

    tables = []
    with Progress(study) as progress:
        progress(0, len(runs) * len(footage.split.clips))
        for i, (run, checkpoint) in enumerate(zip(runs, checkpoints, strict=True)):
            network = load_network(run.config, footage.split.classes.names, checkpoint)
            network = BranchedNetwork(network, run.config.branch_layers, branch)

            def show(done, total, i=i):
                progress(i * total + done, len(runs) * total)

            table = chosen.measure(network, footage, show)
            table.insert(0, "model", run.model)
            table.insert(1, "seed", run.seed)
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)

    folder = Path(output_dir) if output_dir else runs[0].folder.folder / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / f"{study}.csv"
    table.drop(columns="prediction", errors="ignore").to_csv(numbers, index=False)  # maps are for the picture
    picture = save_chart(chosen.draw(table, footage), folder / f"{study}.png")
    for run in runs:
        log_picture(read_image(str(picture)), f"studies/{study}", run.folder.tensorboard / "studies")
    print(f"wrote   {numbers}, {picture.name}")
    return table


def _check_branch(study: str, branch: str | None, runs: Sequence[ComparedRun]) -> None:
    for run in runs:
        require(
            bool(run.config.branches) or not STUDIES[study].changes_branches,
            f"--study={study}: {run.folder.folder} names no branch of {run.config.model.model}: a run of a "
            "model of your own has them in its --change_rates, a baseline too",
        )
    if branch is None:
        return
    require(STUDIES[study].changes_branches, f"--branch={branch}: --study={study} changes no branch")
    for run in runs:
        allowed = run.config.branches
        require(
            branch in allowed,
            f"--branch={branch}: {run.config.model.model} ({run.folder.folder}) has {', '.join(allowed)}",
        )
