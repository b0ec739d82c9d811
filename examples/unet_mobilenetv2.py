"""A U-Net on Keras' MobileNetV2: python examples/unet_mobilenetv2.py [EPOCHS]

Branches are the neck and the four skips, which are what the decoder puts together. The neck sees most of the
frame and may change least from frame to frame; the finer a skip, the more it may change.
"""

import keras
import street_clips
from keras import layers

import taf_keras as tk

if __name__ == "__main__":
    classes = street_clips.split("train").classes
    SKIPS = ["block_6_expand_relu", "block_3_expand_relu", "block_1_expand_relu", "Conv1_relu"]

    encoder = keras.applications.MobileNetV2((*street_clips.SIZE, 3), 0.35, include_top=False, weights=None)
    levels = [encoder.get_layer(name).output for name in ["block_12_add", *SKIPS]]
    image = keras.Input((*street_clips.SIZE, 3))
    x, *skips = keras.Model(encoder.input, levels, name="encoder")(layers.Rescaling(1 / 127.5, -1)(image))
    for skip in skips:
        if x.shape[1] < skip.shape[1]:
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
        x = layers.ReLU()(x)
    x = layers.UpSampling2D(interpolation="bilinear")(layers.Dropout(0.1)(x))
    network = keras.Model(image, layers.Conv2D(len(classes), 1)(x))

    # These names are keras.applications'. A layer inside another model is `outer.inner`.
    rates = {
        "encoder.block_12_add": 0,
        "encoder.block_6_expand_relu": 1e-6,
        "encoder.block_3_expand_relu": 1e-5,
        "encoder.block_1_expand_relu": 1e-4,
        "encoder.Conv1_relu": float("inf"),
    }
    street_clips.for_a_short_training(network)
    model = tk.TAF(network, rates, weight=1.0, seed=0)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        metrics=[keras.metrics.MeanIoU(len(classes), ignore_class=255, sparse_y_pred=False, name="miou")],
    )
    history = model.fit(
        street_clips.pairs(), epochs=street_clips.EPOCHS, validation_data=street_clips.frames(), verbose=0
    ).history
    street_clips.report(history)
    tk.export(network, "runs/unet_mobilenetv2", classes)
    print("exported to runs/unet_mobilenetv2; TAF is not in it")
