"""What `evaluate.py` evaluates: the arguments of `taf_keras.evaluation.run.evaluate`."""

from absl import flags

from flags.values import FlagDefiner
from taf_keras.config import SPLITS, RuntimeConfig

_NAMES = ("model_dir", "split", "checkpoint", "saved_model", "output_dir", "data_dir")


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.text(
        "model_dir", RuntimeConfig.model_dir, "Folder of the run, as train.py wrote it. Default: train.py's."
    )
    flag.choice(
        "split",
        None,
        SPLITS,
        "Split to evaluate.",
        empty="the evaluation split of the run, as in its metrics.json",
    )
    flag.text(
        "checkpoint",
        None,
        "Path of a checkpoint (.weights.h5) of the run's network.",
        empty="the latest of the run",
    )
    flag.text(
        "saved_model",
        None,
        "Folder of an exported SavedModel to evaluate instead of a checkpoint.",
        empty="a checkpoint is evaluated",
    )
    flag.text(
        "output_dir",
        None,
        "Folder for metrics.json and the pictures.",
        empty="evaluation/SPLIT in --model_dir",
    )
    flag.text("data_dir", None, "Folder in which the data set lies now.", empty="where it lay in training")
    flags.register_multi_flags_validator(
        ("checkpoint", "saved_model"),
        lambda values: not (values["checkpoint"] and values["saved_model"]),
        "allowed is one of the two, not both",
        flag_values,
    )


def arguments(flag_values: flags.FlagValues = flags.FLAGS) -> dict[str, str | None]:
    """The arguments of `evaluate`, None where a flag is empty. Call it after the flags are parsed."""
    return {name: flag_values[name].value for name in _NAMES}
