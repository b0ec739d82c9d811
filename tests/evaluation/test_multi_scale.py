import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from taf_keras.errors import UserError
from taf_keras.evaluation.multi_scale import multi_scale_predictor
from taf_keras.evaluation.run import evaluate

SIZE = (8, 12)


def blocks(frames: int = 3) -> np.ndarray:
    """Frames of 2×2 blocks of one colour, all values multiples of 16: resizing by 2 or ½ never rounds."""
    colours = np.random.default_rng(0).integers(0, 16, (frames, SIZE[0] // 2, SIZE[1] // 2, 3))
    return (16 * colours).repeat(2, axis=1).repeat(2, axis=2).astype(np.uint8)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def of_colour(images) -> np.ndarray:
    """A network that sees single pixels: one class for each colour channel."""
    return softmax(np.asarray(images, np.float64) / 40)


def of_place(images) -> np.ndarray:
    """The same, but the more to the right, the likelier is class 1: its mirror image is another case."""
    logits = np.asarray(images, np.float64) / 40
    logits[..., 1] += np.linspace(-4, 4, logits.shape[2])
    return softmax(logits)


def predictor(probabilities, *args, **kwargs):
    return multi_scale_predictor(lambda images: tf.cast(probabilities(images), tf.float32), *args, **kwargs)


def resized(values: np.ndarray, size) -> np.ndarray:
    """(b, h, w, channels) -> (b, *size, channels): linear between centres of pixels, by NumPy alone."""
    for axis, length in zip((1, 2), size, strict=True):
        own = values.shape[axis]
        places = (np.arange(length) + 0.5) * own / length - 0.5
        values = np.apply_along_axis(lambda line, x=places, n=own: np.interp(x, range(n), line), axis, values)
    return values


def test_probabilities_are_averaged_over_scales():
    images = blocks()
    small = images[:, ::2, ::2]  # the mean of blocks of one colour
    large = resized(images.astype(float), (2 * SIZE[0], 2 * SIZE[1]))
    mean = np.mean([of_colour(images), *(resized(of_colour(x), SIZE) for x in (small, large))], axis=0)
    found = predictor(of_colour, (0.5, 1, 2))(images)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, mean.argmax(axis=-1))
    assert (found != of_colour(images).argmax(axis=-1)).any()  # the scales do count


def test_a_flip_is_the_mean_of_the_image_and_its_mirror():
    images = blocks()
    mean = (of_place(images) + of_place(images[:, :, ::-1])[:, :, ::-1]) / 2
    found = predictor(of_place, flip=True)(tf.constant(images))
    np.testing.assert_array_equal(found, mean.argmax(axis=-1))
    assert (found != of_place(images).argmax(axis=-1)).any()


def test_one_scale_without_a_flip_is_the_plain_prediction():
    images = blocks()
    np.testing.assert_array_equal(predictor(of_place)(images), of_place(images).argmax(axis=-1))


def test_no_more_pixels_at_once_than_at_the_frames_own_size():
    seen = []

    def watched(images):
        seen.append(images.shape[:3])
        return of_colour(images)

    images = blocks(frames=8)
    predictor(watched, (0.5, 1.5, 4))(images)
    # 8 / 1.5² = 3.6 frames of 12×18 px; of the largest not even one, but less cannot be.
    assert seen == [(8, 4, 6), (3, 12, 18), (3, 12, 18), (2, 12, 18), *[(1, 32, 48)] * 8]


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(UserError, match="not finite"):
        predictor(lambda images: of_colour(images) * np.nan)(blocks())
    for scales, shown in (((), ""), ((1, 0), "1,0"), ((float("nan"),), "nan"), ((-1.5, 1), "-1.5,1")):
        with pytest.raises(UserError, match=f"--scales={shown}: must be numbers above 0"):
            evaluate("no run", scales=scales)


def test_a_run_at_one_scale_is_the_plain_evaluation_and_its_export_averages_alike(finished_run, tmp_path):
    config, plain = finished_run
    folder = config.runtime.model_dir
    same = evaluate(folder, output_dir=str(tmp_path), scales=(1,))
    assert {"scales", "flip"} & plain.keys() == set()
    assert (same.pop("scales"), same.pop("flip")) == ((1.0,), False)
    for name in ("miou", "pixel_accuracy"):
        assert same[name] == plain[name]
    np.testing.assert_equal(same["per_class_iou"], plain["per_class_iou"])

    several = {"scales": (0.5, 1.5), "flip": True, "output_dir": str(tmp_path)}
    averaged = evaluate(folder, **several)
    assert averaged["miou"] != plain["miou"]
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert (written["scales"], written["flip"]) == ([0.5, 1.5], True)
    exported = evaluate(folder, saved_model=str(Path(folder) / "export"), **several)
    assert exported["pixel_accuracy"] == pytest.approx(averaged["pixel_accuracy"], abs=1e-3)
