"""Networks that others wrote, at their least width, with random weights; and batches for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

CLASSES, SIZE = 4, 64


@dataclass(frozen=True)
class Foreign:
    """A network, and what TAF is to be told of it.

    Attributes:
        build: RGB frames (batch, SIZE, SIZE, 3) in [0, 255] -> output (batch, SIZE, SIZE, channels).
        rates: {layer: c_i}. δ of random weights lies between them, and one is infinite.
        contrast: what the output needs.
        package: where the network comes from.
    """

    build: Callable[[], keras.Model]
    rates: Mapping[str, float]
    contrast: str = "softmax"
    package: str = "keras"

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def loss(self) -> keras.losses.Loss:
        if self.is_regression:
            return keras.losses.MeanAbsoluteError()
        return keras.losses.SparseCategoricalCrossentropy(from_logits=self.contrast == "softmax")

    @property
    def is_regression(self) -> bool:
        return self.build is depth


def unet() -> keras.Model:
    """A U-Net on MobileNetV2; the neck is at stride 16."""
    encoder = keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)
    image = keras.Input((SIZE, SIZE, 3))
    skips = [f"block_{block}_expand_relu" for block in (6, 3, 1)] + ["Conv1_relu"]
    levels = [encoder.get_layer(name).output for name in ["block_12_add", *skips]]
    x, *skips = keras.Model(encoder.input, levels, name="encoder")(layers.Rescaling(1 / 127.5, -1)(image))
    for i, skip in enumerate(skips):
        if x.shape[1] < skip.shape[1]:
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"decoder_{i}")(x)
    x = layers.UpSampling2D(interpolation="bilinear")(layers.Dropout(0.2)(x))
    return keras.Model(image, layers.Conv2D(CLASSES, 1)(x), name="unet")


def hub_deeplab() -> keras.Model:
    """keras-hub's DeepLabV3+ on a ResNet of one block a stage."""
    import keras_hub

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16, 16, 16],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIZE, SIZE, 3),
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        encoder,
        spatial_pyramid_pooling_key="P5",
        low_level_feature_key="P2",
        upsampling_size=8,
        dilation_rates=[6, 12],
        projection_filters=8,
        image_shape=(SIZE, SIZE, 3),
    )
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone, CLASSES)


def segformer(drop_path: float = 0.0) -> keras.Model:
    """keras-hub's SegFormer on a Mix Transformer of one block a stage."""
    import keras_hub

    encoder = keras_hub.models.MiTBackbone(
        num_layers=4,
        layerwise_depths=[1, 1, 1, 1],
        hidden_dims=[8, 16, 24, 32],
        layerwise_num_heads=[1, 1, 2, 2],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=drop_path,
        image_shape=(SIZE, SIZE, 3),
    )
    backbone = keras_hub.models.SegFormerBackbone(encoder, projection_filters=16)
    return keras_hub.models.SegFormerImageSegmenter(backbone, CLASSES)


def cv_deeplab() -> keras.Model:
    """keras-cv's DeepLabV3+ on a ResNet of one block a stage. It ends with softmax."""
    import keras_cv

    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 8, 8, 8],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(SIZE, SIZE, 3),
    )
    pooling = keras_cv.layers.SpatialPyramidPooling([6, 12], num_channels=16, dropout=0.2)
    return keras_cv.models.DeepLabV3Plus(backbone, CLASSES, 8, pooling)


def depth() -> keras.Model:
    """A depth per pixel from three levels of EfficientNet, which drops paths."""
    encoder = keras.applications.EfficientNetB0(False, weights=None, input_shape=(SIZE, SIZE, 3))
    names = [f"block{block}_expand_activation" for block in ("2a", "3a", "4a")]
    levels = [encoder.get_layer(name).output for name in names]
    image = keras.Input((SIZE, SIZE, 3))
    upsampled = []
    for i, x in enumerate(keras.Model(encoder.input, levels, name="encoder")(image)):
        x = layers.Conv2D(4, 1, name=f"project_{i}")(x)
        upsampled.append(layers.UpSampling2D(2 ** (i + 1), interpolation="bilinear")(x))
    x = layers.BatchNormalization()(layers.Concatenate()(upsampled))
    x = layers.Conv2D(1, 3, padding="same", activation="softplus")(layers.ReLU()(x))
    return keras.Model(image, x, name="depth")


INF = float("inf")
FOREIGN = {
    # The neck sees most of the frame; the finer a skip, the more it may change.
    "unet": Foreign(
        unet,
        {
            "encoder.block_12_add": 0.0,
            "encoder.block_6_expand_relu": 1e-6,
            "encoder.block_3_expand_relu": 1e-4,
            "encoder.block_1_expand_relu": 1e-2,
            "encoder.Conv1_relu": INF,
        },
    ),
    # What a composite layer for the ASPP shows of it is its output.
    "hub_deeplab": Foreign(
        hub_deeplab, {"encoder_output_upsampling": 1e-6, "decoder_relu": INF}, package="keras_hub"
    ),
    "segformer": Foreign(
        segformer,
        {"linear_32": 0.0, "linear_24": 1e-5, "linear_16": 3e-2, "linear_8": INF},
        package="keras_hub",
    ),
    "cv_deeplab": Foreign(
        cv_deeplab,
        {"encoder_output_upsampling": 1e-6, "low_level_feature_relu": INF},
        contrast="identity",
        package="keras_cv",
    ),
    "depth": Foreign(depth, {"project_2": 0.0, "project_1": 1e-4, "project_0": INF}, contrast="identity"),
}


@contextmanager
def floatx(name: str):
    """Inside, what is built has this type."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def batch_of(foreign: Foreign, pairs: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A training batch (x, y) with sampled branches and without void; n = 0 in the first pair."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, SIZE)[:, None] * rng.uniform(0, 1, (pairs, 1, 1, 3))
    image = 0.5 * ramp + rng.uniform(0, 127, (pairs, SIZE, SIZE, 3))
    partner = np.clip(image + rng.uniform(-60, 60, image.shape), 0, 255)
    offsets = rng.integers(-5, 6, pairs)
    offsets[0], partner[0] = 0, image[0]
    x = {"image": image, "partner": partner}
    x = {name: array.astype(keras.config.floatx()) for name, array in x.items()}
    x["offset_frames"] = offsets.astype(np.int32)
    for name in ("key_branch", "partner_branch"):
        finite = [i for i, rate in enumerate(foreign.rates.values()) if np.isfinite(rate)]
        x[name] = rng.choice(finite, pairs).astype(np.int32)
    shape = (pairs, SIZE, SIZE)
    if foreign.is_regression:
        return x, rng.uniform(0, 5, (*shape, 1)).astype(keras.config.floatx())
    return x, rng.integers(0, CLASSES, shape).astype(np.int32)


def state_of(network: keras.Model) -> list[np.ndarray]:
    """Weights, moving statistics and the states of generators."""
    return [keras.ops.convert_to_numpy(variable) for variable in network.variables]


def restore(network: keras.Model, state) -> None:
    for variable, value in zip(network.variables, state, strict=True):
        variable.assign(value)
