"""What happens beside the steps: progress, logs, pictures, and the stop at a NaN."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.config import Config
from taf_keras.errors import UserError, first_line
from taf_keras.evaluation.evaluate import Predict
from taf_keras.evaluation.pictures import enlarged, predict_panel
from taf_keras.files import replaced
from taf_keras.progress import Progress, clock
from taf_keras.storage import checkpoint
from taf_keras.storage.run import Run
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.collapse import WatchBranches
from taf_keras.training.steps import CountSteps, EveryFewSteps, WriteSteps

_WORTH_SAYING_S = 60.0
_TIMED_STEPS = ((1, 5), (10, 50))  # the spans by which the time to go is told, the second time better


class StepLogs(CountSteps):
    """Adds the images per second to every step's and epoch's logs. Goes first: the others write them.

    They are those of the steps: the time of an epoch's validation does not count.
    """

    def __init__(self, images_per_step: int):
        super().__init__()
        self.images_per_step = images_per_step

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.began, self.ended = time.perf_counter(), None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        logs["images_per_second"] = self._rate()

    def on_test_begin(self, logs=None):
        np.asarray(self.model.step_metrics[0].variables[0])  # waits for the device to end the last step
        self.ended = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["images_per_second"] = self._rate()
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)

    def _rate(self) -> float:
        steps = self.step - self.epoch_began
        ended = time.perf_counter() if self.ended is None else self.ended
        return steps * self.images_per_step / max(1e-9, ended - self.began)


class WriteEpochs(keras.callbacks.TensorBoard):
    """Keras' own, less the scalars that it makes of every step and drops: steps are for `WriteSteps`."""

    def on_train_batch_end(self, batch, logs=None):
        pass


class WriteHistory(keras.callbacks.Callback):
    """Writes one row of figures per epoch to a CSV file; what was not measured in an epoch stays empty.

    (Keras' CSVLogger fixes its columns in the first epoch, which has no validation.) Rows of epochs
    that a resumed run repeats are replaced.
    """

    def __init__(self, path: Path, first_epoch: int):
        super().__init__()
        self.path = path
        self.rows = []
        if first_epoch and path.is_file():
            self.rows = [row for row in _read_rows(path) if row["epoch"] < first_epoch]

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch} | {name: float(value) for name, value in logs.items()})
        with replaced(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


def _read_rows(path: Path) -> list[dict]:
    """The rows of a history. (In some versions, pandas reads numbers that are off by their last bit.)"""
    try:
        with path.open(newline="") as file:
            rows = [{k: float(v or "nan") for k, v in row.items()} for row in csv.DictReader(file)]
        return [row | {"epoch": int(row["epoch"])} for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: damaged: {first_line(error)}; delete it to go on without its rows"
        ) from None


class StopAtNaN(EveryFewSteps):
    """Ends training where something is not finite, before anything of it is saved or evaluated.

    The loss is looked at every few steps and at the end of an epoch. It is the epoch's mean, in which a NaN
    stays. What the last update did is in no loss yet: before a validation and a checkpoint, `check` looks at
    the weights, and at the prediction of a frame.

    Args:
        predict: predicts a frame (see `evaluation.evaluate.Predict`); raises UserError if that is not finite.
        frame: uint8 RGB (height, width, 3). None, on other workers than the first, looks at the loss alone.
    """

    def __init__(
        self, checkpoints: Path, every: int, first_step: int, predict: Callable, frame: np.ndarray | None
    ):
        super().__init__(every, first_step)
        self.checkpoints, self.predict, self.frame = checkpoints, predict, frame

    def look(self, logs):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise self._stop(f"the loss is {loss}")

    def on_epoch_end(self, epoch, logs=None):
        self.look(logs)

    def on_test_begin(self, logs=None):
        if self.frame is not None:
            self.check()

    def check(self) -> None:
        """Raises: UserError where a weight, the optimizer's state or the prediction is not finite."""
        for variable in (*self.model.network.variables, *self.model.optimizer.variables):
            values = np.asarray(variable)
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                raise self._stop(f"{variable.path} is not finite")
        try:
            self.predict(self.frame[None])
        except UserError as error:
            raise self._stop(str(error)) from None

    def _stop(self, reason: str) -> UserError:
        newest = checkpoint.latest(self.checkpoints)
        last = f"the last good checkpoint is {newest[1]}" if newest else "no checkpoint was saved yet"
        return UserError(
            f"training stopped at step {self.step}: {reason}; {last}. "
            "A lower --learning_rate or a longer --warmup_steps usually helps"
        )


class ShowProgress(CountSteps):
    """One line for the whole training: steps, time left, losses, last validation.

    Another says how long the rest will take: after 5 steps, by those after the first, which traces; and
    after 50, by the last 40 of them.
    """

    def __init__(self, progress: Progress, first_step: int, steps: int):
        super().__init__(first_step)
        self.progress, self.steps, self.validation = progress, steps, ""
        self.spans = [(first_step + begin, first_step + end) for begin, end in _TIMED_STEPS]
        self.began: tuple[int, float] | None = None  # the first step of a span, and when it ended

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.progress(self.step, self.steps, lambda: f"loss {float(logs['loss']):.3f}{self.validation}")
        if self.spans:
            self._time(*self.spans[0])

    def _time(self, begin: int, end: int) -> None:
        if self.began is None:
            if self.step >= begin:
                self.began = self.step, time.monotonic()
        elif self.step >= end:
            step, ended = self.began
            seconds = (time.monotonic() - ended) / (self.step - step)
            self.began = None
            del self.spans[0]
            left = seconds * (self.steps - self.step)
            if left >= _WORTH_SAYING_S:
                first = "a first estimate: " if self.spans else ""
                epoch = seconds * self.params["steps"]
                self.progress.say(f"{first}an epoch takes {epoch:.1f} s: about {clock(left)} to go")

    def on_epoch_end(self, epoch, logs=None):
        if "val_miou" in logs:
            self.validation = f"  val mIoU {float(logs['val_miou']):.1%}"


class WritePictures(keras.callbacks.Callback):
    """Writes image, truth and prediction of a few validation frames to TensorBoard at each validation."""

    def __init__(self, folder: Path, predict, split: Split, image_size, count: int = 3):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(folder))
        self.predict, self.split, self.image_size = predict, split, image_size
        stride = max(1, len(split.clips) // count)
        self.indices = range(0, len(split.clips), stride)[:count]

    def on_epoch_end(self, epoch, logs=None):
        if "val_miou" not in logs:
            return
        with self.writer.as_default(step=epoch + 1):
            for i in self.indices:
                picture = predict_panel(self.predict, self.split, i, self.image_size)
                name = f"image, truth, prediction/{self.split.clips[i].name}"
                tf.summary.image(name, enlarged(picture)[None])
        self.writer.flush()


def writers(
    config: Config,
    trainer: TAFTrainer,
    predict: Predict,
    splits: Mapping[str, Split],
    run: Run,
    first_step: int,
    steps: int,
    progress: Progress,
) -> list[keras.callbacks.Callback]:
    """What writes figures and pictures of a training into its folder, after what adds to the logs."""
    runtime, size = config.runtime, config.data.image_size
    first_epoch = first_step // (steps // config.training.epochs)
    validates = runtime.validations > 0
    return [
        *(
            [WatchBranches(trainer.network, config.branch_layers, splits["val"], size)]
            if validates and config.swaps
            else []
        ),
        WriteHistory(run.history_file, first_epoch),
        WriteSteps(run.step_logs, runtime.log_every, first_step),
        WriteEpochs(run.tensorboard, update_freq="epoch", write_graph=False),
        *([WritePictures(run.tensorboard / "pictures", predict, splits["val"], size)] if validates else []),
        ShowProgress(progress, first_step, steps),
    ]
