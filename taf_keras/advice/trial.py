"""The one command that finds out on the clips themselves, with the oracle where labels allow it."""

from __future__ import annotations

import shlex

from taf_keras.advice.survey import Survey
from taf_keras.config import TrainingConfig

_BASELINE = f"--method=baseline --batch_size={TrainingConfig.batch_size // 2}"


def trial(found: Survey, flags: dict[str, str], data_flags: list[str]) -> str:
    """A sweep of a baseline and TAF; where more frames have labels than these two use, a third arm has all.

    All arms take about the same number of steps of as many labelled frames.

    Args:
        flags: of TAF's arm, without `--`.
        data_flags: `--dataset=…` and what else names the clips.
    """
    taf = " ".join(f"--{name}={shlex.quote(value)}" for name, value in flags.items())
    few, arms = "", {}
    if found.is_labelled:
        share = round(1 / (2 * (found.farthest // found.partner_gap) + 1), 3)  # one label in a window
        few = f" --label_fraction={share}"
        arms = {"all": f"{_BASELINE} {_epochs(share)}"}
    elif found.labelled > found.key_frames:
        arms = {"all": f"{_BASELINE} --labels=all {_epochs(found.key_frames / found.labelled)}"}
    arms = {"baseline": _BASELINE + few, "taf": taf + few} | arms
    quoted = [f'--arm "{name}: {words}"' for name, words in arms.items()]
    head = "python -m taf_keras.sweep --output_dir=runs/advice --seeds=0,1,2"
    judged = ["--eval_split=val"] if found.has_val else []
    own = " ".join(["--", *map(shlex.quote, data_flags), *judged])
    return " \\\n  ".join([head, *quoted, own])


def _epochs(share: float) -> str:
    """As many steps over all labels as the default epochs are over this share of them."""
    return f"--epochs={max(1, round(TrainingConfig.epochs * share))}"
