"""Temporally-adaptive features learning, Eq. 6: `TAFConfig`."""

from absl import flags

from taf_keras.config import (
    BATCH_NORM_FRAMES,
    CHANGE_RATES,
    CONTRAST_ON,
    CONTRASTIVE_LOSSES,
    METHODS,
    TAFConfig,
)

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.choice(
        "method",
        TAFConfig.method,
        METHODS,
        "taf: Eq. 6; baseline: key frames only; slow: slow feature learning, Eq. 6 with every change rate 0; "
        "propagate and pseudo: explicit labels for the partners, by optical flow or from a trained baseline. "
        "Default: the paper's method.",
    )
    flag.number(
        "taf_weight",
        TAFConfig.weight,
        "λ, weight of the TAF term in Eq. 6, finite and 0 or more. The paper: 0.5 or 1 (Table 2). Default: "
        "ours, tuned on the synthetic val clips.",
    )
    rates = "; ".join(f"{model}: {','.join(map('{:g}'.format, c))}" for model, c in CHANGE_RATES.items())
    flag.rates(
        "change_rates",
        TAFConfig.change_rates,
        "c_1,…,c_m, one number for each branch of --model, slowest branch first: the change of the class "
        "probabilities that is free, mean absolute difference per frame, 0 or more; inf leaves a branch "
        "free (Eq. 4). Or NAME=c,…, where branches that are not named are free; for a model of your own the "
        "names are those of the layers whose outputs are swapped. auto: measured on --rates_from.",
        empty=f"ours, {rates}; the paper's (Section 5.3) are in the recipes",
        words=("auto",),
    )
    flag.text(
        "rates_from",
        TAFConfig.rates_from,
        "--change_rates=auto: model_dir of a trained baseline of the same --model.",
        empty="none, which auto refuses",
    )
    flag.number(
        "rates_quantile",
        TAFConfig.rates_quantile,
        "--change_rates=auto: c_i is this quantile, in [0, 1], of the baseline's δ_i per frame over pairs of "
        "training frames. Default: ours.",
    )
    flag.choice(
        "contrastive_loss",
        TAFConfig.contrastive_loss,
        CONTRASTIVE_LOSSES,
        "Distance δ of Eq. 3. The paper: l1 (Section 5.5).",
    )
    flag.choice(
        "contrast_on",
        TAFConfig.contrast_on,
        CONTRAST_ON,
        "What δ compares. The paper: probabilities; logits degenerate and are kept to show it (Section 5.5).",
    )
    flag.boolean(
        "relative_change_rates",
        TAFConfig.relative,
        "Measure change rates against the input's own mean absolute change instead of against the number "
        "of frames (Section 5.4). The paper's results: no.",
    )
    flag.choice(
        "batch_norm_frames",
        TAFConfig.batch_norm_frames,
        BATCH_NORM_FRAMES,
        "Frames of a training batch whose statistics batch norm uses, for all of the batch: key, the key "
        "frames before any swap; or all. The paper does not say. Default: ours, by measurement (README).",
    )
