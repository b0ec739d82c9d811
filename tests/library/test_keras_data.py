"""`pairs` and `frames`: what Keras gets in `fit` and `evaluate`."""

import keras
import numpy as np
import pytest
from clips_on_disk import CONTEXT, SIZE, write_clips

import taf_keras as tk
from taf_keras import errors
from taf_keras.clips.decode import read_image
from taf_keras.config import DataConfig
from taf_keras.pipeline.examples import TrainingExamples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips") / "my_clips")


@pytest.fixture
def train(folder):
    return tk.read_manifest(folder, "train", temporal_context=CONTEXT)


class Seen(keras.Model):
    """Keeps the offsets of every batch that it is trained on, by way of its loss."""

    def __init__(self):
        super().__init__()
        self.factor = self.add_weight(shape=(), initializer="ones")
        self.batches = []

    def call(self, x, training=None):
        return self.factor * keras.ops.cast(x["offset_frames"], "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.batches.append(keras.ops.convert_to_numpy(x["offset_frames"]))
        return keras.ops.sum(y_pred)


def test_a_batch_is_what_the_wrapper_takes(train):
    x, y = tk.pairs(train, key_frames=2, crop_size=(48, 64))[1]
    assert {name: (value.shape, value.dtype.name) for name, value in x.items()} == {
        "image": ((2, 48, 64, 3), "uint8"),
        "partner": ((2, 48, 64, 3), "uint8"),
        "offset_frames": ((2,), "int32"),
        "valid": ((2, 48, 64), "bool"),
    }
    assert (y.shape, y.dtype.name) == ((2, 48, 64), "uint8")


def test_partners_are_the_frames_at_their_offsets(train):
    """Without augmentation a partner is the file of its frame."""
    batches = tk.pairs(train, key_frames=3, min_scale=1, max_scale=1, flip=False, seed=3)
    x, _ = batches[0]
    keys = {read_image(clip.key_frame.image, None).tobytes(): clip for clip in train.clips}
    for image, partner, n in zip(x["image"], x["partner"], x["offset_frames"], strict=True):
        clip = keys[image.tobytes()]
        np.testing.assert_array_equal(partner, read_image(clip.at(n).image, None))


def test_frames_are_resized_before_they_are_cropped(train):
    x, y = tk.pairs(train, image_size=(24, 32))[0]
    assert x["partner"].shape[1:] == (24, 32, 3)
    assert y.shape[1:] == (24, 32)


def test_draws_are_those_of_a_run(train):
    """A pure function of seed, epoch and example, as in train.py."""
    data = DataConfig(temporal_context=CONTEXT, crop_size=(48, 64))
    examples = TrainingExamples(train, data, seed=5, key_frames=2)
    batches = tk.pairs(train, key_frames=2, crop_size=(48, 64), temporal_context=CONTEXT, seed=5)
    assert len(batches) == 2
    batches.on_epoch_end()  # as `fit` does before its first epoch
    for epoch in range(2):
        for index in range(2):
            x, y = batches[index]
            for i in range(2):
                expected = examples(4 * epoch + 2 * index + i)
                np.testing.assert_array_equal(x["partner"][i], expected["partner"])
                np.testing.assert_array_equal(y[i], expected["label"])
        batches.on_epoch_end()
    later = tk.pairs(train, key_frames=2, crop_size=(48, 64), temporal_context=CONTEXT, seed=5, first_epoch=2)
    np.testing.assert_array_equal(later[0][0]["image"], batches[0][0]["image"])


@pytest.mark.parametrize("workers", [1, 3])
def test_every_epoch_of_fit_has_draws_of_its_own_and_in_order(train, workers):
    model = Seen()
    model.compile("sgd", run_eagerly=True)
    model.fit(tk.pairs(train, key_frames=2, workers=workers), epochs=3, verbose=0, shuffle=False)
    alone = tk.pairs(train, key_frames=2)
    alone.on_epoch_end()
    expected = []
    for _ in range(3):
        expected += [alone[index][0]["offset_frames"] for index in range(len(alone))]
        alone.on_epoch_end()
    assert len({batch.tobytes() for batch in expected}) > 2
    np.testing.assert_array_equal(model.batches[-6:], expected)


def test_frames_are_whole_and_in_order(folder):
    val = tk.read_manifest(folder, "val")
    batches = tk.frames(val, batch_size=3)
    assert len(batches) == 1
    images, labels = batches[0]
    assert images.shape == (2, *SIZE, 3)
    for image, label, clip in zip(images, labels, val.clips, strict=True):
        np.testing.assert_array_equal(image, read_image(clip.key_frame.image, None))
        assert set(np.unique(label)) == {0, 1}
    images, labels = tk.frames(val, batch_size=1, image_size=(24, 32))[1]
    assert (images.shape, labels.shape) == ((1, 24, 32, 3), (1, 24, 32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key_frames": 0}, "key_frames=0: must be 1 or more"),
        ({"temporal_context": -1}, "temporal_context=-1: must be 0 or more frames"),
        ({"min_scale": 2.0, "max_scale": 1.0}, "min_scale=2.0 max_scale=1.0: need 0 < min_scale"),
        ({"crop_size": 32}, r"crop_size=32: must be \(height, width\), px, or None"),
        ({"image_size": (32,)}, r"image_size=\(32,\): must be \(height, width\), px, or None"),
        ({"workers": 0}, "workers=0: must be 1 or more, or None"),
        ({"crop_size": (0, 5)}, r"crop_size=\(0, 5\): height and width must be 1 to"),
    ],
)
def test_what_cannot_be_is_refused(train, arguments, message, monkeypatch):
    monkeypatch.setattr(errors, "speaks_of_flags", False)
    with pytest.raises(errors.ArgumentError, match=f"^{message}"):
        tk.pairs(train, **arguments)
    for options, message in (
        ({"batch_size": 0}, "batch_size=0: must"),
        ({"workers": -1}, "workers=-1: must"),
        ({"image_size": 32}, "image_size=32: must"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            tk.frames(train, **options)


def split_of(*numbers: int, key: int = 10) -> tk.Split:
    """One clip whose frames have these numbers."""
    image, label = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    frames = tuple(tk.Frame(number, image, label if number == key else None) for number in numbers)
    classes = tk.ClassTable(("road", "car"), ((0, 0, 0), (1, 1, 1)))
    return tk.Split("train", (tk.Clip("street", frames, key),), classes)


def offsets(batches, epochs: int = 20) -> set[int]:
    found = set()
    for _ in range(epochs):
        batches.on_epoch_end()
        found |= set(batches[0][0]["offset_frames"].tolist())
    return found


def test_partners_are_all_the_frames_that_a_clip_has():
    split = split_of(0, 5, 10, 15)
    assert offsets(tk.pairs(split, key_frames=4)) == {-10, -5, 0, 5}
    assert offsets(tk.pairs(split, key_frames=4, temporal_context=7)) == {-5, 0, 5}


def test_a_context_beyond_the_clips_is_said():
    with pytest.warns(UserWarning, match=r"^temporal_context=15: the clips of split train end 3 frames from"):
        batches = tk.pairs(split_of(8, 10, 13), temporal_context=15)
    assert offsets(batches) == {-2, 0, 3}


@pytest.mark.parametrize(
    ("numbers", "context", "message"),
    [
        (
            (0, 5, 10, 14),
            3,
            "temporal_context=3: no clip of split train has another frame so near: allowed are 4,",
        ),
        (
            (0, 5, 10, 14),
            0,
            "temporal_context=0: no clip of split train has another frame so near: allowed are 4,",
        ),
        ((10,), None, "split train: no clip has another frame than its key frame: read it with a larger"),
        ((10,), 3, "split train: no clip has another frame than its key frame: read it with a larger"),
    ],
)
def test_clips_without_partners_are_refused(numbers, context, message):
    """Every key frame would be its own partner, and δ always 0."""
    with pytest.raises(ValueError, match=f"^{message}"):
        tk.pairs(split_of(*numbers), temporal_context=context)


def test_images_of_several_sizes_need_one():
    small = split_of(9, 10)
    image, label = np.zeros((96, 64, 3), np.uint8), np.zeros((96, 64), np.uint8)
    other = tk.Clip("lane", (tk.Frame(0, image, label), tk.Frame(1, image)), 0)
    split = tk.Split("train", (*small.clips, other), small.classes)
    message = (
        "^image_size=None: a batch has images of .*(48x64 and 96x64|96x64 and 48x64) px: give the image_size"
    )
    for batches in (tk.frames(split), tk.pairs(split, key_frames=2)):
        with pytest.raises(ValueError, match=message):
            batches[0]
    assert tk.frames(split, image_size=(48, 64))[0][0].shape == (2, 48, 64, 3)
    assert tk.pairs(split, key_frames=2, crop_size=(32, 32))[0][1].shape == (2, 32, 32)


IMAGE, LABEL = np.zeros((16, 24, 3), np.uint8), np.zeros((16, 24), np.uint8)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (IMAGE, LABEL[::2, ::2], "^clip own: label map of 8x12 px, its image has 16x24 px$"),
        (
            IMAGE / 255,
            LABEL,
            r"^an array of a frame must be uint8 RGB \(height, width, 3\), not float64 \(16, 24",
        ),
        (
            IMAGE[..., 0],
            LABEL,
            r"^an array of a frame must be uint8 RGB \(height, width, 3\), not uint8 \(16, 24\)",
        ),
        (IMAGE, None, "^clip own: its key frame 5 has no label$"),
    ],
)
def test_frames_of_ones_own_that_do_not_fit(image, label, message):
    """A label of half the size would be cropped as if it had the whole."""
    clip = tk.Clip("own", (tk.Frame(4, IMAGE), tk.Frame(5, image, label)), key_number=5)
    split = tk.Split("train", (clip,), tk.ClassTable(("road", "car"), ((255, 0, 0), (0, 255, 0))))
    for batches in (tk.pairs(split, key_frames=1, crop_size=(8, 8)), tk.frames(split)):
        with pytest.raises(tk.UserError, match=message):
            batches[0]
