"""Whether runs that are compared saw the same: frames in evaluation, clips in training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from taf_keras.config import Config
from taf_keras.run_flags import frames_seen
from taf_keras.settings import text_of
from taf_keras.storage.run import Run


def evaluated_on(runs: Sequence[Run]) -> list[str]:
    """What the metrics of each run are of: equal texts where it is the same.

    A text has the split, how many frames, and the settings and classes that are not the same in all runs. The
    folder of the data does not count: one with more labels to train on may have the same frames to evaluate.
    """
    texts = list(map(_seen, runs))
    found = defaultdict(set)
    for own in texts:
        for name, text in own.items():
            found[name].add(text)
    named = [[f"{name}={own[name]}" for name in own if len(found[name]) > 1] for own in texts]
    return [
        ", ".join([run.metrics["split"], f"{run.metrics['frames']} frames", *differing])
        for run, differing in zip(runs, named, strict=True)
    ]


def _seen(run: Run) -> dict[str, str]:
    settings = frames_seen(run.config.data, run.metrics["split"])
    texts = {name: text_of(value) for name, value in settings.items() if name not in ("dataset", "data_dir")}
    return texts | {"classes": ",".join(run.metrics["per_class_iou"])}


def uneven_frames(results: pd.DataFrame) -> str:
    """A warning where some runs were evaluated on other frames than others; else empty.

    Args:
        results: as of `comparison.results_of`.
    """
    several = results.drop_duplicates("evaluated_on")
    if len(several) < 2:
        return ""
    one, other = several.iloc[0], several.iloc[1]
    return (
        f"warning: {one.arm}, seed {one.seed} was evaluated on {one.evaluated_on}; {other.arm}, seed "
        f"{other.seed} on {other.evaluated_on}: between such runs differences are left out"
    )


def uneven_training(runs: Iterable[tuple[str, Run]]) -> str:
    """A warning where runs with the same settings of the data were trained on other clips; else empty.

    Labels were added between them, say. Runs of earlier versions do not say what they were trained on.

    Args: (arm's name, run) of each.
    """
    first = {}
    for arm, run in runs:
        clips = run.train_clips
        if clips is None:
            continue
        other, asked, there = first.setdefault(_asked(run.config), (arm, run, clips))
        if clips != there:
            return (
                f"warning: {arm}, seed {run.seed} was trained on other clips ({clips.get('count')}) than "
                f"{other}, seed {asked.seed} ({there.get('count')}), with the same settings: the data have "
                "changed between them; in another folder both can be trained anew"
            )
    return ""


def _asked(config: Config) -> tuple:
    """The settings that decide which clips of a folder are trained on."""
    data = config.data
    # Without val.csv the context sets how far those that train are from those of validation.
    asked = (*frames_seen(data, "train").items(), data.temporal_context)
    # What is left out depends on what the method needs.
    return asked if data.on_bad_file == "refuse" else (*asked, data, config.taf.method)
