"""How long a run takes: an estimate from its arithmetic, before anything is trained.

    GPU hours = steps × images per step × FLOPs per image / sustained FLOP/s / 3600
    FLOPs per image = 3 × (features + head, twice where features are swapped)

The backward pass costs about twice the forward one, hence the 3. FLOPs of the forward pass are those of the
convolutions and matrix products, two per multiply-add. Reading and evaluating are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from taf_keras.config import BRANCHES, Config, ModelConfig

# Of one of the paper's GPUs (Section 5.2), a GeForce GTX 1080 Ti with a peak of 11.3 in float32. That 30 % of
# it are sustained is assumed, not measured; MobileNetV2's depthwise convolutions usually stay below.
SUSTAINED_TFLOPS = 0.3 * 11.3
TRAINING_CLIPS = {"camvid": 367, "cityscapes": 2975}  # Section 4.1
_TIMES_FORWARD = 3


def gpu_hours(config: Config, classes: int, sustained_tflops: float = SUSTAINED_TFLOPS) -> float:
    """Hours of one GPU for a run on the whole of CamVid or Cityscapes.

    Args:
        config: with the size of its crops.
        sustained_tflops: 10¹² FLOPs per second, averaged over the training.
    """
    clips = round(TRAINING_CLIPS[config.data.dataset] * config.data.subset)
    steps = config.training.epochs * config.steps_per_epoch(clips)
    features, head = forward_flops(config.model, classes, config.data.crop_size or config.data.image_size)
    per_image = _TIMES_FORWARD * (features + head * (2 if config.swaps else 1))
    return steps * config.training.batch_size * per_image / (sustained_tflops * 1e12) / 3600


@cache
def forward_flops(model: ModelConfig, classes: int, size: tuple[int, int]) -> tuple[float, float]:
    """FLOPs of one forward pass over an image of size (height, width): of the features, and of the head."""
    from taf_keras.models.build import build_model
    from taf_keras.taf.cut import Cut

    network = build_model(replace(model, backbone_weights="random"), classes)
    features = count_flops(Cut(network, BRANCHES[model.model]).features, size)
    return features, count_flops(network, size) - features


def count_flops(function: Callable, size: tuple[int, int]) -> float:
    """FLOPs of convolutions and matrix products of a function of one RGB image (1, height, width, 3)."""
    import tensorflow as tf

    image = tf.TensorSpec((1, *size, 3), tf.float32)
    flops = 0.0
    for operation in tf.function(function).get_concrete_function(image).graph.get_operations():
        if operation.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            kernel = operation.inputs[1].shape
            # Every weight meets each position of the output; dilated ones come in batches of positions.
            flops += 2.0 * math.prod(operation.outputs[0].shape[:-1]) * math.prod(kernel)
    return flops
