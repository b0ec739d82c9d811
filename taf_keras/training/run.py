"""A whole training run: from a configuration to a folder with metrics, checkpoints and an export."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace

from taf_keras.clips.clip import ClassTable, Split
from taf_keras.clips.decode import read_image
from taf_keras.config import Config, check_crop_size, check_weights_file, with_model_file
from taf_keras.datasets.load import class_table, evaluation_split
from taf_keras.errors import PartlyDone, UserError
from taf_keras.files import write_json, writing
from taf_keras.inspection.check import load_checked
from taf_keras.multi_worker.cluster import read_cluster
from taf_keras.progress import clock
from taf_keras.storage.run import Run


def train(config: Config) -> dict:
    """Trains, evaluates and exports the run that `config` describes, and says what it did.

    Everything that can be wrong with the input is looked at before the first step. A run that was
    interrupted goes on at its last checkpoint; one that has ended is not run again.

    Of several workers (TF_CONFIG) all call this with the same configuration, and the first alone writes.

    Returns: the metrics of the evaluation split, as in metrics.json; {} on other workers than the first.
    Raises: UserError for bad input, a loss that is not finite, a worker that is lost, a device without
        memory, or a disk that cannot be written; PartlyDone where an optional format of the export failed;
        Interrupted when a signal has stopped the run.
    """
    started = time.monotonic()

    # 1. What can be refused at once, without TensorFlow and without reading images.
    cluster = read_cluster(config)
    config = with_model_file(config)
    run, measured = Run(config.runtime.model_dir), config.measures_rates
    if config.measures_rates and run.config.is_file():
        config = _rates_of(run, config)
    run.check(config)
    check_weights_file(config.model.backbone_weights)
    classes = class_table(config.data)
    if config.taf.method == "pseudo":
        _check_trained("teacher", config.partner_labels.teacher, config)
    if config.measures_rates:
        _check_trained("rates_from", config.taf.rates_from, config, same_model=True)
    if run.has_ended:
        print(f"{run.folder}: this run has ended already; its metrics are in {run.metrics_file}")
        if config.runtime.export_formats and cluster.is_chief:
            with run.claim(config), writing(run.folder):
                _add_formats(run, config, classes)
        return run.metrics()
    if cluster.is_chief:
        run.refuse_if_held()
    names = dict.fromkeys(["train", evaluation_split(config.data)])
    if config.runtime.validations:
        names |= {"val": None}

    # 2. Files on disk are looked at before TensorFlow's seconds, clips generated after what it refuses.
    generates = config.data.dataset == "synthetic"
    splits = {} if generates else _load(config, names)
    from taf_keras.multi_worker.connection import broken_connections, from_chief
    from taf_keras.training.session import Session
    from taf_keras.training.strategy import build_strategy

    with broken_connections(cluster):
        strategy = build_strategy(config, cluster)
        if config.measures_rates:
            from taf_keras.training.measure_rates import with_measured_rates

            splits = splits or _load(config, names)
            config = with_measured_rates(config, splits["train"])
        if measured and cluster.is_distributed:
            rates = tuple(map(float, from_chief(strategy, config.change_rates)))
            config = replace(config, taf=replace(config.taf, change_rates=rates))
        session = Session(config, classes, cluster, strategy)
        splits = splits or _load(config, names)
        _check_input_size(config, splits, session.network)

        # 3. The work.
        metrics = {}
        with run.claim(config) if cluster.is_chief else nullcontext(), writing(run.folder):
            if cluster.is_chief:
                _announce(config, splits, session)
            outcome = session.train(splits, run)
            if cluster.is_chief:
                metrics = session.finish(splits, run) | outcome
                metrics["files_left_out"] = {name: len(split.left_out) for name, split in splits.items()}
                metrics["untrained_classes"] = list(splits["train"].absent_classes)
                metrics |= {"seed": config.training.seed, "seconds": time.monotonic() - started}
                write_json(
                    run.metrics_file, metrics
                )  # it says that the run has ended: what follows is optional
                _last_screen(run, metrics)
            session.wait_for_all()
            if cluster.is_chief:
                _add_formats(run, config, classes)
    return metrics


def _add_formats(run: Run, config: Config, classes: ClassTable) -> None:
    """Writes those of `export_formats` that the export lacks. Raises: PartlyDone for what failed."""
    from taf_keras.evaluation.network import exported_checkpoint, load_network
    from taf_keras.serving.export import check_formats, export_formats, missing_formats

    missing = missing_formats(run.export, config.runtime.export_formats)
    check_formats(missing)
    if not missing:
        return
    _, path = exported_checkpoint(run, config)
    single = replace(config, training=replace(config.training, dtype="float32"))
    failed = export_formats(lambda: load_network(single, classes.names, path), run.export, missing)
    for name, reason in failed.items():
        print(f"failed  {name}: {reason}")
    if done := [name for name in missing if name not in failed]:
        print(f"wrote   {', '.join(done)} beside {run.export}")
    if failed:
        raise PartlyDone(
            f"--export_formats={','.join(failed)}: could not be written ({next(iter(failed.values()))}); all "
            "else is there, and the same command tries it again"
        )


def _rates_of(run: Run, config: Config) -> Config:
    """`auto` was measured when the run began: resuming it takes the numbers of its config.json."""
    old = run.config.taf
    asked = (config.taf.rates_from, config.taf.rates_quantile)
    if (old.rates_from, old.rates_quantile) != asked:
        return config
    return replace(config, taf=replace(config.taf, change_rates=old.change_rates))


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


def _load(config: Config, names) -> dict[str, Split]:
    splits = {}
    for name in names:
        partners_within = config.data.temporal_context if name == "train" and config.uses_partners else 0
        splits[name] = load_checked(config.data, name, partners_within, config.runtime.threads)
    # Only the files tell whether the crop fits them.
    image = read_image(splits["train"].clips[0].key_frame.image, config.data.image_size)
    crop_size = config.data.crop_size or image.shape[:2]
    check_crop_size(crop_size, image.shape[:2], config.model.output_stride)
    return splits


def _check_input_size(config: Config, splits: dict[str, Split], network) -> None:
    """UserError where a model of the user's takes frames of one size alone, and gets others."""
    fixed = network.inputs[0].shape[1:3]
    if None in fixed:
        return
    image = read_image(splits["train"].clips[0].key_frame.image, config.data.image_size).shape[:2]
    if not fixed == image == tuple(config.data.crop_size or image):
        size = "x".join(map(str, fixed))
        raise UserError(f"--model={config.model.model}: takes {size} px alone: give --image_size={size}")


def _announce(config: Config, splits: dict[str, Split], session) -> None:
    counts = ", ".join(f"{len(split.clips)} {name}" for name, split in splits.items())
    print(f"data    {config.data.dataset}: {counts} clips")
    parameters = session.network.count_params()
    on = "" if config.model.is_own else f" on {config.model.backbone}"
    print(f"model   {config.model.model}{on}, {parameters:,} parameters")
    if config.taf.method in ("taf", "slow"):
        pairs = zip(config.branches, config.change_rates, strict=True)
        rates = ", ".join(f"{branch} {rate:g}" for branch, rate in pairs)
        print(f"method  {config.taf.method}, λ = {config.taf.weight:g}, change rates {rates}")
    elif config.taf.method == "propagate":
        tolerance_px = config.partner_labels.flow_tolerance_px
        print(f"method  propagate, labels by optical flow that returns to within {tolerance_px:g} px")
    elif config.taf.method == "pseudo":
        labels = config.partner_labels
        print(f"method  pseudo, labels of {labels.teacher} where it is {labels.confidence:.0%} sure")
    else:
        print("method  baseline, key frames only")
    print(f"devices {session.devices}")
    devices = f" on {session.replicas} replicas" if session.replicas > 1 else ""
    steps = config.training.epochs * config.steps_per_epoch(len(splits["train"].clips))
    print(f"steps   {steps} of {config.key_frames_per_step} key frames{devices}", flush=True)


def _last_screen(run: Run, metrics: dict) -> None:
    from taf_keras.evaluation.evaluate import describe

    print(
        f"\n{describe(metrics)}\n"
        f"{clock(metrics['seconds'])} in all, {clock(metrics['training_seconds'])} of it training\n\n"
        f"everything is in {run.folder}: metrics.json, history.csv, checkpoints/, tensorboard/, export/\n"
        f"  look at it     tensorboard --logdir={run.tensorboard}\n"
        f"  evaluate it    python evaluate.py --model_dir={run.folder} --split=val\n"
        f"  use it         python -m taf_keras.predict --model={run.export} IMAGE… --output_dir=DIR"
    )
