"""The part of a run that needs TensorFlow: model, training, evaluation, export."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

import keras
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.clips.load import evaluation_split
from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.models.build import build_model
from taf_keras.pipeline.batches import evaluation_batches, training_batches
from taf_keras.progress import Progress
from taf_keras.serving.export import check_formats, export_model
from taf_keras.storage import checkpoint
from taf_keras.storage.model_dir import ModelDir
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.callbacks import (
    SaveCheckpoints,
    ShowProgress,
    StepLogs,
    StopAtNaN,
    WriteHistory,
    WritePictures,
)
from taf_keras.training.collapse import WatchBranches
from taf_keras.training.optimizer import build_optimizer
from taf_keras.training.steps import WriteSteps, compile_arguments, end_calls_with_epochs
from taf_keras.training.strategy import build_strategy


class Session:
    """One run's model on its devices.

    Making one builds the model, so that weights and devices that cannot be had are refused here.

    Args:
        config: the run's settings.
        classes: class table of the data set.
    Raises: UserError for weights or devices that cannot be had.
    """

    def __init__(self, config: Config, classes):
        self.config, self.classes = config, classes
        check_formats(config.runtime.export_formats)
        self.strategy = build_strategy(config)
        self.replicas = self.strategy.num_replicas_in_sync
        config.check_accumulation(self.replicas)
        self.compile_arguments = compile_arguments(config.runtime, self.replicas)
        keras.utils.set_random_seed(config.training.seed)
        keras.config.set_dtype_policy(config.training.dtype)
        with self.strategy.scope():
            self.network = build_model(config.model, len(classes))
            self.teacher = _teacher(config, classes) if config.taf.method == "pseudo" else None

    def train(self, splits: dict[str, Split], run: ModelDir) -> dict:
        """Trains from the last checkpoint of `run`, or from the beginning, to the end.

        Args:
            splits: {"train": …} and, where validations are asked for, {"val": …}.
        Returns: {"steps": …, "training_seconds": … of this call}.
        Raises: UserError at a loss that is not finite, or a damaged checkpoint.
        """
        config = self.config
        steps_per_epoch = config.steps_per_epoch(len(splits["train"].clips))
        steps = config.training.epochs * steps_per_epoch
        with self.strategy.scope():
            trainer = TAFTrainer(
                self.network, config, ConfusionMatrix(self.classes.names), self.replicas, self.teacher
            )
            trainer.compile(build_optimizer(config.training, steps), **self.compile_arguments)
            trainer.optimizer.build(self.network.trainable_variables)
        first_step = _resume(trainer, run)
        began = time.monotonic()
        if first_step < steps:
            _fit(config, trainer, splits, run, first_step, steps, steps_per_epoch)
        return {"steps": steps, "training_seconds": time.monotonic() - began}

    def finish(self, splits: dict[str, Split], run: ModelDir) -> dict:
        """Evaluates and exports what was trained, with a model that knows nothing of replicas.

        Returns: the metrics of the evaluation split.
        """
        config, network = self.config, self.network
        if self.replicas > 1:
            network = build_model(replace(config.model, backbone_weights="random"), len(self.classes))
            network.set_weights(self.network.get_weights())
        final = splits[evaluation_split(config.data)]
        with Progress(f"evaluating {final.name}") as progress:
            metrics, _ = evaluate_split(
                network_predictor(network),
                final,
                config.data.image_size,
                config.runtime.reader_threads,
                progress,
            )
        export_model(network, self.classes, run.export, config.runtime.export_formats)
        return metrics


def _teacher(config: Config, classes) -> Callable:
    run = ModelDir(config.partner_labels.teacher)
    network = load_network(run.read_config(), classes.names, latest_checkpoint(run))
    return lambda images: network(images, training=False)


def _resume(trainer: TAFTrainer, run: ModelDir) -> int:
    """Loads the newest checkpoint. Returns: the steps that are done."""
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        return 0
    step, path = newest
    checkpoint.load(trainer, path)
    print(f"resuming at step {step} from {path}")
    return step


def _fit(config, trainer, splits, run, first_step, steps, steps_per_epoch) -> None:
    runtime, size = config.runtime, config.data.image_size
    epochs = config.training.epochs
    every = max(1, epochs // runtime.validations) if runtime.validations else epochs
    watchers = []
    if runtime.validations and config.swaps:
        watchers = [WatchBranches(trainer.network, config.model.branches, splits["val"], size)]
    callbacks = [
        StepLogs(config.training.batch_size),
        StopAtNaN(run.checkpoints, first_step),
        *watchers,
        WriteHistory(run.history, first_step // steps_per_epoch),
        WriteSteps(run.tensorboard / "steps", runtime.log_every, first_step),
        keras.callbacks.TensorBoard(run.tensorboard, update_freq="epoch", write_graph=False),
        SaveCheckpoints(run.checkpoints, every, epochs, steps_per_epoch),
    ]
    validation = {}
    if runtime.validations:
        validation = {
            "validation_data": evaluation_batches(
                splits["val"], size, reader_threads=runtime.reader_threads, replicas=trainer.replicas
            ),
            "validation_freq": every,
        }
        predict = network_predictor(trainer.network)
        callbacks.append(WritePictures(run.tensorboard / "pictures", predict, splits["val"], size))
    with Progress("training") as progress, _readers_errors():
        trainer.fit(
            end_calls_with_epochs(
                trainer, training_batches(splits["train"], config, first_step), steps_per_epoch
            ),
            initial_epoch=first_step // steps_per_epoch,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, ShowProgress(progress, first_step, steps)],
            **validation,
        )


@contextmanager
def _readers_errors():
    """Gives a UserError of the reader threads back as what it is; tf.data wraps it in one of its own."""
    try:
        yield
    except tf.errors.OpError as error:
        _, found, message = error.message.partition("UserError: ")
        if not found:
            raise
        raise UserError(message.splitlines()[0]) from None
