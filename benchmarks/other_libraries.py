"""A plain training step of our DeepLabV3+/ResNet-50 against those of keras-hub and keras-cv.

All have output stride 32, the only one that theirs have; 256 channels in ASPP and decoder; 48 of the low
level; random weights; the same images, optimizer and `fit`. None is compiled with XLA. Theirs get float
images, no void labels and Keras' own cross entropy; ours casts, masks and keeps its training metrics.

The networks differ: theirs have plain 3x3 convolutions in the ASPP and none in the decoder, and classify 256
channels at full size; ours has separable ones in both, as published, and classifies at stride 4. The notes
print what follows from it, parameters and counted FLOPs of a step. On a CPU TensorFlow computes dilated
convolutions by way of SpaceToBatchND, whose padding is work too and is counted.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import tensorflow as tf
from keras import layers

from benchmarks import train_step as ts
from benchmarks.cost import flops, graph_of
from benchmarks.timing import MISSING, Options, Row, Target, medians, ratios, seconds, take_turns
from taf_keras.models.keras_cv_backbones import ARCHITECTURES
from taf_keras.training.optimizer import build_optimizer

RATES = [6, 12, 18]
STAGES = {"filters": [64, 128, 256, 512], "blocks": [3, 4, 6, 3], "strides": [1, 2, 2, 2]}  # ResNet-50


def keras_hub_model() -> tuple[keras.Model, bool]:
    """The model, and whether it returns logits."""
    from keras_hub.models import DeepLabV3Backbone, DeepLabV3ImageSegmenter, ResNetBackbone

    resnet = ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        block_type="bottleneck_block",
        **{f"stackwise_num_{name}": values for name, values in STAGES.items()},
    )
    backbone = DeepLabV3Backbone(
        resnet, "P5", upsampling_size=8, dilation_rates=RATES, low_level_feature_key="P2"
    )
    return DeepLabV3ImageSegmenter(backbone, ts.CLASSES), True


def keras_cv_model() -> tuple[keras.Model, bool]:
    import keras_cv

    name, arguments = ARCHITECTURES["resnet50"]
    backbone = getattr(keras_cv.models, name)(**arguments, include_rescaling=True)
    return keras_cv.models.DeepLabV3Plus(backbone, ts.CLASSES), False


LIBRARIES = {"keras-hub": keras_hub_model, "keras-cv": keras_cv_model}


def rows(options: Options) -> list[Row]:
    images, size = (8, (256, 256)) if not options.smoke else (2, (64, 64))
    what, target = "images/s of a plain step, DeepLabV3+/ResNet-50", Target("≥", 1.0)
    config = ts.settings(replace(ts.RESNET50, output_stride=32), "baseline", images)
    batch = ts.random_batch(config, size)
    models, steps = {"ours": ts.build_trainer(config)}, {}
    steps["ours"] = ts.compiled_step(models["ours"], ts.in_memory(batch))
    their_batch = (batch["image"].astype("float32"), batch["label"].astype("int32"))
    for name, build in LIBRARIES.items():
        try:
            task, logits = build()
        except ImportError:
            continue
        # keras-hub's task comes with a metric that a second `compile` does not take away.
        models[name] = keras.Model(task.inputs, task.outputs)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        optimizer = build_optimizer(config.training, 100_000)
        models[name].compile(optimizer=optimizer, loss=loss, jit_compile=False)
        steps[name] = ts.compiled_step(models[name], ts.in_memory(their_batch))
    variants = {name: seconds(ts.warmed_up(step), options.clock) for name, step in steps.items()}
    results = take_turns("libraries", variants, options.rounds)

    described = describe(models["ours"], batch, config.model.output_stride)
    found = []
    for name in LIBRARIES:
        if name not in models:
            found.append(Row.not_measured(what, name, target, MISSING))
            continue
        theirs = describe(models[name], their_batch, 2 ** len([*STAGES["strides"], "stem"]))
        pair = {key: results[key] for key in ("ours", name)}
        note = f"{medians(pair, 'ms a step', 1000)}; ours: {described}; {name}: {theirs}"
        found.append(Row.of(what, name, ratios(results[name], results["ours"]), target, note))
    return found


def describe(model: keras.Model, batch, output_stride: int) -> str:
    """Parameters, convolutions by kind, FLOPs."""
    inner = getattr(model, "network", model)
    kinds = {"3x3": 0, "separable 3x3": 0, "1x1": 0}
    for layer in inner._flatten_layers():
        if isinstance(layer, layers.DepthwiseConv2D):
            kinds["separable 3x3"] += 1
        elif isinstance(layer, layers.Conv2D) and layer.kernel_size[0] in (1, 3):
            kinds["3x3" if layer.kernel_size[0] == 3 else "1x1"] += 1
    convolutions = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    counted = flops(graph_of(model.train_step, tf.nest.map_structure(tf.constant, batch))).total()
    return (
        f"{inner.count_params() / 1e6:.1f} M parameters, {counted / 1e9:.0f} GFLOP a step, "
        f"output stride {output_stride}, convolutions {convolutions}"
    )
