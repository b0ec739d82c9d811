"""What `evaluate.py` evaluates: the arguments of `evaluation.run.evaluate`, or of a study's `run_study`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from absl import flags

from taf_keras.config import LEAST_1, SPLITS, RuntimeConfig
from taf_keras.settings import described, setting

from . import values

# Named here and not imported: what knows the studies imports TensorFlow, and --help must not.
STUDIES = ("swap_interval", "predictions", "attenuation", "class_change", "consistency", "difference")

_PLAIN = (
    *("model_dir", "split", "checkpoint", "saved_model", "output_dir", "data_dir", "eval_batch_size"),
    *("scales", "flip", "save_label_ids"),
)
_STUDY = ("study", "split", "branch", "max_clips", "group_by", "output_dir", "data_dir")
# Flags of which a command line may not have this: why.
_REFUSED = {
    ("checkpoint", "saved_model"): (
        lambda given: given["checkpoint"] and given["saved_model"],
        "allowed is one of the two, not both",
    ),
    ("model_dir", "study"): (
        lambda given: len(_folders(given["model_dir"])) > 1 and not given["study"],
        "several runs need a --study that compares them",
    ),
    ("study", "checkpoint", "saved_model"): (
        lambda given: given["study"] and (given["checkpoint"] or given["saved_model"]),
        "a study takes the checkpoint that each run reports",
    ),
    ("study", "eval_batch_size"): (
        lambda given: given["study"] and given["eval_batch_size"] is not None,
        "a study takes as many frames at once as have 2^21 pixels, at most 8",
    ),
    ("study", "scales", "flip", "save_label_ids"): (
        lambda given: given["study"] and (given["scales"] or given["flip"] or given["save_label_ids"]),
        "a study takes frames as they are, and writes no label maps",
    ),
    ("branch", "max_clips", "study"): (
        lambda given: (given["branch"] or given["max_clips"] is not None) and not given["study"],
        "only a --study has a branch or a number of clips",
    ),
    ("group_by", "study"): (
        lambda given: given["group_by"] and given["study"] != "difference",
        "only --study=difference has groups of clips",
    ),
}


@described
@dataclass(frozen=True)
class Evaluation:
    """The flags of evaluate.py.

    Attributes:
        model_dir: Folder of the run, as train.py wrote it. A --study takes several, with commas between them,
            and folders that hold one run per seed. Default: train.py's.
        study: Study of the paper: mIoU against the swap interval (Fig. 4), pictures of it (Fig. 5), accuracy
            without a branch (Fig. 6), how fast classes change (Fig. 7); consistency over time; and the
            difference in mIoU to the first model, with its error over seeds and its interval over groups of
            clips. Empty: the plain evaluation of one run.
        branch: Branch that --study=swap_interval, predictions or attenuation changes. Empty: every branch;
            for predictions the first.
        max_clips: Clips of the split that a --study takes, evenly spaced, {bound}. Empty: all; for
            predictions 3.
        group_by: Regular expression for --study=difference: what its first group, or else all of it, finds in
            the name of a video (a clip of a manifest) names the group of clips that the video is in, such as
            ^(.+)_ for the tracks of track_1, track_2. Empty: every video is a group.
        split: Split to evaluate. Empty: the evaluation split of the run, as in its metrics.json.
        checkpoint: Path of a checkpoint (.weights.h5) of the run's network. Empty: the one that
            its metrics.json is of, or the latest.
        saved_model: Folder of an exported SavedModel to evaluate instead of a checkpoint. Empty: a checkpoint
            is evaluated.
        output_dir: Folder for metrics.json and the pictures, or for the study's table and figure. Empty:
            evaluation/SPLIT in --model_dir; for a study studies/ in the first run.
        eval_batch_size: Frames that are evaluated at once, {bound}. Empty: that of the run, or as many as
            have 2^21 pixels together, at most 8.
        scales: Sizes at which each frame is segmented, as multiples of its own, such as 0.5,1,1.5; the class
            probabilities are averaged. Empty: its own size.
        flip: Segment each frame and its mirror image, and average the probabilities.
        save_label_ids: Write what is predicted as label maps, label_ids/NAME.png in --output_dir, of the size
            of the image file and with the ids of the data set's own label maps (Cityscapes: labelIds, as its
            test server takes them).
        data_dir: Folder in which the data set lies now. Empty: where it lay in training.
    """

    model_dir: str = setting(RuntimeConfig.model_dir)
    study: str | None = setting(None, choices=STUDIES)
    branch: str | None = setting(None)
    max_clips: int | None = setting(None, LEAST_1)
    group_by: str | None = setting(None)
    split: str | None = setting(None, choices=SPLITS)
    checkpoint: str | None = setting(None)
    saved_model: str | None = setting(None)
    output_dir: str | None = setting(None)
    eval_batch_size: int | None = setting(None, LEAST_1)
    scales: tuple[float, ...] | None = setting(None)
    flip: bool = setting(False)
    save_label_ids: bool = setting(False)
    data_dir: str | None = setting(None)


GROUPS = {"evaluation": Evaluation}


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    values.define(GROUPS, flag_values)
    for names, (wrong, message) in _REFUSED.items():
        flags.register_multi_flags_validator(
            names, lambda given, wrong=wrong: not wrong(given), message, flag_values
        )


def is_study(flag_values: flags.FlagValues = flags.FLAGS) -> bool:
    """Whether a study is asked for, not the plain evaluation. Call it after the flags are parsed."""
    return flag_values["study"].value is not None


def arguments(flag_values: flags.FlagValues = flags.FLAGS) -> dict:
    """The arguments of `evaluate`, None where a flag is empty. Call it after the flags are parsed."""
    return {name: flag_values[name].value for name in _PLAIN}


def study_arguments(flag_values: flags.FlagValues = flags.FLAGS) -> dict:
    """The arguments of `run_study`, None where a flag is empty. Call it after the flags are parsed."""
    given = {name: flag_values[name].value for name in _STUDY}
    return given | {"model_dirs": _folders(flag_values["model_dir"].value)}


def _folders(text: str) -> tuple[str, ...]:
    """The folders of a comma list; one that is there may have commas in its name, as a sweep's arms have."""
    parts, folders = text.split(","), []
    while parts:
        ends = range(len(parts), 0, -1)
        end = next((end for end in ends if os.path.isdir(",".join(parts[:end]))), 1)
        folders.append(",".join(parts[:end]))
        parts = parts[end:]
    return tuple(filter(None, folders))
