"""keras-cv's DeepLabV3Plus, which ends with softmax: python examples/deeplab_keras_cv.py [EPOCHS]

The ASPP is one layer here, which hides its branches: what can be swapped are the tensors at its border. These
are its output, which sees far and may change little, and the low-level feature, which is free.
"""

import keras
import keras_cv
import street_clips

import taf_keras as tk

if __name__ == "__main__":
    classes = street_clips.split("train").classes
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[16, 32, 64, 64],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(*street_clips.SIZE, 3),
    )
    pooling = keras_cv.layers.SpatialPyramidPooling([6, 12, 18], num_channels=64, dropout=0.1)
    network = keras_cv.models.DeepLabV3Plus(backbone, len(classes), spatial_pyramid_pooling=pooling)

    # Keras numbers the ASPP's name, so it is asked for. The other name is keras-cv's own.
    rates = {network.spatial_pyramid_pooling.name: 1e-5, "low_level_feature_relu": float("inf")}
    street_clips.for_a_short_training(network)
    model = tk.TAF(network, rates, weight=1.0, contrast="identity", seed=0)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=False, ignore_class=255),
        metrics=[keras.metrics.MeanIoU(len(classes), ignore_class=255, sparse_y_pred=False, name="miou")],
    )
    history = model.fit(
        street_clips.pairs(), epochs=street_clips.EPOCHS, validation_data=street_clips.frames(), verbose=0
    ).history
    street_clips.report(history)
    network.export("runs/deeplab_keras_cv", verbose=False)  # `taf_keras.export` is for logits
    print("exported to runs/deeplab_keras_cv; TAF is not in it")
