"""What the examples share: synthetic streets, made and kept in the user's cache at the first use.

With data of your own, `taf_keras.read_manifest(FOLDER, "train")` takes the place of `split`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that a checkout need not be installed

import keras

import taf_keras as tk
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split

SIZE = (96, 96)  # of the frames, px
EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 8


def split(name: str) -> tk.Split:
    """`train` or `val`: 8 clips of 31 frames (`val` has 7), of which the one in the middle has a label."""
    return load_split(DataConfig(train_clips=8, val_clips=8), name)


def pairs():
    """Batches of 4 key frames and 4 partners, for `fit`."""
    return tk.pairs(split("train"), key_frames=4, image_size=SIZE, crop_size=SIZE, workers=1)


def frames():
    """Labelled frames, for `validation_data`."""
    return tk.frames(split("val"), image_size=SIZE, workers=1)


def for_a_short_training(network: keras.Model) -> keras.Model:
    """Moving statistics at once: at Keras' momenta they take hundreds of steps, and validation needs them."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    return network


def report(history: dict) -> None:
    """Prints the last epoch's figures: δ of each branch, its share over the slack, loss and validation."""
    for name, values in sorted(history.items()):
        print(f"{name:45} {values[0]:10.5f} -> {values[-1]:10.5f}")
