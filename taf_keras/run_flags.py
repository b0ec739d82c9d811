"""A configuration as the flags of train.py: what distinguishes runs, and how to repeat one."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from taf_keras.config import (
    TEMPORAL_CONTEXT,
    Config,
    DataConfig,
    RuntimeConfig,
    TAFConfig,
    default_taf_weight,
    default_temporal_context,
)
from taf_keras.settings import text_of

# The scripts as a user types them: of an installed package, which has flags/ inside, or of a checkout.
_INSTALLED = (Path(__file__).parent / "flags").is_dir()
TRAIN_SHOWN = ("taf-train",) if _INSTALLED else ("python", "train.py")
EVALUATE_SHOWN = ("taf-evaluate",) if _INSTALLED else ("python", "evaluate.py")


def of_arm(config: Config, measured_rates: bool = False) -> Config:
    """The settings that the seeds of an arm share, as the flags of a sweep have them.

    The seed is left at its default. Where the teacher, the baseline that change rates are measured on, or the
    run that this one began with, is the run of the same seed, `{seed}` stands for it. Rates are `auto`
    again where they were measured.
    """
    taf, labels, training = config.taf, config.partner_labels, config.training
    rates = "auto" if measured_rates else taf.change_rates
    return replace(
        config,
        taf=replace(taf, change_rates=rates, rates_from=_of_any_seed(taf.rates_from, config)),
        partner_labels=replace(labels, teacher=_of_any_seed(labels.teacher, config)),
        training=replace(
            training, seed=Config().training.seed, init_from=_of_any_seed(training.init_from, config)
        ),
        runtime=RuntimeConfig(),
    )


def _of_any_seed(folder: str | None, config: Config) -> str | None:
    own = f"seed-{config.training.seed}"  # as the sweep names the folders of runs
    return folder and "/".join("seed-{seed}" if part == own else part for part in folder.split("/"))


def frames_seen(data: DataConfig, split: str) -> dict:
    """{setting: value} of those that decide which frames of a split are seen, and how large."""
    names = ["dataset", "data_dir", "image_size", "scene_seed", "drift", f"{split}_clips"]
    if split == "train":
        names += ["subset", "subset_seed", "label_fraction", "labels"]
    values = {name: getattr(data, name) for name in names}
    if data.dataset == "synthetic":
        del values["data_dir"]  # the clips are the same wherever they are kept
        values["temporal_context"] = max(TEMPORAL_CONTEXT, data.temporal_context)  # of longer clips
    return values


def settings(config: Config) -> dict[str, str]:
    """{flag: its text} of every setting on which the result depends, and `model_sha256`; without the seed."""
    values = {}
    for group in (getattr(config, group.name) for group in fields(config) if group.name != "runtime"):
        for field in fields(group):
            own = group.SETTINGS.get(field.name)
            values[own.flag if own else field.name] = text_of(getattr(group, field.name))
    del values["seed"]
    return values


def differing(several: Sequence[dict[str, str]]) -> list[str]:
    """The names of the settings that are not the same in all."""
    return [name for name in several[0] if len({own[name] for own in several}) > 1] if several else []


def changed(values: dict[str, str]) -> dict[str, str]:
    """Those of the flags that are not the defaults, of this data set and method."""
    dataset, method = values["dataset"], values["method"]
    default = settings(Config()) | {
        "temporal_context": text_of(default_temporal_context(dataset)),
        "taf_weight": text_of(default_taf_weight(dataset, method)),
        "model_sha256": values["model_sha256"],  # which has no flag
    }
    return {name: text for name, text in values.items() if text != default[name]}


def as_flags(values: dict[str, str]) -> list[str]:
    """{flag: its text} as words of a command line."""
    return [f"--{name}={text}" for name, text in values.items()]


def baseline_command(config: Config, model_dir: str) -> str:
    """The command line of a baseline that sees what a TAF run sees: as many key frames a step, and steps."""
    batch_size = config.key_frames_per_step
    taf, training = TAFConfig(method="baseline"), replace(config.training, batch_size=batch_size)
    words = changed(settings(replace(config, taf=taf, training=training)))
    words |= {"seed": str(config.training.seed), "model_dir": model_dir}
    return shlex.join([*TRAIN_SHOWN, *as_flags(words)])


def as_number(text: str) -> float:
    """NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
