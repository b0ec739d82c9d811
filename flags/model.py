"""The network: `ModelConfig`."""

from absl import flags

from taf_keras.config import BACKBONES, BRANCHES, KERAS_CV_PREFIX, OUTPUT_STRIDES, ModelConfig

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.text(
        "model",
        ModelConfig.model,
        f"{', '.join(BRANCHES)} (Section 2.3); or a model of your own: FILE.py:FUNCTION, a function of the "
        "number of classes that returns a functional keras.Model, RGB in [0, 255] to logits, or FILE.keras, "
        "such a model saved by Keras. FILE.py is executed. Default: ours.",
    )
    flag.text(
        "backbone",
        ModelConfig.backbone,
        f"{', '.join(BACKBONES)} (the paper's two) or {KERAS_CV_PREFIX}NAME, a backbone of KerasCV. "
        "Default: ours, the faster of the paper's.",
    )
    flag.text(
        "backbone_weights",
        ModelConfig.backbone_weights,
        "random, imagenet (downloaded once by Keras) or the path of a weights file of that backbone. The "
        "paper: imagenet (Section 5.2). Default: ours, needs no network.",
    )
    strides = "; ".join(
        f"{model}: {', '.join(map(str, allowed))}" for model, allowed in OUTPUT_STRIDES.items()
    )
    flag.integer(
        "output_stride",
        ModelConfig.output_stride,
        f"Image pixels per pixel of the last backbone stage. {strides}; {KERAS_CV_PREFIX}NAME: 32.",
        empty="the paper's, 16 for deeplabv3plus and 32 for fcn8s (Table 1)",
    )
    flag.number(
        "backbone_width",
        ModelConfig.backbone_width,
        "Factor on the channels of mobilenetv2 (its alpha), in (0, 2]; 1 for every other backbone. The "
        "paper: 1.",
        empty="ours, 0.5 for mobilenetv2 and 1 for every other backbone",
    )
    flag.integer(
        "head_channels",
        ModelConfig.head_channels,
        "Channels of each atrous branch and of the decoder of deeplabv3plus, 1 or more. DeepLabV3+: 256. "
        "Default: ours.",
    )
    flag.number(
        "batch_norm_momentum",
        ModelConfig.batch_norm_momentum,
        "Share of the old moving statistics that a training step keeps, in [0, 1). Default: ours, the "
        "paper has none.",
    )
