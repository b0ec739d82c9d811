"""What a configuration means: its words and files become what they stand for, once, before everything."""

from __future__ import annotations

from dataclasses import replace

from taf_keras.config import Config, check_weights_file, with_model_file
from taf_keras.errors import UserError
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.storage.run import Run
from taf_keras.training.measure_rates import measured_rates


def resolve(config: Config, run: Run, cluster: Cluster) -> Config:
    """The configuration that trains: with the hash of the user's model file, and numbers for `auto`.

    Change rates that were measured when the run began are those of its config.json; else they are measured
    now. On other workers than the chief they stay `auto`: `build_strategy` brings the chief's.

    Raises: UserError for a folder of another run, or in which another process is at work, and for files and
        runs that the settings name and that cannot be used.
    """
    config = run.as_begun(with_model_file(config))
    run.check(config)
    check_weights_file(config.model.backbone_weights)
    if config.taf.method == "pseudo":
        _check_trained("teacher", config.partner_labels.teacher, config)
    if config.measures_rates:
        _check_trained("rates_from", config.taf.rates_from, config, same_model=True)
    if cluster.is_chief and not run.has_ended:
        run.refuse_if_held()
        if config.measures_rates:
            config = with_rates(config, measured_rates(config))
    return config


def with_rates(config: Config, change_rates: tuple[float, ...]) -> Config:
    return replace(config, taf=replace(config.taf, change_rates=change_rates))


def _check_trained(flag: str, folder: str, config: Config, same_model: bool = False) -> None:
    """UserError unless `folder` is a run that has ended, on the same data set (and of the same model)."""
    run = Run(folder)
    if not run.has_ended:
        raise UserError(f"--{flag}={folder}: is not the model_dir of a run that has ended")
    trained = run.config
    if trained.data.dataset != config.data.dataset:
        raise UserError(
            f"--{flag}={folder}: was trained on {trained.data.dataset}, not {config.data.dataset}"
        )
    if same_model and trained.model.model != config.model.model:
        raise UserError(f"--{flag}={folder}: is a {trained.model.model}, not a {config.model.model}")
