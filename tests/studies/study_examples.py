"""Clips of a few pixels, and predictors whose output can be told by hand."""

from types import SimpleNamespace

import keras
import numpy as np
from keras import layers

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.models.layers import ResizeLike
from taf_keras.studies.footage import Footage

CLASSES = ClassTable(("road", "car", "sky"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def picture(ids) -> np.ndarray:
    """An image that shows `ids` (height, width) in its red channel, where `linear_network` reads them."""
    ids = np.atleast_2d(np.asarray(ids, np.uint8))
    return np.stack([ids, ids // 2, np.zeros_like(ids)], axis=-1)


def clip_of(name: str, frames: dict, labels: dict | None = None) -> Clip:
    """A clip from {offset: ids shown}; `labels` {offset: ids} are those shown unless given."""
    labels = frames if labels is None else labels
    made = []
    for n in sorted(frames):
        label = np.atleast_2d(np.asarray(labels[n], np.uint8)) if n in labels else None
        made.append(Frame(100 + n, picture(frames[n]), label))
    return Clip(name, tuple(made), 100)


def footage_of(*clips: Clip) -> Footage:
    """Footage at every interval that the clips have."""
    intervals = sorted({abs(n) for clip in clips for n in clip.offsets(99)})
    return Footage(Split("val", clips, CLASSES), None, tuple(intervals))


def predictor(function) -> SimpleNamespace:
    """What a study that changes no branch sees of a network: images (b, h, w, 3) -> ids (b, h, w)."""
    return SimpleNamespace(predict_images=function)


def reads_red(images) -> np.ndarray:
    return images[..., 0].astype(np.int64)


def linear_network() -> BranchedNetwork:
    """Says of each pixel the class id nearest to its branch `used`, the image's red; `unused` is its green.

    |x − c|² is least where 2cx − c² is greatest, and that is a 1×1 convolution with a bias.
    """
    image = keras.Input((None, None, 3))
    features = {}
    for channel, name in enumerate(("used", "unused")):
        kernel = keras.initializers.Constant(np.eye(3)[:, channel].reshape(1, 1, 3, 1))
        layer = layers.Conv2D(1, 1, use_bias=False, kernel_initializer=kernel, name=f"{name}_feature")
        features[name] = layer(image)
    ids = np.arange(len(CLASSES))
    used = layers.Conv2D(
        len(CLASSES),
        1,
        kernel_initializer=keras.initializers.Constant(2.0 * ids.reshape(1, 1, 1, -1)),
        bias_initializer=keras.initializers.Constant(-1.0 * ids**2),
    )
    unused = layers.Conv2D(len(CLASSES), 1, kernel_initializer="zeros")
    logits = layers.Add()([used(features["used"]), unused(features["unused"])])
    logits = ResizeLike(name="full_size_logits")([logits, image])
    return BranchedNetwork(keras.Model(image, logits), {name: f"{name}_feature" for name in features})
