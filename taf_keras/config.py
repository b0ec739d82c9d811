"""Every setting of a run, as frozen dataclasses. No TensorFlow here: `--help` and the checks stay fast.

A setting has one line with its type, default, bound or choices, and unit; its words are under `Attributes:`.
Its check and refusal, its flag and `--help` and its row of docs/command_line.md are made of these.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import types
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from taf_keras.errors import require
from taf_keras.files import sha256
from taf_keras.settings import Bound, check, described, setting
from taf_keras.sizes import size_text

METHODS = ("taf", "baseline", "slow", "propagate", "pseudo", "mean_teacher")
BATCH_NORM_FRAMES = ("key", "all")
PARTNERS = ("neighbour", "key", "other_clip")
CONTRASTIVE_LOSSES = ("l1", "l2", "symmetric_cross_entropy")
CONTRAST_ON = ("probabilities", "logits")
SYMMETRIC = ("both", "key", "sampled")
DTYPES = ("float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("auto", "single", "mirrored", "multi_worker")
JIT_COMPILE = ("auto", "true", "false")
DATASETS = ("synthetic", "camvid", "cityscapes", "manifest", "packed")
SPLITS = ("train", "val", "test")
LABELS = ("key", "all")
EVAL_SPLITS = ("auto", *SPLITS)
ON_BAD_FILE = ("refuse", "skip")
EXPORT_FORMATS = ("litert", "litert_int8", "onnx")  # beside the SavedModel
KEEP_BEST = ("none", "miou")
EXPORT_WEIGHTS = ("last", "best")
OPTIMIZERS = ("sgd", "adamw")
CLASS_WEIGHTS = ("none", "inverse_frequency", "inverse_sqrt_frequency")
BACKBONE_WEIGHTS = ("random", "imagenet", "auto")  # or the path of a file
BACKBONES = ("resnet50", "mobilenetv2")
KERAS_CV_PREFIX = "keras_cv:"

# The branches Φ_1 … Φ_m of each model, slowest first (Section 2.3), and the layers that are swapped for them.
BRANCHES = {
    "fcn8s": {name: f"{name}_score" for name in ("stride32", "stride16", "stride8")},
    "deeplabv3plus": {
        name: f"{name}_projection" for name in ("image_pool", "atrous18", "atrous12", "atrous6", "conv1x1")
    },
}
# The paper's change rates c_1 … c_m per frame (Section 5.3), as in flags/recipes.
PAPER_CHANGE_RATES = {
    "fcn8s": (1e-4, math.inf, math.inf),
    "deeplabv3plus": (1e-6, 1e-6, 1e-4, 1e-3, 1e-2),
}
# Ours, for the synthetic clips. With the paper's c_5, δ of DeepLabV3+'s 1×1 branch trebled in training
# (0.005 to 0.017): what the slow branches gave up moved there. A c_5 of 1e-3 keeps it near where it was.
CHANGE_RATES = PAPER_CHANGE_RATES | {"deeplabv3plus": (1e-6, 1e-6, 1e-5, 1e-4, 1e-3)}
# λ and n_h: the paper's context and what the synthetic val clips chose, and what game clips did, on which
# classes move by about 10 px in 3 frames (docs/results.md): with a user's own clips one begins there.
TAF_WEIGHT, OWN_TAF_WEIGHT = 6.0, 1.0
TEMPORAL_CONTEXT, OWN_TEMPORAL_CONTEXT = 15, 3
_LABEL_PARTNERS = ("propagate", "pseudo", "mean_teacher")
# Far above what is of use; a damaged or hostile config.json must not ask for all memory.
MOST_HEAD_CHANNELS, MOST_PX = 4096, 16384
OUTPUT_STRIDES = {"fcn8s": (32,), "deeplabv3plus": (8, 16, 32)}

LEAST_0 = Bound("0 or more{unit}", lambda value: value >= 0)  # which also refuses nan
LEAST_1 = Bound("1 or more{unit}", lambda value: value >= 1)
FINITE = Bound("finite and 0 or more", lambda value: 0 <= value < math.inf, brief="0 or more")
POSITIVE = Bound("positive and finite", lambda value: 0 < value < math.inf)
SHARE = Bound("in (0, 1]", lambda value: 0 < value <= 1)
PROBABILITY = Bound("in [0, 1]", lambda value: 0 <= value <= 1)
MOMENTUM = Bound("in [0, 1)", lambda value: 0 <= value < 1)
WIDTH = Bound("in (0, 2]", lambda value: 0 < value <= 2)
CHANNELS = Bound(f"1 to {MOST_HEAD_CHANNELS}", lambda value: 1 <= value <= MOST_HEAD_CHANNELS, "1 or more")
SIZE = Bound(
    f"1 to {MOST_PX}{{unit}}",
    lambda size: len(size) == 2 and min(size) >= 1 and max(size) <= MOST_PX,
    of="height and width ",
)
MINUTES = Bound("0 or more{unit}; inf is never", LEAST_0.allows, "0 or more; inf is never")

_STRIDES = "; ".join(f"{model}: {', '.join(map(str, allowed))}" for model, allowed in OUTPUT_STRIDES.items())
_RATES = "; ".join(f"{model}: {','.join(map('{:g}'.format, c))}" for model, c in CHANGE_RATES.items())


def usable_cores() -> int:
    """The cores that this process may use, which a container or a scheduler may have limited."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@described
@dataclass(frozen=True)
class DataConfig:
    """Which clips, at which size, and how training examples are sampled from them.

    Attributes:
        dataset: Data set. Default: ours, generated on first use.
        data_dir: Folder of the data set; for synthetic the folder in which generated clips are kept. Empty:
            for synthetic the user's cache folder; every other data set needs one.
        subset: Share of the training clips to keep, {bound}. The paper's CS-0.2 and CS-0.5 are 0.2 and 0.5
            (Section 4.1). Default: all clips, as the paper on CamVid.
        label_fraction: Share of the training labels to keep, {bound}; frames without their label stay as
            partners. Default: all labels, as the paper.
        labels: key: the key frame of each clip is labelled; all: every labelled frame counts as a key frame,
            which bounds from above what fewer labels can reach. Default: key, as the paper.
        image_size: Size to which frames are resized, in training and evaluation. The paper: 360x480 on
            CamVid, 1024x2048 on Cityscapes (Table 2). Default: ours. Empty: the size of the files.
        reduced_decoding: Decode JPEG frames of the training at 1/8, 1/4 or 1/2 of their size where that is
            not below --image_size: quicker, with slightly other pixels. Label maps, other formats and all of
            evaluation are decoded whole. Default: ours.
        crop_size: Size of training crops: at most --image_size, each side at least twice --output_stride. The
            paper: 360x360 on CamVid, 720x720 on Cityscapes (Table 2). Default: ours. Empty: the image size.
        temporal_context: n_h: a partner lies at most so many frames of the source video from its key frame,
            {bound} (Section 2.2). With --dataset=synthetic more than 15 makes longer clips, of other scenes.
            The paper: 15 (Section 4.3). Empty: 3 for --dataset=manifest (docs/results.md), else the paper's.
        min_scale: Least factor of the random scale, positive and at most --max_scale. The paper: 0.5 (Section
            5.2). Default: ours.
        max_scale: Largest factor of the random scale, at least --min_scale. The paper: 2 (Section 5.2).
            Default: ours.
        flip: Random horizontal flips of training examples. The paper: yes (Section 5.2).
        color_jitter: Random brightness, contrast and saturation of training examples, the same for both
            frames of a pair. The paper: no.
        partner: Where the partner comes from. neighbour: the frames around the key frame, the method itself.
            For checks of a gain, key: the key frame again; other_clip: a frame of another clip. Default: the
            paper's method.
        subset_seed: Seed of what --subset and --label_fraction keep, {bound}; apart from --seed, so that runs
            with different seeds see the same data. Default: ours.
        scene_seed: Seed of the scenes of --dataset=synthetic, {bound}. Default: ours.
        train_clips: Number of train clips of --dataset=synthetic, {bound}. Default: ours.
        val_clips: Number of val clips of --dataset=synthetic, {bound}. Default: ours.
        test_clips: Number of test clips of --dataset=synthetic, {bound}. Default: ours.
        drift: Scale of the changes of light and colour in --dataset=synthetic, {brief}; 0 is constant light.
            Default: ours.
        eval_split: Split of metrics.json; auto is test where the data set has one, else val, else train. The
            paper: test on CamVid, val on Cityscapes (Table 1).
        on_bad_file: What a file that cannot be used does: refuse stops before training; skip leaves it out,
            names it and counts it in metrics.json. Default: ours.
        allow_outside_files: Let a manifest name files outside --data_dir. Default: ours, since a list made by
            others should not reach every file of yours.
        blur: Random Gaussian blur of training examples, the same for both frames of a pair. The paper: no.
        cutmix: Random rectangles of training examples that show another one, with its labels: of key frames
            for --method=baseline, of partners for mean_teacher. A pasted frame has no offset, so there is no
            TAF beside it. The paper: no.
    """

    dataset: str = setting("synthetic", choices=DATASETS)
    data_dir: str | None = setting(None)
    subset: float = setting(1.0, SHARE)
    label_fraction: float = setting(1.0, SHARE)
    labels: str = setting("key", choices=LABELS)
    image_size: tuple[int, int] | None = setting(None, SIZE, unit="px")
    reduced_decoding: bool = setting(False)
    crop_size: tuple[int, int] | None = setting(None, SIZE, unit="px")
    temporal_context: int | None = setting(None, LEAST_0, unit="frames")
    min_scale: float = setting(0.75)
    max_scale: float = setting(1.5)
    flip: bool = setting(True)
    color_jitter: bool = setting(False)
    partner: str = setting("neighbour", choices=PARTNERS)
    subset_seed: int = setting(0, LEAST_0)
    scene_seed: int = setting(0, LEAST_0)
    train_clips: int = setting(32, LEAST_1)
    val_clips: int = setting(40, LEAST_1)
    test_clips: int = setting(100, LEAST_1)
    drift: float = setting(1.0, FINITE)
    eval_split: str = setting("auto", choices=EVAL_SPLITS)
    on_bad_file: str = setting("refuse", choices=ON_BAD_FILE)
    allow_outside_files: bool = setting(False)
    blur: bool = setting(False)
    cutmix: bool = setting(False)

    def __post_init__(self):
        check(self)
        if self.temporal_context is None:
            object.__setattr__(self, "temporal_context", default_temporal_context(self.dataset))
        _require_small("subset_seed", self.subset_seed)
        _require_small("scene_seed", self.scene_seed)
        require(
            not self.reduced_decoding or self.image_size is not None,
            "--reduced_decoding: needs --image_size, below the size of the files",
        )
        require(
            0 < self.min_scale <= self.max_scale < math.inf,
            f"--min_scale={self.min_scale} --max_scale={self.max_scale}: need 0 < min_scale <= max_scale",
        )
        require(
            self.dataset == "synthetic" or self.data_dir is not None,
            f"--dataset={self.dataset} needs --data_dir, the folder that holds it",
        )


@described
@dataclass(frozen=True)
class ModelConfig:
    """The network. A model of the user's own has all settings but `model` at their defaults, without effect.

    Attributes:
        model: {values} (Section 2.3); or a model of your own: FILE.py:FUNCTION, a function of the number of
            classes that returns a functional keras.Model, RGB in [0, 255] to logits, or FILE.keras, such a
            model saved by Keras. FILE.py is executed. Default: ours.
        backbone: {values} (the paper's two) or keras_cv:NAME, a backbone of KerasCV. Default: ours, the
            faster of the paper's.
        backbone_weights: random, imagenet (downloaded once by Keras), auto (imagenet where it can be had,
            else random with a warning) or the path of a weights file of that backbone. The paper: imagenet
            (Section 5.2). Default: ours, needs no network.
        output_stride: Image pixels per pixel of the last backbone stage. {values}; keras_cv:NAME: 32. Empty:
            the paper's, 16 for deeplabv3plus and 32 for fcn8s (Table 1).
        backbone_width: Factor on the channels of mobilenetv2 (its alpha), {bound}; 1 for every other
            backbone. The paper: 1. Empty: ours, 0.5 for mobilenetv2 and 1 for every other backbone.
        head_channels: Channels of each atrous branch and of the decoder of deeplabv3plus, {brief}.
            DeepLabV3+: 256. Default: ours.
        batch_norm_momentum: Share of the old moving statistics that a training step keeps, {bound}. Default:
            ours, the paper has none.
        model_sha256: of the user's file, once a run has begun.
    """

    model: str = setting("deeplabv3plus", values=", ".join(BRANCHES))
    backbone: str = setting("mobilenetv2", values=", ".join(BACKBONES))
    backbone_weights: str = setting("random")
    output_stride: int | None = setting(None, values=_STRIDES)
    backbone_width: float | None = setting(None, WIDTH)
    head_channels: int = setting(64, CHANNELS)
    batch_norm_momentum: float = setting(0.9, MOMENTUM)
    model_sha256: str | None = field(default=None, metadata={"flag": False})

    def __post_init__(self):
        if self.is_own:
            self._check_own()
            return
        require(
            self.model in BRANCHES,
            f"--model={self.model}: allowed are {', '.join(BRANCHES)}, FILE.py:FUNCTION and FILE.keras",
        )
        of_keras_cv = self.backbone.startswith(KERAS_CV_PREFIX)
        require(
            self.backbone in BACKBONES or of_keras_cv,
            f"--backbone={self.backbone}: allowed are {', '.join(BACKBONES)} and {KERAS_CV_PREFIX}NAME",
        )
        strides = (32,) if of_keras_cv else OUTPUT_STRIDES[self.model]  # their stages cannot be dilated
        if self.output_stride is None:
            object.__setattr__(self, "output_stride", 16 if 16 in strides else 32)
        require(
            self.output_stride in strides,
            f"--output_stride={self.output_stride}: {self.model} on {self.backbone} allows "
            f"{', '.join(map(str, strides))}",
        )
        if self.backbone_width is None:
            object.__setattr__(self, "backbone_width", 0.5 if self.backbone == "mobilenetv2" else 1.0)
        check(self)
        require(
            self.backbone_width == 1 or self.backbone == "mobilenetv2",
            f"--backbone_width={self.backbone_width}: only mobilenetv2 has a width multiplier",
        )

    @property
    def is_own(self) -> bool:
        """Whether it is a model of the user's own."""
        return self.function is not None or self.model.endswith(".keras")

    @property
    def function(self) -> str | None:
        """FUNCTION of `FILE.py:FUNCTION`, else None."""
        match = re.fullmatch(r".+\.py:(\w+)", self.model)
        return match and match[1]

    @property
    def file(self) -> Path:
        """The user's file."""
        return Path(self.model.removesuffix(f":{self.function}"))

    def _check_own(self):
        for own in self.SETTINGS.values():
            value = getattr(self, own.field)
            require(
                own.field == "model" or value == own.default,
                f"--{own.flag}={value}: is of no effect on --model={self.model}; leave it out",
            )


@described
@dataclass(frozen=True)
class TAFConfig:
    """The objective (Eq. 6).

    Attributes:
        method: taf: Eq. 6; baseline: key frames only; slow: slow feature learning, Eq. 6 with every change
            rate 0; propagate and pseudo: explicit labels for the partners, by optical flow or from a trained
            baseline; mean_teacher: labels for the partners from the moving average of the network's own
            weights, for a network that sees them with other colours, blurred and, with --cutmix, pasted
            (Tarvainen and Valpola 2017; Sohn et al. 2020). Default: the paper's method.
        weight: λ, weight of the TAF term in Eq. 6, {bound}. The methods that label partners have no such term
            unless it is given. The paper: 0.5 or 1 (Table 2). Empty: ours, 1 for --dataset=manifest and 6
            else, tuned on game clips and on the synthetic val clips (docs/results.md).
        change_rates: c_1,…,c_m, one number for each branch of --model, slowest branch first: the change of
            the class probabilities that is free, mean absolute difference per frame, 0 or more; inf leaves a
            branch free (Eq. 4). Or NAME=c,…, where branches that are not named are free; for a model of your
            own the names are those of the layers whose outputs are swapped. auto: measured on --rates_from.
            Empty: ours, {values}; the paper's (Section 5.3) are in the recipes.
        rates_from: --change_rates=auto: model_dir of a trained baseline of the same --model. Empty: none,
            which auto refuses.
        rates_quantile: --change_rates=auto: c_i is this quantile, {bound}, of the baseline's δ_i per frame
            over pairs of training frames; per change of the input with --relative_change_rates. Default:
            ours.
        contrastive_loss: Distance δ of Eq. 3. The paper: l1 (Section 5.5).
        contrast_on: What δ compares. The paper: probabilities; logits degenerate and are kept to show it
            (Section 5.5).
        relative: Measure change rates against the input's own mean absolute change instead of against the
            number of frames (Section 5.4). The paper's results: no.
        batch_norm_frames: Frames of a training batch whose statistics batch norm uses, for all of the batch:
            key, the key frames before any swap; or all. The paper does not say. Default: ours, by measurement
            (docs/reproduce.md).
        symmetric: Which frames of a pair take a branch of the other. both: Eq. 6; key: the key frame alone,
            as in Eq. 5, for which the head Ω sees half as much; sampled: one of the two, sampled for each
            pair, with twice the weight, so that the expected loss is that of both. The paper: both.
    """

    method: str = setting("taf", choices=METHODS)
    weight: float | None = setting(None, FINITE, flag="taf_weight")
    change_rates: tuple[float, ...] | tuple[tuple[str, float], ...] | str | None = setting(
        None, values=_RATES
    )
    rates_from: str | None = setting(None)
    rates_quantile: float = setting(0.1, PROBABILITY)
    contrastive_loss: str = setting("l1", choices=CONTRASTIVE_LOSSES)
    contrast_on: str = setting("probabilities", choices=CONTRAST_ON)
    relative: bool = setting(False, flag="relative_change_rates")
    batch_norm_frames: str = setting("key", choices=BATCH_NORM_FRAMES)
    symmetric: str = setting("both", choices=SYMMETRIC)

    def __post_init__(self):
        check(self)
        require(
            self.contrast_on == "probabilities" or self.contrastive_loss != "symmetric_cross_entropy",
            "--contrastive_loss=symmetric_cross_entropy needs --contrast_on=probabilities",
        )
        require(
            self.change_rates == "auto" or not isinstance(self.change_rates, str),
            f"--change_rates={self.change_rates}: write comma-separated numbers, NAME=number,… or auto",
        )
        require(
            self.change_rates != "auto" or self.rates_from is not None,
            "--change_rates=auto needs --rates_from, the model_dir of a trained baseline",
        )
        require(
            self.method != "slow" or self.change_rates is None,
            "--change_rates: --method=slow sets every rate to 0; allowed with --method=taf",
        )


@described
@dataclass(frozen=True)
class PartnerLabelConfig:
    """Explicit label augmentation, which TAF competes with: labels made for the partner frames.

    The loss is (CE(key) + weight·CE(partner)) / (1 + weight), pixels that do not count being void. For
    mean_teacher it is CE(key) + weight·CE(partner), and such pixels add 0 to the mean (Sohn et al. 2020).

    Attributes:
        weight: Weight of the partners' cross entropy against the key frames' 1, {bound}. Default: ours.
        flow_tolerance_px: --method=propagate: a pixel counts where the flow to the key frame and back ends
            within this many pixels of it, {bound}. Default: ours.
        teacher: --method=pseudo: model_dir of the trained baseline whose predictions label the partners.
            Empty: none, which pseudo refuses.
        confidence: --method=pseudo and mean_teacher: a pixel counts where the teacher's most probable class
            has at least this probability, {bound}. Default: ours.
        teacher_momentum: --method=mean_teacher: share of the average that a step keeps, {bound}; less in the
            first steps. Default: ours.
    """

    weight: float = setting(1.0, FINITE, flag="partner_label_weight")
    flow_tolerance_px: float = setting(1.0, FINITE, unit="px")
    teacher: str | None = setting(None)
    confidence: float = setting(0.9, PROBABILITY)
    teacher_momentum: float = setting(0.99, MOMENTUM)

    def __post_init__(self):
        check(self)


@described
@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation (Section 5.2).

    Attributes:
        epochs: Passes over the key frames, {bound}. The paper: 600 on CamVid, 300 on Cityscapes (Table 2).
            Default: ours, for minutes on two cores.
        batch_size: Images per step over all replicas, partners included, {bound}; even where the method uses
            partners. The paper: 16, but 8 for ResNet-50 on Cityscapes (Section 5.2).
        gradient_accumulation_steps: Small batches into which each device cuts its share of --batch_size, one
            after the other in less memory; {bound}, a divisor of its key frames. Updates, and all that counts
            steps, stay what they are, but batch norm has the statistics of each small batch. Default: ours.
        learning_rate: Learning rate at the start, after the warm-up if there is one; {bound}. The paper:
            0.01, 0.02 or 0.05 (Table 2).
        momentum: Nesterov momentum of SGD, beta_1 of AdamW, {bound}. The paper: 0.9 (Section 5.2).
        weight_decay: {brief}. sgd: coupled L2, this times a weight is added to its gradient; adamw: a step
            takes this times the learning rate from a weight. The paper: 1e-4 (Section 5.2).
        lr_power: Power of the polynomial decay of the learning rate to 0, {brief}; 0 keeps it constant. The
            paper: 0.9 (Section 5.2).
        warmup_steps: Steps over which the learning rate rises from 0, {brief}. The paper: none.
        seed: Seed of the weights and of all that training samples, {brief}. Default: ours.
        dtype: Number format of the network; softmax and losses stay float32. Default: ours.
        keep_best: miou: the checkpoint of the validation with the highest mIoU is kept beside the last ones.
            The paper: none.
        export_weights: Weights that are evaluated and exported at the end: the last ones, or the best that
            --keep_best has kept. The paper: last.
        optimizer: sgd: Nesterov SGD with coupled L2 (Section 5.2); adamw: AdamW, which transformers need,
            with a --learning_rate of about 1e-4. The paper: sgd.
        class_weights: Weights of the classes in the cross entropy, by their share of the labelled pixels of
            training, on average 1 for a pixel: {values}. What is rare counts more, and more often comes out
            where it is not. The paper: none.
        init_from: model_dir of a run that has ended: this one begins with its weights, all that fit, and a
            schedule of its own. Of classes with other names, those that both know. Empty: the backbone's.
    """

    epochs: int = setting(300, LEAST_1)
    batch_size: int = setting(16, LEAST_1)
    gradient_accumulation_steps: int = setting(1, LEAST_1)
    learning_rate: float = setting(0.2, POSITIVE)
    momentum: float = setting(0.9, MOMENTUM)
    weight_decay: float = setting(1e-4, FINITE)
    lr_power: float = setting(0.9, FINITE)
    warmup_steps: int = setting(20, FINITE)
    seed: int = setting(0, FINITE)
    dtype: str = setting("float32", choices=DTYPES)
    keep_best: str = setting("none", choices=KEEP_BEST)
    export_weights: str = setting("last", choices=EXPORT_WEIGHTS)
    optimizer: str = setting("sgd", choices=OPTIMIZERS)
    class_weights: str = setting("none", choices=CLASS_WEIGHTS)
    init_from: str | None = setting(None)

    def __post_init__(self):
        check(self)
        require(
            self.export_weights == "last" or self.keep_best == "miou",
            "--export_weights=best needs --keep_best=miou",
        )
        _require_small("seed", self.seed)


@described
@dataclass(frozen=True)
class RuntimeConfig:
    """Where and how a run executes and what it leaves; nothing here changes its result.

    Attributes:
        model_dir: Folder into which the run writes everything. Default: ours.
        strategy: single: one device; mirrored: MirroredStrategy over --replicas devices, with synchronised
            batch norm; multi_worker: the same over the machines of TF_CONFIG (docs/distributed.md); auto:
            multi_worker where TF_CONFIG is set, else mirrored where there are several GPUs. The paper: 4 GPUs
            (Section 5.2). Default: ours.
        replicas: Devices of each machine that share a step, {bound}; more than one needs several GPUs, or
            --strategy=mirrored, which without a GPU splits the CPU, for trying it out. Empty: all GPUs, or
            one device without a GPU.
        reader_threads: Threads that read and augment examples, {bound}. Empty: one for each core that the
            process may use.
        kept_mb: Memory, in MB, for key frames and label maps that stay decoded from epoch to epoch, {brief}.
            CamVid at full size takes 254. Default: ours.
        deterministic: On a GPU: only operations that give the same result each time, so that a run which is
            repeated, or interrupted and resumed, ends with the same weights bit for bit; slower. On a CPU it
            is always so. Default: ours.
        steps_per_execution: Steps that run in one call, {bound}: less time between them where steps are
            short. Progress, logs and the stop at a NaN come once a call; an epoch's last call has the steps
            that are left. 1 with several devices. Default: ours.
        jit_compile: Whether XLA compiles the training step. auto: as Keras decides with one GPU; off without
            a GPU, with --deterministic and with several devices, where true is refused. Default: ours.
        log_every: Steps between two TensorBoard points, and two looks whether the loss is finite, {bound}.
            Default: ours.
        validations: Evaluations on the val split, spread evenly over the training, {bound}. Default: ours.
        eval_batch_size: Frames that a validation or evaluation takes at once, {bound}. Empty: as many as have
            2^21 pixels together, at most 8: one of 1024x2048.
        checkpoint_minutes: Minutes after which a checkpoint is written at the end of a step, beside those at
            validations, {brief}. Default: ours.
        export_formats: Files beside the SavedModel in export/: any of {values}. litert_int8 is LiteRT in
            8-bit integers, made with 100 training frames (docs/serving.md). Default: ours. Empty: the
            SavedModel alone.
    """

    model_dir: str = setting("runs/default")
    strategy: str = setting("auto", choices=STRATEGIES)
    replicas: int | None = setting(None, LEAST_1)
    reader_threads: int | None = setting(None, LEAST_1)
    kept_mb: float = setting(512.0, FINITE, unit="MB")
    deterministic: bool = setting(False)
    steps_per_execution: int = setting(1, LEAST_1)
    jit_compile: str = setting("auto", choices=JIT_COMPILE)
    log_every: int = setting(10, LEAST_1, unit="steps")
    validations: int = setting(10, LEAST_0)
    eval_batch_size: int | None = setting(None, LEAST_1)
    checkpoint_minutes: float = setting(10.0, MINUTES, unit="minutes")
    export_formats: tuple[str, ...] = setting((), choices=EXPORT_FORMATS)

    def __post_init__(self):
        check(self)

    @property
    def threads(self) -> int:
        """`reader_threads`, or the number of cores that this process may use."""
        return self.reader_threads or usable_cores()


@dataclass(frozen=True)
class Config:
    """A whole run. Checks that need more than one group are here.

    The defaults are tuned for the synthetic clips and two CPU cores; the paper's settings are in
    flags/recipes.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    taf: TAFConfig = field(default_factory=TAFConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    partner_labels: PartnerLabelConfig = field(default_factory=PartnerLabelConfig)

    def __post_init__(self):
        if self.taf.weight is None:
            weight = default_taf_weight(self.data.dataset, self.taf.method)
            object.__setattr__(self, "taf", replace(self.taf, weight=weight))
        self._check_change_rates()
        self._check_augmentation()
        require(
            self.taf.symmetric == "both" or not self.labels_partners,
            f"--symmetric={self.taf.symmetric}: --method={self.taf.method} looks at the partners anyway; "
            "allowed is both",
        )
        require(
            self.taf.method != "pseudo" or self.partner_labels.teacher is not None,
            "--method=pseudo needs --teacher, the model_dir of a trained baseline",
        )
        if self.uses_partners:
            require(
                self.training.batch_size % 2 == 0,
                f"--batch_size={self.training.batch_size}: --method={self.taf.method} needs an even number, "
                "half key frames and half partners",
            )
        require(
            self.training.keep_best == "none" or self.runtime.validations > 0,
            f"--keep_best={self.training.keep_best}: needs --validations of 1 or more, which measure it",
        )
        self.check_accumulation(replicas=1)
        self._check_statistics()
        crop_size = self.data.crop_size or self.data.image_size
        if crop_size is not None:
            check_crop_size(crop_size, self.data.image_size, self.model.output_stride)

    def check_accumulation(self, replicas: int) -> None:
        """UserError unless each of `replicas` can cut its key frames into equal small batches.

        With `cutmix` their number must be even: two key frames paste from one another.
        """
        parts = self.training.gradient_accumulation_steps
        own = self.key_frames_per_step // replicas
        require(
            own % parts == 0,
            f"--gradient_accumulation_steps={parts}: the {own} key frames that a device has in a step "
            "cannot be cut into so many equal parts",
        )
        require(
            not self.data.cutmix or own // parts % 2 == 0,
            f"--cutmix: pastes between two key frames, and a device has {own // parts} at a time: give a "
            "--batch_size that makes it an even number",
        )

    def _check_augmentation(self):
        data, method = self.data, self.taf.method
        require(
            not data.cutmix or method == "baseline" or (method == "mean_teacher" and not self.swaps),
            "--cutmix: a pasted frame has no offset; allowed are --method=baseline and mean_teacher without "
            "--taf_weight",
        )

    def _check_statistics(self):
        """image_pool has one value for each frame: of a single frame, batch norm would have no variance."""
        training = self.training
        frames = self.key_frames_per_step // training.gradient_accumulation_steps
        if self.taf.batch_norm_frames == "all":
            frames *= training.batch_size // self.key_frames_per_step
        parts = f" in {training.gradient_accumulation_steps} parts" * (
            training.gradient_accumulation_steps > 1
        )
        require(
            frames > 1 or self.model.model != "deeplabv3plus",
            f"--batch_size={training.batch_size}{parts}: one key frame at a time: the batch norm of "
            "image_pool, which has one value for each frame, needs two or more",
        )

    def _check_change_rates(self):
        if self.measures_rates:
            require(
                not self.model.is_own, f"--change_rates=auto: needs one of the models {', '.join(BRANCHES)}"
            )
            return
        given, method = self.taf.change_rates, self.taf.method
        named = _is_named(given)
        if self.model.is_own:
            require(
                method != "slow",
                "--method=slow: write --method=taf --change_rates=LAYER=0,… for a model of your own",
            )
            require(
                named if self._has_taf_term else named or given is None,
                f"--model={self.model.model}: needs --change_rates=LAYER=c,…, the layers whose outputs are "
                "swapped, slowest first",
            )
        elif named:
            for name, _ in given:
                require(
                    name in self.branches,
                    f"--change_rates={name}=…: {self.model.model} has {', '.join(self.branches)}",
                )
        rates, branches = self.change_rates, self.branches
        text = ",".join(f"{rate:g}" for rate in rates)
        require(
            not named or len(dict(given)) == len(given),
            "--change_rates: names a branch twice",
        )
        require(
            len(rates) == len(branches),
            f"--change_rates={text}: {self.model.model} has {len(branches)} branches "
            f"({', '.join(branches)}), so it needs {len(branches)} numbers, not {len(rates)}",
        )
        require(
            all(rate >= 0 for rate in rates),  # also refuses nan
            f"--change_rates={text}: each must be 0 or more; inf leaves a branch free",
        )

    @property
    def measures_rates(self) -> bool:
        """Whether the change rates still have to be measured."""
        return self.taf.change_rates == "auto" and self.uses_measured_rates

    @property
    def uses_measured_rates(self) -> bool:
        """Whether `rates_from` counts: without the TAF term there are no rates, and those of `slow` are 0."""
        return self.taf.rates_from is not None and self._has_taf_term and self.taf.method != "slow"

    @property
    def branch_layers(self) -> dict[str, str]:
        """{branch: the layer whose output is swapped for it}, in the order of `change_rates`."""
        if not self.model.is_own:
            return BRANCHES[self.model.model]
        return {layer: layer for layer, _ in self.taf.change_rates or ()}

    @property
    def branches(self) -> tuple[str, ...]:
        return tuple(self.branch_layers)

    @property
    def change_rates(self) -> tuple[float, ...]:
        """c_1 … c_m in force: zeros for `slow`, CHANGE_RATES unless they are given."""
        given = self.taf.change_rates
        if self.taf.method == "slow":
            return (0.0,) * len(self.branches)
        if _is_named(given):
            return tuple(dict(given).get(branch, math.inf) for branch in self.branches)
        return given if isinstance(given, tuple) else CHANGE_RATES.get(self.model.model, ())

    @property
    def swap_branches(self) -> tuple[int, ...]:
        """Indices of the branches that may be sampled: those with a finite c_i (R+ is 0 for the others)."""
        return tuple(i for i, rate in enumerate(self.change_rates) if math.isfinite(rate))

    @property
    def uses_partners(self) -> bool:
        return self.taf.method != "baseline"

    @property
    def swaps(self) -> bool:
        """Whether the method swaps features, and there are branches that may be sampled."""
        return self._has_taf_term and bool(self.swap_branches)

    @property
    def _has_taf_term(self) -> bool:
        return self.taf.method in ("taf", "slow") or (self.labels_partners and self.taf.weight > 0)

    @property
    def labels_partners(self) -> bool:
        return self.taf.method in _LABEL_PARTNERS

    @property
    def key_frames_per_step(self) -> int:
        """Half of a TAF batch are partners (Section 2.2)."""
        return self.training.batch_size // (2 if self.uses_partners else 1)

    def steps_per_epoch(self, key_frames: int) -> int:
        """Steps of one pass over `key_frames`; the last batch is filled up from the epoch's beginning."""
        return math.ceil(key_frames / self.key_frames_per_step)

    def to_dict(self) -> dict:
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict) -> Config:
        """The inverse of `to_dict`. UserError names what does not exist, or has another type."""
        groups = {f.name: f.default_factory for f in dataclasses.fields(cls)}
        built = {}
        for group, settings in values.items():
            require(group in groups, f"config: unknown group {group!r}; allowed are {', '.join(groups)}")
            require(isinstance(settings, dict), f"config: {group} must be an object")
            known = get_type_hints(groups[group])
            given = {name: _from_json(value) for name, value in settings.items()}
            for name, value in given.items():
                require(name in known, f"config: unknown setting {group}.{name}")
                require(
                    _has_type(value, known[name]),
                    f"config: {group}.{name} has a value of another type: {repr(value)[:50]}",
                )
            built[group] = groups[group](**given)
        return cls(**built)


def _require_small(name: str, seed: int) -> None:
    require(seed < 2**32, f"--{name}={seed}: must be below 2^32")


def default_temporal_context(dataset: str) -> int:
    return OWN_TEMPORAL_CONTEXT if dataset == "manifest" else TEMPORAL_CONTEXT


def default_taf_weight(dataset: str, method: str) -> float:
    if method in _LABEL_PARTNERS:
        return 0.0
    return OWN_TAF_WEIGHT if dataset == "manifest" else TAF_WEIGHT


def _is_named(change_rates) -> bool:
    return isinstance(change_rates, tuple) and any(isinstance(rate, tuple) for rate in change_rates)


def _from_json(value):
    """JSON has neither tuples nor infinity; the latter is written as "inf"."""
    if isinstance(value, list):
        return tuple(map(_from_json, value))
    return math.inf if value == "inf" else value


def _has_type(value, hint) -> bool:
    """Whether a value is what JSON can hold of a type: `1` is a float too, `true` no int."""
    if isinstance(hint, types.UnionType):
        return any(_has_type(value, each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, tuple):
            return False
        items = items[:1] * len(value) if items[1:] == (...,) else items
        return len(items) == len(value) and all(map(_has_type, value, items))
    if hint is float and type(value) is float:
        return True
    if hint in (int, float):
        return type(value) is int and abs(value) < 2**32
    return type(value) is hint and (hint is not str or "\0" not in value)


def with_model_file(config: Config) -> Config:
    """The configuration with the hash of `--model=FILE…`. Raises: UserError where there is no such file."""
    model = config.model
    if not model.is_own:
        return config
    require(model.file.is_file(), f"--model={model.model}: {model.file}: no such file")
    return replace(config, model=replace(model, model_sha256=sha256(model.file)))


def check_weights_file(weights: str) -> None:
    """UserError unless `--backbone_weights` is one of the words, or the path of a file."""
    require(
        weights in BACKBONE_WEIGHTS or Path(weights).is_file(),
        f"--backbone_weights={weights}: no such file; allowed are {', '.join(BACKBONE_WEIGHTS)} and the path "
        "of a file",
    )


def check_crop_size(crop_size, image_size, output_stride: int | None) -> None:
    """UserError unless the crop lies within the image and covers two cells of the coarsest features."""
    text = size_text(crop_size)
    output_stride = output_stride or 1  # that of a model of the user's own is not known
    least = 2 * output_stride
    require(
        min(crop_size) >= least,
        f"--crop_size={text}: each side needs at least {least} px, twice the output stride {output_stride}",
    )
    if image_size is not None:
        require(
            crop_size[0] <= image_size[0] and crop_size[1] <= image_size[1],
            f"--crop_size={text}: must not exceed the image size {size_text(image_size)}",
        )
