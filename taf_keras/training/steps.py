"""Steps: how they are compiled, how many run in one call, in which stretches, and what counts them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from taf_keras.config import Config, RuntimeConfig
from taf_keras.errors import UserError


def compile_arguments(runtime: RuntimeConfig, replicas: int, deterministic: bool) -> dict:
    """`steps_per_execution` and `jit_compile` of `keras.Model.compile`.

    Raises: UserError for what does not work with several replicas, or deterministic operations.
    """
    if runtime.steps_per_execution > 1 and replicas > 1:
        # TensorFlow 2.21 fails in the first call: "You must feed a value for placeholder tensor while/…"
        raise UserError(
            f"--steps_per_execution={runtime.steps_per_execution}: several steps a call do not work with "
            f"{replicas} replicas; allowed is 1, or one device"
        )
    if runtime.jit_compile == "true" and replicas > 1:
        raise UserError(
            f"--jit_compile=true: XLA cannot compile a step that {replicas} replicas share; "
            "allowed are auto and false, or one device"
        )
    if runtime.jit_compile == "true" and deterministic:
        raise UserError(
            "--jit_compile=true: XLA has no deterministic operations, which --deterministic asks for and a "
            "CPU always takes; allowed are auto and false, or a GPU without --deterministic"
        )
    jit_compile = "auto" if runtime.jit_compile == "auto" and replicas == 1 else runtime.jit_compile == "true"
    return {"steps_per_execution": runtime.steps_per_execution, "jit_compile": jit_compile}


def end_calls_with_epochs(trainer: keras.Model, steps_per_epoch: int) -> None:
    """Gives a compiled trainer a train function whose last call in an epoch has the steps that are left.

    Keras by itself runs `steps_per_execution` steps there too, and so into the next epoch.
    """
    most, done, functions = trainer.steps_per_execution, 0, {}

    def train(iterator):
        nonlocal done
        steps = min(most, steps_per_epoch - done)
        done = (done + steps) % steps_per_epoch
        trainer.steps_per_execution = steps  # read by Keras when it traces the function
        try:
            if steps not in functions:
                trainer.make_train_function(force=True)
                functions[steps] = trainer.train_function
            return functions[steps](iterator)
        finally:
            trainer.steps_per_execution, trainer.train_function = most, train

    trainer.train_function = train


def validated_epochs(config: Config) -> list[int]:
    """The epochs, counted from 1, after which there are a validation and a checkpoint.

    They are `--validations`, evenly spread, or all where there are fewer; the last is always among them.
    """
    epochs = config.training.epochs
    count = min(max(1, config.runtime.validations), epochs)
    return [epochs * i // count for i in range(1, count + 1)]


def stretches(first_step: int, steps: int, steps_per_epoch: int) -> list[tuple[int, int]]:
    """The steps to be done as ranges: the rest of an epoch that has begun, and the whole epochs."""
    whole = -(-first_step // steps_per_epoch) * steps_per_epoch
    return [stretch for stretch in ((first_step, whole), (whole, steps)) if stretch[0] < stretch[1]]


def fit(
    trainer: keras.Model,
    batches,
    first_step: int,
    end: int,
    steps_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
    validation: dict,
) -> None:
    """The steps of one stretch [first_step, end), by Keras' `fit`.

    Args:
        batches: of these steps, and without an end: Keras, which counts full calls, would stop too early.
        validation: `validation_data` and `validation_freq`, or nothing.
    """
    steps = min(end - first_step, steps_per_epoch)
    epochs = -(-end // steps_per_epoch)
    end_calls_with_epochs(trainer, steps)
    trainer.fit(
        batches,
        initial_epoch=first_step // steps_per_epoch,
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=DeviceLogs(callbacks, add_history=True, model=trainer, epochs=epochs, steps=steps),
        **validation,
    )


class CountSteps(keras.callbacks.Callback):
    """`step` is the number of steps that are done, whatever the number of steps in a call.

    Args:
        first_step: steps that were done before this training.
    """

    def __init__(self, first_step: int = 0):
        super().__init__()
        self.step = self.epoch_began = first_step

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_began = self.step

    def on_train_batch_end(self, batch, logs=None):
        # Keras tells the last step of a full call, also where the epoch ended before it.
        self.step = self.epoch_began + min(batch + 1, self.params["steps"])


class DeviceLogs(keras.callbacks.CallbackList):
    """Hands a step's figures on where they are: Keras' own list waits for the device, for their numbers."""

    def on_train_batch_end(self, batch, logs=None):
        logs = dict(logs)  # some callbacks add to it
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs=logs)


class EveryFewSteps(CountSteps):
    """Calls `look(logs)` at the end of the call that reaches a multiple of `every` steps, and at no other."""

    def __init__(self, every: int, first_step: int = 0):
        super().__init__(first_step)
        self.every = every

    def on_train_batch_end(self, batch, logs=None):
        before = self.step
        super().on_train_batch_end(batch, logs)
        if before // self.every != self.step // self.every:
            self.look(logs)


class WriteSteps(EveryFewSteps):
    """Writes figures to TensorBoard as `batch_NAME`: means over the epoch's steps since the last point.

    (Keras' TensorBoard counts calls, from 0 when a training is resumed, and has the epoch's running means.)
    """

    def __init__(self, folder, every: int, first_step: int):
        super().__init__(every, first_step)
        self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.before = self._sums()  # those of an epoch that was interrupted do not begin at 0

    def look(self, logs):
        sums, figures = self._sums(), dict(logs)
        for metric, now, before in zip(self.model.step_metrics, sums, self.before, strict=True):
            figures |= metric.figures(now - before)
        self.before = sums
        with self.writer.as_default(step=self.step):
            for name, value in figures.items():
                if math.isfinite(value):  # a branch that was not sampled has none
                    tf.summary.scalar(f"batch_{name}", value)

    def _sums(self) -> list[np.ndarray]:
        return [metric.variables[0].numpy() for metric in self.model.step_metrics]

    def on_epoch_end(self, epoch, logs=None):
        self.writer.flush()
