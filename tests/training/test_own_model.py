"""What a model of the user's own is asked before the first step: the sizes that it takes, its dtype."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.errors import UserError
from taf_keras.models.build import build_model
from taf_keras.training import formats
from taf_keras.training.own_model import check_own_model
from taf_keras.training.run import train

SOURCE = """
import keras


def unet(classes, size=(None, None)):  # its skip needs sides that 8 divides
    image = keras.Input((*size, 3))
    skip = keras.layers.Conv2D(4, 3, strides=4, padding="same")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(skip)
    x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skip])
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(x))


def high(classes):
    return unet(classes, (32, None))


def fixed(classes):
    return unet(classes, (32, 48))


class Picky(keras.layers.Layer):
    def call(self, x):
        if x.shape[1] is not None and x.shape[1] % 100:
            raise TypeError("sides of 100 px alone. No others.")
        return x


def picky(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, unet(classes)(Picky()(image)))
"""


@pytest.fixture
def nets(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return path


def check(model: str, crop, sizes) -> None:
    """`check_own_model` with splits of one frame each: train, then val."""
    config = Config(DataConfig(crop_size=crop), ModelConfig(model), TAFConfig("baseline"))
    table = ClassTable(("a", "b"), ((0, 0, 0), (1, 1, 1)))
    splits = {}
    for name, size in zip(("train", "val"), sizes, strict=False):
        frame = Frame(0, np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))
        splits[name] = Split(name, (Clip("a", (frame,), 0),), table)
    check_own_model(config, build_model(config.model, 2), splits)


def test_sizes_that_it_takes(nets):
    check(f"{nets}:unet", (40, 24), [(40, 56), (48, 64)])
    check(f"{nets}:high", (32, 24), [(32, 56)])
    check(f"{nets}:fixed", None, [(32, 48)])


@pytest.mark.parametrize(
    ("function", "crop", "sizes", "message"),
    [
        (
            "unet",
            (32, 32),
            [(44, 60)],
            "frames of 44x60 px do not fit: Concatenate: .*: give --image_size=40x56",
        ),
        ("unet", (32, 32), [(40, 56), (40, 58)], "frames of 40x58 px .*: give --image_size=40x56"),
        ("unet", (30, 36), [(40, 56)], "crops of 30x36 px do not fit: .*: give --crop_size=24x32"),
        ("high", None, [(40, 56)], "frames of 40x56 px do not fit: .*: give --image_size=32x56"),
        ("fixed", (16, 16), [(32, 48)], "crops of .*: it takes 32x48 px alone: give --crop_size=32x48"),
        ("picky", None, [(40, 56)], "frames of .*: Picky: sides of 100 px alone: give another --image_size"),
    ],
)
def test_sizes_that_it_does_not_take(nets, function, crop, sizes, message):
    with pytest.raises(UserError, match=f"^--model={nets}:{function}: {message}$") as refused:
        check(f"{nets}:{function}", crop, sizes)
    assert "\n" not in str(refused.value)


def config_of(folder, model: str, **training) -> Config:
    return Config(
        DataConfig(
            data_dir=str(folder / "clips"), image_size=(36, 52), train_clips=4, val_clips=2, test_clips=2
        ),
        ModelConfig(model),
        TAFConfig("baseline"),
        TrainingConfig(epochs=1, batch_size=4, **training),
        RuntimeConfig(model_dir=str(folder / "run"), validations=1),
    )


def saved_in_float16(folder) -> str:
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(10, 1, dtype="mixed_float16")(image)).save(folder / "saved.keras")
    return str(folder / "saved.keras")


def test_a_run_is_refused_before_its_first_step(nets, tmp_path):
    config = config_of(tmp_path, f"{nets}:unet")
    config = replace(config, data=replace(config.data, crop_size=(32, 32)))
    with pytest.raises(UserError, match=r"frames of 36x52 px do not fit: .*: give --image_size=32x48$"):
        train(config)
    config = replace(config, model=ModelConfig(saved_in_float16(tmp_path)))
    with pytest.raises(UserError, match=r"saved.keras: computes in float16: give --dtype=mixed_float16$"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_other_formats_are_made_of_float32(untraced, monkeypatch, tmp_path):
    """Though the layers of the file keep half precision, in which it trains."""
    made = []
    monkeypatch.setattr(formats, "export_formats", lambda load_network, *_: made.append(load_network()) or {})
    config = config_of(tmp_path, saved_in_float16(tmp_path), dtype="mixed_float16")
    train(replace(config, runtime=replace(config.runtime, export_formats=("onnx",))))
    (network,) = made
    assert {layer.compute_dtype for layer in network._flatten_layers()} == {"float32"}
