"""What `evaluate.py` evaluates: the arguments of `evaluation.run.evaluate`, or of a study's `run_study`."""

from absl import flags

from taf_keras.config import SPLITS, RuntimeConfig

from .values import FlagDefiner

# Named here and not imported: what knows the studies imports TensorFlow, and --help must not.
STUDIES = ("swap_interval", "predictions", "attenuation", "change_rate", "consistency")

_PLAIN = ("model_dir", "split", "checkpoint", "saved_model", "output_dir", "data_dir", "eval_batch_size")
_STUDY = ("study", "split", "branch", "max_clips", "output_dir", "data_dir")


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.text(
        "model_dir",
        RuntimeConfig.model_dir,
        "Folder of the run, as train.py wrote it. Default: train.py's. A --study takes several, with commas "
        "between them, and folders that hold one run per seed.",
    )
    flag.choice(
        "study",
        None,
        STUDIES,
        "Study of the paper: mIoU against the swap interval (Fig. 4), pictures of it (Fig. 5), accuracy "
        "without a branch (Fig. 6), how fast classes change (Fig. 7); and consistency over time.",
        empty="the plain evaluation of one run",
    )
    flag.text(
        "branch",
        None,
        "Branch that --study=swap_interval, predictions or attenuation changes.",
        empty="every branch; for predictions the first",
    )
    flag.integer(
        "max_clips",
        None,
        "Clips of the split that a --study takes, evenly spaced, 1 or more.",
        empty="all; for predictions 3",
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
        "Folder for metrics.json and the pictures, or for the study's table and figure.",
        empty="evaluation/SPLIT in --model_dir; for a study studies/ in the first run",
    )
    flag.integer(
        "eval_batch_size",
        None,
        "Frames that are evaluated at once, 1 or more.",
        empty="that of the run, or as many as have 2^21 pixels together, at most 8",
    )
    flag.text("data_dir", None, "Folder in which the data set lies now.", empty="where it lay in training")
    _refuse(
        flag_values,
        ("checkpoint", "saved_model"),
        lambda given: given["checkpoint"] and given["saved_model"],
        "allowed is one of the two, not both",
    )
    _refuse(
        flag_values,
        ("model_dir", "study"),
        lambda given: "," in given["model_dir"] and not given["study"],
        "several runs need a --study that compares them",
    )
    _refuse(
        flag_values,
        ("study", "checkpoint", "saved_model"),
        lambda given: given["study"] and (given["checkpoint"] or given["saved_model"]),
        "a study takes the latest checkpoint of each run",
    )
    _refuse(
        flag_values,
        ("study", "eval_batch_size"),
        lambda given: given["study"] and given["eval_batch_size"] is not None,
        "a study takes one frame at a time",
    )
    _refuse(
        flag_values,
        ("branch", "max_clips", "study"),
        lambda given: (given["branch"] or given["max_clips"] is not None) and not given["study"],
        "only a --study has a branch or a number of clips",
    )


def is_study(flag_values: flags.FlagValues = flags.FLAGS) -> bool:
    """Whether a study is asked for, not the plain evaluation. Call it after the flags are parsed."""
    return flag_values["study"].value is not None


def arguments(flag_values: flags.FlagValues = flags.FLAGS) -> dict[str, str | None]:
    """The arguments of `evaluate`, None where a flag is empty. Call it after the flags are parsed."""
    return {name: flag_values[name].value for name in _PLAIN}


def study_arguments(flag_values: flags.FlagValues = flags.FLAGS) -> dict:
    """The arguments of `run_study`, None where a flag is empty. Call it after the flags are parsed."""
    given = {name: flag_values[name].value for name in _STUDY}
    return given | {"model_dirs": tuple(filter(None, flag_values["model_dir"].value.split(",")))}


def _refuse(flag_values: flags.FlagValues, names: tuple[str, ...], wrong, message: str) -> None:
    """Refuses a command line for which wrong({name: value}) holds."""
    flags.register_multi_flags_validator(names, lambda given: not wrong(given), message, flag_values)
