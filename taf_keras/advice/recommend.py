"""What to begin with, from what the clips are like and what was gained on clips like them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from taf_keras.advice.nearest import FAR
from taf_keras.advice.places import NEW
from taf_keras.advice.survey import Survey
from taf_keras.advice.trial import trial
from taf_keras.config import OWN_TAF_WEIGHT, TAF_WEIGHT, TEMPORAL_CONTEXT

# How far a partner should have moved, as a share of the width: what ±3 frames are on the game clips. An
# assumption: there ±15 gained a little more, on the slow synthetic clips it gained less (docs/results.md).
_REACH = 0.09
_TOO_FAR = 2 * _REACH  # of the nearest partner
_ERRORS = 2  # a gain above so many standard errors is clear

WORTH, UNCLEAR, NOT, UNKNOWN, LABELLED = "worth a try", "unclear", "do not bother", "unknown", "not needed"


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        verdict: one of the constants above.
        flags: of train.py, to begin with where one tries TAF.
        reasons: (topic, sentences) in the order in which to read them.
        command: which finds out on the clips themselves.
    """

    verdict: str
    flags: dict[str, str]
    reasons: list[tuple[str, str]]
    command: str


def recommend(found: Survey, cells: pd.DataFrame, data_flags: list[str], rates_from: str | None) -> Advice:
    """The advice.

    Args:
        cells: of the map, nearest first, with their distance.
        data_flags: `--dataset=…` and what else names the clips.
        rates_from: folder of the baseline on which change rates were measured; None for none.
    """
    verdict, why = _verdict(found, cells)
    context, reach = _temporal_context(found)
    weight, weighed = _taf_weight(found)
    flags = {"temporal_context": str(context), "taf_weight": f"{weight:g}"}
    tuning = [(f"--temporal_context={context}", reach), (f"--taf_weight={weight:g}", weighed)]
    if rates_from:
        flags |= {"change_rates": "auto", "rates_from": rates_from}
        tuning.append((f"--change_rates=auto --rates_from={rates_from}", "Measured on it, as shown above."))
    else:
        measured = "--rates_from=RUN of this command measures them on a trained baseline."
        tuning.append(("--change_rates", f"Leave it out: one begins with the defaults. {measured}"))
    instead, sure = ("instead, or first", _instead(found)), ("how sure", _sureness(found, cells))
    early = verdict == NOT or found.places.verdict == NEW
    reasons = [instead, *tuning] if early else [*tuning, instead]
    reasons = [(f"TAF: {verdict}", why), *reasons, sure]
    return Advice(verdict, flags, reasons, trial(found, flags, data_flags))


def _verdict(found: Survey, cells: pd.DataFrame) -> tuple[str, str]:
    find_out = "What follows is where to begin, not a promise: the command below finds out."
    if found.is_labelled:
        return LABELLED, (
            f"{found.label_share:.0%} of the frames are labelled, and TAF learns from those that are not. "
            "Train a plain baseline. If the videos have more frames, python -m taf_keras.extract gets them."
        )
    if found.motion.doubt:
        return UNKNOWN, f"{found.motion.doubt}: which experiment is like your clips is not known. {find_out}"
    if cells.empty:
        return UNKNOWN, f"No experiment had {found.places.verdict} places in val. {find_out}"
    cell = cells.iloc[0]
    if cell.distance > FAR:
        far = f"No measurement is near yours. The nearest, {cell.cell}, {_compared(found, cell)}."
        return UNKNOWN, f"{far} {find_out}"
    gained = (
        f"On {cell.cell} ({cell.data}) labels on every frame gained {_points(cell['all'], cell.all_se)} "
        f"points of mIoU, and TAF {_points(cell.taf, cell.taf_se)}."
    )
    if math.isnan(cell["all"]):
        return UNCLEAR, f"{gained} What labels on every frame would give was not measured there."
    if cell["all"] >= _ERRORS * cell.all_se:
        help = f"{gained} Labels of neighbouring frames help there, and TAF stands in for them"
        if cell.taf >= _ERRORS * cell.taf_se:
            return WORTH, f"{help}."
        return UNCLEAR, f"{help}, though its own gain is not certain."
    return NOT, (
        f"{gained} Where labels of the neighbouring frames are not clearly worth anything, these frames "
        f"cannot be either.{_from_a_weaker_baseline(cells)}"
    )


def _from_a_weaker_baseline(cells: pd.DataFrame) -> str:
    """What the same clips gave without the augmentation, where both were tried."""
    cell, others = cells.iloc[0], cells.iloc[1:]
    others = others[others.distance == cell.distance]
    if others.empty:
        return ""
    other = others.iloc[0]
    return (
        f" From the weaker baseline of {other.cell} TAF gained {_points(other.taf, other.taf_se)}; the "
        f"better one is worth {cell.baseline - other.baseline:+.1f} by itself."
    )


def _temporal_context(found: Survey) -> tuple[int, str]:
    motion, gap = found.motion, found.partner_gap
    most = max(gap, min(TEMPORAL_CONTEXT, found.farthest))
    extract = "python -m taf_keras.extract gets nearer ones where the videos have them."
    if motion.doubt:
        return gap, f"{motion.doubt}: the nearest partners are taken. {extract}"
    share = max(motion.share_per_frame, 1e-6)
    wanted = _REACH / share
    context = max(1, gap, round(min(wanted, most)))
    moved = f"At {share:.1%} of the width a frame a partner has moved by up to {share * context:.0%}"
    if share * gap > _TOO_FAR:
        return context, f"{moved}, the nearest that there are; about {_REACH:.0%} is the aim. {extract}"
    bound = f", within {most} frames" if wanted > most else ""
    return context, f"{moved}; about {_REACH:.0%} is the aim{bound}."


def _taf_weight(found: Survey) -> tuple[float, str]:
    if found.data.dataset == "synthetic":
        return TAF_WEIGHT, f"λ = {TAF_WEIGHT:g} was tuned on these clips, for a backbone with random weights."
    return OWN_TAF_WEIGHT, (
        f"λ = {OWN_TAF_WEIGHT:g} is for filmed and game clips with ImageNet features; {TAF_WEIGHT:g} is the "
        "synthetic clips' own."
    )


def _instead(found: Survey) -> str:
    first = (
        "--color_jitter on the plain baseline, judged on val: it needs no other frames. It may gain as much, "
        "or cost something."
    )
    if found.places.verdict == NEW:
        return (
            f"{first} val shows new places: what is missing is other places, not other moments. More clips, "
            "augmentation or --method=mean_teacher are what to try."
        )
    return f"{first} Then more clips, and --method=mean_teacher, which learns from unlabelled frames too."


def _sureness(found: Survey, cells: pd.DataFrame) -> str:
    network = "All of the map is one network, DeepLabV3+ on MobileNetV2, at 96x128 px"
    if found.motion.doubt:
        return f"Motion was not measured, so that no experiment was compared with your clips. {network}."
    if cells.empty:
        return f"{network}, and nothing of it is like your clips."
    cell = cells.iloc[0]
    unknown = (
        " Whether val shows new places is not known, so that cells of both kinds count: --places says it."
    )
    return (
        f"{cell.cell} is {cell.seeds:g} seeds on {cell.labels:g} labelled frames, ± a standard error over "
        f"the seeds. It {_compared(found, cell)}.{'' if found.places.verdict else unknown} {network}."
    )


def _compared(found: Survey, cell: pd.Series) -> str:
    """'moves 1.1 × as far a frame as your clips, and its colours change 0.9 × as much'."""
    motion = cell.motion_share_per_frame / max(found.motion.share_per_frame, 1e-6)
    words = f"moves {motion:.2f} × as far a frame as your clips"
    light = cell.light_change_5 / max(found.motion.light_5, 1e-6)
    return words if math.isnan(light) else f"{words}, and its colours change {light:.2f} × as much"


def _points(value: float, error: float) -> str:
    return "—" if math.isnan(value) else f"{value:+.2f} ± {error:.2f}"
