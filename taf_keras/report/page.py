"""A report's page: what `report.html.jinja` shows, from the runs."""

from __future__ import annotations

import base64
import math
import shlex
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from taf_keras.experiments.comparison import uneven_classes
from taf_keras.experiments.grouping import named_runs
from taf_keras.experiments.same_data import uneven_training
from taf_keras.files import write_bytes, writes
from taf_keras.pages.environment import environment
from taf_keras.progress import clock
from taf_keras.report.curves import arm_colour, plot_curves, read_histories
from taf_keras.report.gather import Experiment
from taf_keras.report.tables import LABELS, classes, results, weights
from taf_keras.run_flags import as_flags, changed, differing, settings
from taf_keras.storage.run import METRICS, Run

_EXAMPLES = ("best", "median", "worst")  # of `pictures.write_pictures`
_LABEL_MAPS = {"label_ids", "pictures"}  # folders of evaluate.py --save_label_ids and of taf_keras.view


def write_page(path: Path, experiments: Sequence[Experiment], folders: Sequence[Path], left_out) -> list[str]:
    """Writes the page; it holds its pictures and needs nothing else.

    Returns: the lines of `left_out`, and one for each run whose learning curve cannot be read.
    """
    shown, damaged = zip(*map(_experiment, experiments), strict=True)
    left_out = [*left_out, *chain(*damaged)]
    page = environment(Path(__file__).parent).get_template("report.html.jinja")
    text = page.render(
        title=f"Report on {', '.join(map(str, folders))}",
        labels=list(LABELS.values()),
        experiments=shown,
        figures=_figures(folders),
        left_out=left_out,
    )
    with writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode("utf-8", "replace"))  # a file's name need not be text
    return left_out


def _experiment(experiment: Experiment) -> tuple[dict, list[str]]:
    """What the page shows of it, and a line for each run whose learning curve cannot be read."""
    arms = [{"name": arm.name, "colour": arm_colour(i)} for i, arm in enumerate(experiment.arms)]
    by_arm = list(zip(arms, (arm.runs for arm in experiment.arms), strict=True))
    values = [settings(arm.config) for arm in experiment.arms]
    names = differing(values)
    histories, damaged = zip(*(read_histories(runs) for _, runs in by_arm), strict=True)
    curves = plot_curves(histories)
    charts = {column: _picture(svg, "svg+xml", title) for column, (title, svg) in curves.items()}
    found = {
        "title": experiment.title,
        "reference": experiment.reference,
        "arms": arms,
        "results": [
            (label, [{"arm": arm} | row for arm, row in zip(arms, results(experiment, metric), strict=True)])
            for metric, label in LABELS.items()
        ],
        "weights": weights(experiment),
        "uneven": [uneven_classes(experiment.results), uneven_training(named_runs(experiment.arms))],
        "class_iou": classes(experiment, "per_class_iou"),
        "class_accuracy": classes(experiment, "per_class_accuracy"),
        "curves": [chart for column, chart in charts.items() if "/" not in column],
        "branch_curves": [chart for column, chart in charts.items() if "/" in column],
        "examples": [(arm, *shown) for arm, runs in by_arm if (shown := _examples(runs))],
        "differing": [[name, *(own[name] or "default" for own in values)] for name in names],
        "common": [(name, text or "default") for name, text in values[0].items() if name not in names],
        "command": _command(experiment, values, names),
        "runs": [(arm, *_run(run)) for arm, runs in by_arm for run in runs],
    }
    return found, list(chain(*damaged))


def _examples(runs: Iterable[Run]) -> tuple[int, list[dict]] | None:
    """(seed, its best, median and worst frames) of the first run that has them."""
    for run in runs:
        folder = run.folder / "evaluation" / run.metrics["split"]
        paths = {path.stem: path for path in sorted(folder.glob("*.png"))}
        shown = [_photo(paths[name], f"{name} frames") for name in _EXAMPLES if name in paths]
        if shown:
            return run.seed, shown
    return None


def _figures(folders: Iterable[Path]) -> list[dict]:
    """Every other picture in the folders: those of studies and of sweeps."""
    found = (
        path
        for folder in folders
        for path in sorted(folder.rglob("*.png"))
        if path.stem not in _EXAMPLES and not _LABEL_MAPS & set(path.relative_to(folder).parts)
    )
    paths = {path.resolve(): path for path in found}
    return [_photo(path, path.stem) | {"caption": path} for path in paths.values()]


def _photo(path: Path, text: str) -> dict:
    return _picture(path.read_bytes(), "png", text) | {"caption": text}


def _picture(data: bytes, kind: str, text: str) -> dict:
    """A picture within the page; `text` says what it shows."""
    return {"source": f"data:image/{kind};base64,{base64.b64encode(data).decode()}", "text": text}


def _command(experiment: Experiment, values: Sequence[dict[str, str]], names: Sequence[str]) -> str:
    """The sweep that repeats the runs: `values` are the settings of the arms, `names` those that differ."""
    seeds = sorted({run.seed for arm in experiment.arms for run in arm.runs})
    own = [f"--seeds={','.join(map(str, seeds))}", f"--reference={_plain(experiment.reference)}"]
    lines = [f"python -m taf_keras.sweep --output_dir=runs/again {shlex.join(own)}"]
    for arm, settings_ in zip(experiment.arms, values, strict=True):
        flags = as_flags({name: text for name, text in changed(settings_).items() if name in names})
        lines.append(shlex.join(["--arm", f"{_plain(arm.name)}: {shlex.join(flags)}".rstrip()]))
    given = {name for own in values for name in changed(own)}  # a default is that of a method
    common = as_flags({name: text for name, text in values[0].items() if name in given - set(names)})
    if common:
        lines.append(f"-- {shlex.join(common)}")
    return " \\\n  ".join(lines)


def _plain(name: str) -> str:
    """An arm's name as the sweep's --arm takes it: without the slashes of a path, and without colons."""
    return name.lstrip("./").replace("/", "_").replace(":", "_") or "arm"


def _run(run: Run) -> tuple:
    seconds = run.metrics.get("training_seconds")
    known = isinstance(seconds, int | float) and math.isfinite(seconds)
    return (
        run.seed,
        *(f"{100 * run.metrics[name]:.2f}" for name in METRICS),
        str(run.metrics.get("steps", "")),
        clock(seconds) if known else "",
        run.folder,
    )
