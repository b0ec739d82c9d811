"""keras-hub's DeepLabV3+: pip install keras-hub, then python examples/deeplab_keras_hub.py [EPOCHS]

The ASPP is one layer here, which hides its branches: what can be swapped are the tensors at its border. These
are its output, which sees far and may change little, and the low-level feature, which is free.
"""

import keras
import keras_hub
import street_clips

import taf_keras as tk

if __name__ == "__main__":
    classes = street_clips.split("train").classes
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 128, 128],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(*street_clips.SIZE, 3),
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        encoder,
        spatial_pyramid_pooling_key="P5",
        low_level_feature_key="P2",
        upsampling_size=8,
        dilation_rates=[6, 12, 18],
        image_shape=(*street_clips.SIZE, 3),
    )
    network = keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=len(classes))

    # Keras numbers the ASPP's own name (`spatial_pyramid_pooling_1`, …). The upsampling right after it has
    # a name that keras-hub gives, so that a saved model finds it again.
    rates = {"encoder_output_upsampling": 1e-5, "decoder_relu": float("inf")}
    street_clips.for_a_short_training(network)
    model = tk.TAF(network, rates, weight=1.0, seed=0)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        metrics=[keras.metrics.MeanIoU(len(classes), ignore_class=255, sparse_y_pred=False, name="miou")],
    )
    history = model.fit(
        street_clips.pairs(), epochs=street_clips.EPOCHS, validation_data=street_clips.frames(), verbose=0
    ).history
    street_clips.report(history)
    tk.export(network, "runs/deeplab_keras_hub", classes)
    print("exported to runs/deeplab_keras_hub; TAF is not in it")
