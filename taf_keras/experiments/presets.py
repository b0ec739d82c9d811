"""The paper's studies that train, as sweeps: sets of arms and the names of what they vary.

Each varies one thing and leaves all else as the flags say that are common to its arms. The paper's own
setting (Section 4.3) is `--flagfile=camvid_fcn8s_resnet50_taf --data_dir=CAMVID`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.experiments.arms import Arm, grid


@dataclass(frozen=True)
class Sweep:
    """Arms, what the axes of their points are called, and the arm with which they are compared."""

    axes: tuple[str, ...]
    arms: tuple[Arm, ...]
    reference: str = "baseline"


def change_rate(config: Config) -> Sweep:
    """Fig. 2: c_1 over 0, 1e-5, 1e-4, 1e-3, 1e-2, inf; the other branches keep their rates."""
    others = _rates(config)[1:]
    values = ("0", "1e-5", "1e-4", "1e-3", "1e-2", "inf")
    arms = [_taf(f"c1={c}", c, f"--change_rates={_join(config, (float(c), *others))}") for c in values]
    return Sweep(("c₁, change of the class probabilities per frame",), (_baseline(config), *arms))


def temporal_context(config: Config) -> Sweep:
    """Fig. 3: n_h, the largest distance of a partner, over 1, 3, 7, 15 frames.

    The paper goes beyond 15. Synthetic clips cannot: longer ones are other clips.
    """
    arms = [_taf(f"n_h={n}", n, f"--temporal_context={n}") for n in ("1", "3", "7", "15")]
    return Sweep(("n_h, temporal context in frames",), (_baseline(config), *arms))


def learning_rate_weight(config: Config) -> Sweep:
    """Section 5.2: learning rates 0.005 … 0.05 for the baseline, and with λ 0.5, 1, 2 for TAF."""
    rates = ("0.005", "0.01", "0.02", "0.025", "0.05")
    baseline = _baseline(config)
    arms = [
        Arm(f"baseline,lr={rate}", (*baseline.flags, f"--learning_rate={rate}"), (rate, "baseline"))
        for rate in rates
    ]
    for arm in grid({"learning_rate": rates, "taf_weight": ("0.5", "1", "2")}):
        rate, weight = arm.point
        arms.append(Arm(f"taf,lr={rate},weight={weight}", ("--method=taf", *arm.flags), arm.point))
    # 0.02 is the baselines' learning rate in most rows of Table 2.
    return Sweep(("initial learning rate", "λ"), tuple(arms), "baseline,lr=0.02")


def contrastive_loss(config: Config) -> Sweep:
    """Section 5.5: δ as l1, l2, symmetric cross entropy, and l1 on logits, which degenerates."""
    compared = [(name, name, "probabilities") for name in ("l1", "l2", "symmetric_cross_entropy")]
    arms = [
        _taf(name, name.replace("_", " "), f"--contrastive_loss={loss}", f"--contrast_on={space}")
        for name, loss, space in [*compared, ("l1_on_logits", "l1", "logits")]
    ]
    return Sweep(("contrastive loss δ",), (_baseline(config), *arms))


def relative_change_rate(config: Config) -> Sweep:
    """Section 5.4: c_i per frame, and relative to the input's own change: as they are, ×10, ×100, ×1000.

    The paper gives no rates for it. The input's mean change, a few hundredths, stands where the number of
    frames stood, so that equal rates leave some hundred times less slack: hence the factors, which are ours.
    """

    def arm(name: str, value: str, factor: int, relative: str) -> Arm:
        rates = _join(config, [factor * rate for rate in _rates(config)])
        return _taf(name, value, f"--change_rates={rates}", f"--relative_change_rates={relative}")

    arms = [arm("per_frame", "per frame", 1, "false")]
    arms += [arm(f"relative_x{f}", f"relative ×{f}", f, "true") for f in (1, 10, 100, 1000)]
    return Sweep(("change rates",), (_baseline(config), *arms))


SWEEPS: dict[str, Callable[[Config], Sweep]] = {
    sweep.__name__: sweep
    for sweep in (change_rate, temporal_context, learning_rate_weight, contrastive_loss, relative_change_rate)
}


def _baseline(config: Config) -> Arm:
    """Key frames only, as many a step as TAF has, so that the arms take the same steps."""
    key_frames = config.training.batch_size // 2
    return Arm("baseline", ("--method=baseline", f"--batch_size={key_frames}"))


def _taf(name: str, value: str, *flags: str) -> Arm:
    return Arm(name, ("--method=taf", *flags), (value,))


def _rates(config: Config) -> Sequence[float]:
    if config.measures_rates:
        raise UserError("--change_rates=auto: this study needs its numbers to vary them")
    return config.change_rates


def _join(config: Config, rates: Sequence[float]) -> str:
    """As --change_rates takes them: a model of the user's own has names for them."""
    texts = ["inf" if math.isinf(rate) else f"{rate:g}" for rate in rates]
    if config.model.is_own:
        texts = [f"{branch}={text}" for branch, text in zip(config.branches, texts, strict=True)]
    return ",".join(texts)
