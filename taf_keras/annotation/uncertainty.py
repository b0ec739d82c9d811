"""A trained model's predictions of frames to label, and how sure it is of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_image
from taf_keras.clips.exported_classes import load_classes, load_trained_size
from taf_keras.errors import UserError
from taf_keras.sizes import Size
from taf_keras.storage.run import Run
from taf_keras.video.frames import decode


def mean_entropy(probabilities: np.ndarray) -> float:
    """The mean over all pixels of the entropy of the softmax, as a share of its maximum, log(classes).

    0 where the model is sure of every pixel, 1 where all classes are equally likely everywhere.

    Args:
        probabilities: float (height, width, classes), each in [0, 1].
    Raises: UserError where they are not finite.
    """
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = -float((probabilities * logs).sum(axis=-1, dtype=np.float64).mean())
    if not np.isfinite(entropy):
        raise UserError("the model's predictions are not finite: its training has diverged")
    return max(0.0, entropy) / np.log(max(2, probabilities.shape[-1]))


def labels_of_size(probabilities: np.ndarray, size: Size) -> np.ndarray:
    """uint8 (height, width) of `size`: the most likely class of each pixel, between pixels interpolated.

    One class is enlarged at a time, since all together may need gigabytes.
    """
    labels, most = np.zeros(size, np.uint8), np.full(size, -1.0, np.float32)
    for number in range(probabilities.shape[-1]):
        plane = np.ascontiguousarray(probabilities[..., number], np.float32)
        if plane.shape != tuple(size):
            plane = cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)
        larger = plane > most
        labels[larger] = number
        most[larger] = plane[larger]
    return labels


class Model:
    """An exported model, which is asked after `load`.

    Attributes:
        export: its folder.
        classes: of its predictions.
        size: (height, width), px, to which frames are resized for it, as they were in its training; None
            takes them as they are.
    """

    def __init__(self, folder: Path, size: Size | None = None):
        """`size` is where neither the run nor the export knows one.

        Raises: UserError for a folder that holds neither a run with an export nor an export.
        """
        is_export = (folder / "saved_model.pb").is_file()
        self.export = folder if is_export else Run(folder).export
        if not (self.export / "saved_model.pb").is_file():
            raise UserError(f"--model={folder}: holds no exported model (export/saved_model.pb)")
        self.classes: ClassTable = load_classes(self.export)
        run = Run(self.export.parent)
        trained = run.config.data.image_size if run.config_file.is_file() else None
        self.size = trained or load_trained_size(self.export) or size
        self._serve = None

    def load(self) -> None:
        """Takes seconds. Raises: UserError for a damaged export."""
        from taf_keras.devices import prepare  # after the checks that need no time
        from taf_keras.evaluation.evaluate import saved_model_probabilities

        prepare()
        self._serve = saved_model_probabilities(str(self.export))
        self.size = _fixed_size(self.export) or self.size

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """float32 (height, width, classes) of a uint8 RGB image."""
        return self._serve(read_image(image, self.size)[None])[0].numpy()


def _fixed_size(export: Path) -> Size | None:
    """The only size that an exported model takes, if it does so."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((export / "saved_model.pb").read_bytes())
    images = saved.meta_graphs[0].signature_def["serving_default"].inputs["images"]
    height, width = (side.size for side in images.tensor_shape.dim[1:3])
    return (height, width) if min(height, width) > 0 else None


def uncertainties(
    video: Path,
    index: np.ndarray,
    wanted: np.ndarray,
    model: Model,
    on_progress: Callable[[int, int], None],
) -> np.ndarray:
    """float (frames,): the mean entropy of the model's softmax, −1 for frames that are not wanted.

    Args:
        index: int (frames,), of each in the video.
        wanted: bool (frames,).
        on_progress: called with (frames predicted, frames to predict).
    """
    found = np.full(len(index), -1.0)
    positions = dict(zip(index[wanted].tolist(), np.flatnonzero(wanted).tolist(), strict=True))
    done = 0
    for frame in islice(decode(video, positions.__contains__), max(positions, default=-1) + 1):
        if frame.image is not None and frame.index in positions:
            image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB)
            found[positions[frame.index]] = mean_entropy(model.probabilities(image))
            done += 1
            on_progress(done, len(positions))
    return found
