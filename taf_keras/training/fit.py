"""The epochs of a training, with all that happens beside its steps."""

from __future__ import annotations

from contextlib import contextmanager

import keras
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.config import Config
from taf_keras.devices import out_of_memory
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import Predict
from taf_keras.pipeline.batches import evaluation_batches, training_batches
from taf_keras.progress import Progress
from taf_keras.storage.checkpoint import Best
from taf_keras.storage.run import Run
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.begun_epoch import GoOnWithEpoch
from taf_keras.training.callbacks import (
    SaveCheckpoints,
    ShowProgress,
    StepLogs,
    StopAtNaN,
    WriteEpochs,
    WriteHistory,
    WritePictures,
)
from taf_keras.training.collapse import WatchBranches
from taf_keras.training.interruption import stop_requests
from taf_keras.training.steps import DeviceLogs, WriteSteps, end_calls_with_epochs
from taf_keras.training.strategy import distribute

_LESS_MEMORY = (
    "a smaller --batch_size or --crop_size needs less, and so does the same batch in "
    "--gradient_accumulation_steps; for validations there is --eval_batch_size"
)


def fit(
    config: Config,
    trainer: TAFTrainer,
    predict: Predict,
    splits: dict[str, Split],
    run: Run,
    writes: bool,
    first_step: int,
    sums: dict,
    best: Best,
) -> None:
    """Trains from `first_step` to the end.

    Args:
        predict: predicts with the trainer's network.
        splits: {"train": …} and, where validations are asked for, {"val": …}.
        writes: whether this process writes the run's folder, as the first of several workers does.
        sums: `begun_epoch.epoch_sums` of an epoch that had begun.
        best: the best validation until `first_step`.
    Raises: UserError where something is not finite or a device has no memory left, Interrupted when a signal
        has stopped the run.
    """
    steps_per_epoch = config.steps_per_epoch(len(splits["train"].clips))
    steps = config.training.epochs * steps_per_epoch
    strategy, runtime, size = trainer.distribute_strategy, config.runtime, config.data.image_size
    validation = {}
    if runtime.validations:

        def val_batches(share):
            return evaluation_batches(splits["val"], size, runtime.eval_batch_size, runtime.threads, share)

        validation = {
            "validation_data": distribute(strategy, val_batches),
            "validation_freq": validated_epochs(config),
        }
    with (
        Progress("training") as progress,
        _readers_errors(),
        out_of_memory(_LESS_MEMORY),
        stop_requests() as request,
    ):
        frame = read_image(splits["train"].clips[0].key_frame.image, size) if writes else None
        finite = StopAtNaN(run.checkpoints, runtime.log_every, first_step, predict, frame)
        callbacks = [GoOnWithEpoch(sums), StepLogs(config.training.batch_size), finite]
        if writes:
            callbacks += _writers(
                config, trainer, predict, splits, run, first_step, steps_per_epoch, progress
            )
            callbacks.append(
                SaveCheckpoints(
                    run.checkpoints,
                    validated_epochs(config),
                    runtime.checkpoint_minutes,
                    steps_per_epoch,
                    first_step,
                    request,
                    finite.check,
                    best if config.training.keep_best == "miou" else None,
                )
            )
        for first, end in _stretches(first_step, steps, steps_per_epoch):

            def batches(share, first=first, end=end):
                # Without an end: from their number, Keras, which counts full calls, would stop too early.
                return training_batches(splits["train"], config, first, end, share).repeat()

            steps_of_epoch = min(end - first, steps_per_epoch)
            end_calls_with_epochs(trainer, steps_of_epoch)
            epochs = -(-end // steps_per_epoch)
            trainer.fit(
                distribute(strategy, batches),
                initial_epoch=first // steps_per_epoch,
                epochs=epochs,
                steps_per_epoch=steps_of_epoch,
                shuffle=False,
                verbose=0,
                callbacks=DeviceLogs(
                    callbacks, add_history=True, model=trainer, epochs=epochs, steps=steps_of_epoch
                ),
                **validation,
            )


def _writers(
    config, trainer, predict, splits, run, first_step, steps_per_epoch, progress
) -> list[keras.callbacks.Callback]:
    """What writes figures and pictures. After those that add to the logs."""
    runtime, size = config.runtime, config.data.image_size
    callbacks = []
    if runtime.validations and config.swaps:
        callbacks.append(WatchBranches(trainer.network, config.branch_layers, splits["val"], size))
    callbacks += [
        WriteHistory(run.history_file, first_step // steps_per_epoch),
        WriteSteps(run.step_logs, runtime.log_every, first_step),
        WriteEpochs(run.tensorboard, update_freq="epoch", write_graph=False),
    ]
    if runtime.validations:
        callbacks.append(WritePictures(run.tensorboard / "pictures", predict, splits["val"], size))
    return [*callbacks, ShowProgress(progress, first_step, config.training.epochs * steps_per_epoch)]


def validated_epochs(config: Config) -> list[int]:
    """The epochs, counted from 1, after which there are a validation and a checkpoint.

    They are `--validations`, evenly spread, or all where there are fewer; the last is always among them.
    """
    epochs = config.training.epochs
    count = min(max(1, config.runtime.validations), epochs)
    return [epochs * i // count for i in range(1, count + 1)]


def _stretches(first_step: int, steps: int, steps_per_epoch: int) -> list[tuple[int, int]]:
    """The steps to be done as ranges: the rest of an epoch that has begun, and the whole epochs."""
    whole = -(-first_step // steps_per_epoch) * steps_per_epoch
    return [stretch for stretch in ((first_step, whole), (whole, steps)) if stretch[0] < stretch[1]]


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
