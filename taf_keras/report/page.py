"""The sections of a report, from experiments to one HTML page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from taf_keras.experiments.comparison import METRICS
from taf_keras.experiments.settings import as_flags, changed, differing, settings
from taf_keras.progress import clock
from taf_keras.report.curves import draw_curves, read_histories
from taf_keras.report.gather import Experiment
from taf_keras.report.html import (
    POLICY,
    STYLE,
    Markup,
    element,
    escaped,
    figure,
    folded,
    picture,
    table,
)
from taf_keras.report.tables import LABELS, classes, named, results

_EXAMPLES = ("best", "median", "worst")  # of `pictures.write_pictures`


def write_page(path: Path, experiments: Sequence[Experiment], folders: Sequence[Path], left_out) -> None:
    """Writes the page; it holds its pictures and needs nothing else."""
    title = f"Report on {', '.join(map(str, folders))}"
    parts = [element("h1", title), _contents(experiments)]
    for number, experiment in enumerate(experiments, 1):
        parts += _experiment(experiment, f"e{number}")
    parts += _figures(folders)
    if left_out:
        lines = element("ul", *(element("li", line) for line in left_out))
        parts += [element("h2", "Left out"), lines]
    head = [
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{escaped(POLICY)}">'),
        element("title", title),
        element("style", Markup(STYLE)),
    ]
    page = element("html", element("head", *head), element("body", *parts), lang="en")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file's name need not be text.
    path.write_text(f"<!DOCTYPE html>\n{page}\n", encoding="utf-8", errors="replace")


def _contents(experiments: Sequence[Experiment]) -> Markup:
    links = [element("a", e.title, href=f"#e{number}") for number, e in enumerate(experiments, 1)]
    return element("nav", *links) if len(links) > 1 else Markup()


def _experiment(experiment: Experiment, anchor: str) -> list[Markup]:
    runs = sum(len(arm.runs) for arm in experiment.arms)
    counts = f"Arms: {len(experiment.arms)}. Runs: {runs}."
    return [
        element("h2", experiment.title[0].upper() + experiment.title[1:], id=anchor),
        element("p", counts, class_="soft"),
        *results(experiment),
        *classes(experiment),
        *_curves(experiment),
        *_examples(experiment),
        *_settings(experiment),
        *_repeat(experiment),
        *_runs(experiment),
    ]


def _curves(experiment: Experiment) -> list[Markup]:
    histories = [read_histories([run.folder for run in arm.runs]) for arm in experiment.arms]
    charts = draw_curves(histories)
    if not charts:
        return []
    images = {
        column: picture(svg, "svg+xml", f"{title} over epochs", "chart")
        for column, (title, svg) in charts.items()
    }
    legend = element("div", *(named(experiment, i) for i in range(len(experiment.arms))), class_="legend")
    branches = [image for column, image in images.items() if "/" in column]
    others = [image for column, image in images.items() if "/" not in column]
    parts = [
        element("h3", "Learning curves"),
        element(
            "p",
            "Mean over seeds ± standard deviation, smoothed over a fiftieth of the epochs.",
            class_="soft",
        ),
        legend,
        element("div", *others, class_="charts"),
    ]
    if branches:
        parts.append(
            folded(
                "δ of each branch, and how often it exceeds |n|·c_i",
                element("div", *branches, class_="charts"),
            )
        )
    return parts


def _examples(experiment: Experiment) -> list[Markup]:
    """Best, median and worst frames, of the first seed of each arm that has them."""
    parts = []
    for index, arm in enumerate(experiment.arms):
        for run in arm.runs:
            paths = {
                p.stem: p for p in sorted(run.folder.folder.glob("evaluation/*/*.png")) if p.stem in _EXAMPLES
            }
            if paths:
                shown = [
                    figure(
                        picture(paths[name].read_bytes(), "png", f"{name} frames", "photo"), f"{name} frames"
                    )
                    for name in _EXAMPLES
                    if name in paths
                ]
                summary = element("span", named(experiment, index), element("small", f" seed {run.seed}"))
                parts.append(folded(summary, *shown))
                break
    return [element("h3", "Predictions"), *parts] if parts else []


def _figures(folders: Sequence[Path]) -> list[Markup]:
    """Every other picture in the folders: those of studies and of sweeps."""
    paths = {
        path.resolve(): path
        for folder in folders
        for path in sorted(folder.rglob("*.png"))
        if path.stem not in _EXAMPLES
    }
    if not paths:
        return []
    shown = [figure(picture(path.read_bytes(), "png", path.stem, "photo"), path) for path in paths.values()]
    return [element("h2", "Figures"), element("div", *shown, class_="charts wide")]


def _settings(experiment: Experiment) -> list[Markup]:
    values = [settings(arm.config) for arm in experiment.arms]
    names = differing(values)
    head = ["flag", *(named(experiment, i) for i in range(len(experiment.arms)))]
    parts = [element("h3", "Settings")]
    if names:
        rows = [[name, *(own[name] or "default" for own in values)] for name in names]
        parts += [element("p", "What differs between the arms:", class_="soft"), table(head, rows)]
    common = [[name, text or "default"] for name, text in values[0].items() if name not in names]
    return [*parts, folded("What all arms have in common", table(["flag", "value"], common, "text"))]


def _repeat(experiment: Experiment) -> list[Markup]:
    values = [settings(arm.config) for arm in experiment.arms]
    names = differing(values)
    seeds = sorted({run.seed for arm in experiment.arms for run in arm.runs})
    lines = [
        "python -m taf_keras.sweep --output_dir=runs/again "
        + shlex.join([f"--seeds={','.join(map(str, seeds))}", f"--reference={_plain(experiment.reference)}"])
    ]
    for arm, own in zip(experiment.arms, values, strict=True):
        flags = as_flags({name: text for name, text in changed(own).items() if name in names})
        lines.append(shlex.join(["--arm", f"{_plain(arm.name)}: {shlex.join(flags)}".rstrip()]))
    common = as_flags({name: text for name, text in changed(values[0]).items() if name not in names})
    if common:
        lines.append(f"-- {shlex.join(common)}")
    text = " \\\n  ".join(lines)
    return [element("h3", "Repeat it"), element("pre", element("code", text))]


def _plain(name: str) -> str:
    """An arm's name as the sweep takes it: of an arm that is named by its path, with no slashes."""
    return name.lstrip("./").replace("/", "_") or "arm"


def _runs(experiment: Experiment) -> list[Markup]:
    rows = []
    for index, arm in enumerate(experiment.arms):
        for run in arm.runs:
            seconds = run.metrics.get("training_seconds")
            rows.append(
                [
                    named(experiment, index),
                    run.seed,
                    *(f"{100 * run.metrics[name]:.2f}" for name in METRICS),
                    run.metrics.get("steps", ""),
                    clock(seconds) if isinstance(seconds, int | float) and math.isfinite(seconds) else "",
                    run.folder.folder,
                ]
            )
    head = ["arm", "seed", *LABELS.values(), "steps", "training", "folder"]
    return [folded("Every run", table(head, rows))]
