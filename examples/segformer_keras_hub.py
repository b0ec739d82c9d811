"""keras-hub's SegFormer: pip install keras-hub, then python examples/segformer_keras_hub.py [EPOCHS]

Branches are the four linear projections, one of each level of the encoder, which the head concatenates and
fuses. The coarsest (of the most channels) sees the whole frame and may change least; the finest is free.
"""

from pathlib import Path

import keras
import keras_hub
import street_clips

import taf_keras as tk

if __name__ == "__main__":
    classes = street_clips.split("train").classes
    encoder = keras_hub.models.MiTBackbone(
        num_layers=4,
        layerwise_depths=[1, 1, 1, 1],
        hidden_dims=[16, 32, 64, 96],
        layerwise_num_heads=[1, 2, 2, 3],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,  # it samples the same for a frame, its partner and their swaps
        image_shape=(*street_clips.SIZE, 3),
    )
    backbone = keras_hub.models.SegFormerBackbone(encoder, projection_filters=64)
    network = keras_hub.models.SegFormerImageSegmenter(backbone, num_classes=len(classes))

    # keras-hub calls a projection after the width of its level.
    rates = {"linear_96": 0, "linear_64": 1e-5, "linear_32": 1e-4, "linear_16": float("inf")}
    street_clips.for_a_short_training(network)
    model = tk.TAF(network, rates, weight=1.0, seed=0)
    model.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        metrics=[keras.metrics.MeanIoU(len(classes), ignore_class=255, sparse_y_pred=False, name="miou")],
    )
    history = model.fit(
        street_clips.pairs(), epochs=street_clips.EPOCHS, validation_data=street_clips.frames(), verbose=0
    ).history
    street_clips.report(history)
    Path("runs").mkdir(exist_ok=True)
    model.save("runs/segformer_keras_hub.keras")
    saved = keras.saving.load_model("runs/segformer_keras_hub.keras")
    print(f"saved in runs/segformer_keras_hub.keras, with λ = {saved.weight} and {saved.term.change_rates}")
