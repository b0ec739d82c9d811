"""A whole training run: from a configuration to a folder with metrics, checkpoints and an export."""

from __future__ import annotations

import time

import keras

from taf_keras.clips.check import check_split
from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.clips.load import class_table, evaluation_split, load_split
from taf_keras.config import Config, check_crop_size
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.evaluation.evaluate import describe, evaluate_split, network_predictor
from taf_keras.models.build import build_model
from taf_keras.pipeline.batches import evaluation_batches, training_batches
from taf_keras.progress import Progress, clock
from taf_keras.serving.export import export_model
from taf_keras.storage import checkpoint
from taf_keras.storage.model_dir import ModelDir, write_json
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.callbacks import (
    SaveCheckpoints,
    ShowProgress,
    StepLogs,
    StopAtNaN,
    WritePictures,
)
from taf_keras.training.optimizer import build_optimizer
from taf_keras.training.strategy import build_strategy


def train(config: Config) -> dict:
    """Trains, evaluates and exports the run that `config` describes, and says what it did.

    Everything that can be wrong with the input is looked at before the first step. A run that was
    interrupted goes on at its last checkpoint; one that has ended is not run again.

    Returns: the metrics of the evaluation split, as in metrics.json.
    Raises: UserError for bad input, or a loss that is not finite.
    """
    started = time.monotonic()

    # 1. What can be refused without reading data.
    run = ModelDir(config.runtime.model_dir)
    run.check(config)
    classes = class_table(config.data)
    strategy = build_strategy(config)
    keras.utils.set_random_seed(config.training.seed)
    keras.config.set_dtype_policy(config.training.dtype)
    with strategy.scope():
        network = build_model(config.model, len(classes))

    # 2. The data, and what can be wrong with it.
    splits = _load(config)
    training = splits["train"]
    _check_sizes(config, training)
    run.claim(config)
    if run.metrics.is_file():
        print(f"{run.path}: this run has ended already; metrics are in {run.metrics}")
        return run.read_metrics()

    # 3. Training.
    steps_per_epoch = config.steps_per_epoch(len(training.clips))
    steps = config.training.epochs * steps_per_epoch
    with strategy.scope():
        replicas = strategy.num_replicas_in_sync
        trainer = TAFTrainer(network, config, ConfusionMatrix(classes.names), replicas)
        trainer.compile(optimizer=build_optimizer(config.training, steps), jit_compile=False)
        trainer.optimizer.build(network.trainable_variables)
    _announce(config, splits, network, steps, replicas)
    first_step = _resume(trainer, run)
    began = time.monotonic()
    if first_step < steps:
        _fit(config, trainer, splits, run, first_step, steps, steps_per_epoch)
    trained = time.monotonic() - began

    # 4. Evaluation and export, with a model that knows nothing of replicas.
    if replicas > 1:
        weights = network.get_weights()
        network = build_model(config.model, len(classes))
        network.set_weights(weights)
    final = splits[evaluation_split(config.data)]
    with Progress(f"evaluating {final.name}") as progress:
        metrics, _ = evaluate_split(
            network_predictor(network), final, config.data.image_size, config.runtime.reader_threads, progress
        )
    export_model(network, classes, run.export)
    seconds = time.monotonic() - started
    metrics |= {"steps": steps, "seed": config.training.seed, "training_seconds": trained, "seconds": seconds}
    write_json(run.metrics, metrics)
    _last_screen(run, metrics)
    return metrics


def _load(config: Config) -> dict[str, Split]:
    names = dict.fromkeys(["train", evaluation_split(config.data)])
    if config.runtime.validations:
        names |= {"val": None}
    splits = {}
    for name in names:
        with Progress(f"reading {name} clips") as progress:
            splits[name] = load_split(config.data, name, progress)
        check_split(splits[name], config.runtime.reader_threads)
    return splits


def _check_sizes(config: Config, training: Split) -> None:
    """What only the files tell: whether the crop fits them."""
    image = read_image(training.clips[0].key_frame.image, config.data.image_size)
    crop_size = config.data.crop_size or image.shape[:2]
    check_crop_size(crop_size, image.shape[:2], config.model.output_stride)


def _resume(trainer: TAFTrainer, run: ModelDir) -> int:
    """Loads the newest checkpoint. Returns: the steps that are done."""
    found = checkpoint.checkpoints(run.checkpoints)
    if not found:
        return 0
    step = max(found)
    checkpoint.load(trainer, found[step])
    print(f"resuming at step {step} from {found[step]}")
    return step


def _fit(config, trainer, splits, run, first_step, steps, steps_per_epoch) -> None:
    runtime, size = config.runtime, config.data.image_size
    epochs = config.training.epochs
    every = max(1, epochs // runtime.validations) if runtime.validations else epochs
    callbacks = [
        StepLogs(config.training.batch_size),
        StopAtNaN(run.checkpoints, first_step),
        keras.callbacks.CSVLogger(run.history, append=first_step > 0),
        keras.callbacks.TensorBoard(run.tensorboard, update_freq=runtime.log_every, write_graph=False),
        SaveCheckpoints(run.checkpoints, every, epochs, steps_per_epoch),
    ]
    validation = {}
    if runtime.validations:
        validation = {
            "validation_data": evaluation_batches(splits["val"], size, reader_threads=runtime.reader_threads),
            "validation_freq": every,
        }
        predict = network_predictor(trainer.network)
        callbacks.append(WritePictures(run.tensorboard / "pictures", predict, splits["val"], size))
    with Progress("training") as progress:
        trainer.fit(
            training_batches(splits["train"], config, first_step),
            initial_epoch=first_step // steps_per_epoch,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, ShowProgress(progress, first_step, steps)],
            **validation,
        )


def _announce(config: Config, splits: dict[str, Split], network, steps: int, replicas: int) -> None:
    rates = ", ".join(f"{b} {c:g}" for b, c in zip(config.model.branches, config.change_rates, strict=True))
    counts = ", ".join(f"{len(split.clips)} {name}" for name, split in splits.items())
    print(f"data    {config.data.dataset}: {counts} clips")
    print(f"model   {config.model.model} on {config.model.backbone}, {network.count_params():,} parameters")
    if config.uses_partners:
        print(f"method  {config.taf.method}, λ = {config.taf.weight:g}, change rates {rates}")
    else:
        print("method  baseline, key frames only")
    devices = f" on {replicas} replicas" if replicas > 1 else ""
    print(f"steps   {steps} of {config.key_frames_per_step} key frames{devices}", flush=True)


def _last_screen(run: ModelDir, metrics: dict) -> None:
    print(
        f"\n{describe(metrics)}\n"
        f"{clock(metrics['seconds'])} in all, {clock(metrics['training_seconds'])} of it training\n\n"
        f"everything is in {run.path}: metrics.json, history.csv, checkpoints/, tensorboard/, export/\n"
        f"  look at it     tensorboard --logdir={run.tensorboard}\n"
        f"  evaluate it    python evaluate.py --model_dir={run.path} --split=val\n"
        f"  use it         python -m taf_keras.serving.predict --model={run.export} IMAGE… --output_dir=DIR"
    )
