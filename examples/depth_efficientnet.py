"""A depth per pixel, and no classes, on Keras' EfficientNetB0: python examples/depth_efficientnet.py [EPOCHS]

Branches are the projections of three levels of the encoder, which the head puts together. The coarse one says
how far things are on the whole and may change least; the fine one draws their outlines and is free.
"""

import keras
import numpy as np
import street_clips
from keras import layers

import taf_keras as tk

# Stand-ins for measured depths, m: one for each train id. 255 has none.
METRES = np.linspace(5, 50, 256, dtype="float32")


class Depths(keras.utils.PyDataset):
    """Depths in place of classes; pixels of none have weight 0. Any data set of such batches will do."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        x, labels = self.batches[index]
        return x, METRES[labels][..., None], (labels != 255).astype("float32")

    def on_epoch_end(self):
        self.batches.on_epoch_end()


if __name__ == "__main__":
    encoder = keras.applications.EfficientNetB0(False, weights=None, input_shape=(*street_clips.SIZE, 3))
    levels = [encoder.get_layer(f"block{block}_expand_activation").output for block in ("2a", "3a", "4a")]
    image = keras.Input((*street_clips.SIZE, 3))
    upsampled = []
    for i, level in enumerate(keras.Model(encoder.input, levels, name="encoder")(image)):
        level = layers.Conv2D(16, 1, name=["fine", "medium", "coarse"][i])(level)
        upsampled.append(layers.UpSampling2D(2 ** (i + 1), interpolation="bilinear")(level))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()(upsampled)))
    network = keras.Model(image, layers.Conv2D(1, 3, padding="same", activation="softplus")(x))

    # δ is in the output's own unit here: metres.
    rates = {"coarse": 1e-2, "medium": 3e-2, "fine": float("inf")}
    street_clips.for_a_short_training(network)
    model = tk.TAF(network, rates, weight=1.0, contrast="identity", seed=0)
    model.compile(keras.optimizers.Adam(1e-2), "mean_absolute_error")
    history = model.fit(
        Depths(street_clips.pairs()),
        epochs=street_clips.EPOCHS,
        validation_data=Depths(street_clips.frames()),
        verbose=0,
    ).history
    street_clips.report(history)
    network.export("runs/depth_efficientnet", verbose=False)
    print("exported to runs/depth_efficientnet; TAF is not in it")
