"""Explicit label augmentation, `--method=propagate` and `--method=pseudo`: `PartnerLabelConfig`."""

from absl import flags

from taf_keras.config import PartnerLabelConfig

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.number(
        "partner_label_weight",
        PartnerLabelConfig.weight,
        "Weight of the partners' cross entropy against the key frames' 1, finite and 0 or more. "
        "Default: ours.",
    )
    flag.number(
        "flow_tolerance_px",
        PartnerLabelConfig.flow_tolerance_px,
        "--method=propagate: a pixel counts where the flow to the key frame and back ends within this many "
        "pixels of it, finite and 0 or more. Default: ours.",
    )
    flag.text(
        "teacher",
        PartnerLabelConfig.teacher,
        "--method=pseudo: model_dir of the trained baseline whose predictions label the partners.",
        empty="none, which pseudo refuses",
    )
    flag.number(
        "confidence",
        PartnerLabelConfig.confidence,
        "--method=pseudo: a pixel counts where the teacher's most probable class has at least this "
        "probability, in [0, 1]. Default: ours.",
    )
