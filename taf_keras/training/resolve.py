"""What a configuration means: its words and files become what they stand for, once, before everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from taf_keras.config import Config, DataConfig, check_weights_file, with_model_file
from taf_keras.datasets.load import class_table, evaluation_split, needed_splits, splits
from taf_keras.errors import UserError
from taf_keras.storage.run import Run


def resolve(config: Config, run: Run) -> Config:
    """The configuration with the hash of the user's model file, and with the rates that the run began with.

    Change rates that are still `auto` can only be measured: everything else is looked at now.

    Raises: UserError for a folder of another run, and for files and runs that the settings name and that
        cannot be used.
    """
    config = run.as_begun(with_model_file(config))
    run.check(config)
    check_weights_file(config.model.backbone_weights)
    classes = class_table(config.data).names
    run.check_classes(classes)
    if config.taf.method == "pseudo":
        check_trained("teacher", config.partner_labels.teacher, config.data, classes)
    if config.measures_rates:
        check_trained("rates_from", config.taf.rates_from, config.data, classes, config.model.model)
    if config.training.init_from and not Run(config.training.init_from).has_ended:
        _refuse_unfinished("init_from", config.training.init_from)
    return _without_missing_validation(config)


def _without_missing_validation(config: Config) -> Config:
    """No validations where the data set has no val split and can do without.

    Raises: UserError where the best of them is asked for.
    """
    data, validations = config.data, config.runtime.validations
    if not validations or "val" in needed_splits(data) or "val" in splits(data):
        return config
    why = f"{data.data_dir} has no val split"
    if config.training.keep_best != "none":
        raise UserError(f"--keep_best={config.training.keep_best}: needs validations, and {why}")
    print(f"no validations: {why}; metrics.json is of {evaluation_split(data)}")
    return replace(config, runtime=replace(config.runtime, validations=0))


def _refuse_unfinished(flag: str, folder: str) -> NoReturn:
    raise UserError(f"--{flag}={folder}: is not the model_dir of a run that has ended")


def check_trained(
    flag: str, folder: str, data: DataConfig, classes: Sequence[str], model: str | None = None
) -> None:
    """Looks whether `folder` is a run that has ended, on the same data set and classes.

    Args:
        flag: that names the folder.
        classes: those of `data`.
        model: the `--model` that it must be of; None for any.
    Raises: UserError where it is not.
    """
    run = Run(folder)
    if not run.has_ended:
        _refuse_unfinished(flag, folder)
    trained = run.config
    if trained.data.dataset != data.dataset:
        raise UserError(f"--{flag}={folder}: was trained on {trained.data.dataset}, not {data.dataset}")
    if model and trained.model.model != model:
        raise UserError(f"--{flag}={folder}: is a {trained.model.model}, not a {model}")
    run.check_classes(classes)
