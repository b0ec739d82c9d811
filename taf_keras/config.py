"""Every setting of a run, as frozen dataclasses. No TensorFlow here: `--help` and the checks stay fast."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from taf_keras.errors import UserError

METHODS = ("taf", "baseline", "slow", "propagate", "pseudo")
BATCH_NORM_FRAMES = ("key", "all")
PARTNERS = ("neighbour", "key", "other_clip")
CONTRASTIVE_LOSSES = ("l1", "l2", "symmetric_cross_entropy")
CONTRAST_ON = ("probabilities", "logits")
DTYPES = ("float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("auto", "single", "mirrored", "multi_worker")
JIT_COMPILE = ("auto", "true", "false")
DATASETS = ("synthetic", "camvid", "cityscapes", "manifest", "packed")
SPLITS = ("train", "val", "test")
LABELS = ("key", "all")
EVAL_SPLITS = ("auto", *SPLITS)
ON_BAD_FILE = ("refuse", "skip")
EXPORT_FORMATS = ("litert", "onnx")  # beside the SavedModel
KEEP_BEST = ("none", "miou")
EXPORT_WEIGHTS = ("last", "best")
OPTIMIZERS = ("sgd", "adamw")
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
# A flag has the name of its field, but where that says too little on a command line.
_FLAG_NAMES = {
    "taf.weight": "taf_weight",
    "taf.relative": "relative_change_rates",
    "partner_labels.weight": "partner_label_weight",
}
# Far above what is of use; a damaged or hostile config.json must not ask for all memory.
MOST_HEAD_CHANNELS, MOST_PX = 4096, 16384
OUTPUT_STRIDES = {"fcn8s": (32,), "deeplabv3plus": (8, 16, 32)}


def usable_cores() -> int:
    """The cores that this process may use, which a container or a scheduler may have limited."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def flag_name(group: str, field: str) -> str:
    """The flag of a config field: `flag_name("taf", "weight")` is `taf_weight`."""
    return _FLAG_NAMES.get(f"{group}.{field}", field)


def require(condition: bool, message: str) -> None:
    """Raises UserError(message) unless `condition` holds."""
    if not condition:
        raise UserError(message)


def require_one_of(name: str, value, allowed) -> None:
    """Raises a UserError that names the setting, its value and what is allowed."""
    require(value in allowed, f"--{name}={value}: allowed are {', '.join(map(str, allowed))}")


@dataclass(frozen=True)
class DataConfig:
    """Which clips, at which size, and how training examples are drawn from them.

    Attributes:
        dataset: one of DATASETS.
        data_dir: folder of the data set; for `synthetic` the cache folder (None: the user's cache).
        subset: share of the training clips to keep, (0, 1].
        label_fraction: share of the training labels to keep, (0, 1]; frames stay as partners.
        labels: `key` uses the key frames' labels; `all` makes a key frame of every labelled frame
            (the upper bound that no method with fewer labels should pass).
        image_size: (height, width) to which frames are resized, px; None keeps the files' size.
        crop_size: (height, width) of training crops, px; None takes the image size.
        temporal_context: n_h, largest |offset| of a partner, frames of the source video.
        min_scale, max_scale: range of the random scale.
        flip: random horizontal flips.
        color_jitter: random brightness, contrast and saturation, the same for both frames of a pair.
        partner: `neighbour` is the method's. `key` (the key frame itself in its partner's place) and
            `other_clip` (a frame of another clip, as if it were n frames away) are checks of a gain: with
            them there must be none.
        subset_seed: seed of `subset` and `label_fraction`; not the run's, so that all seeds share the data.
        scene_seed, train_clips, val_clips, test_clips: the draw of synthetic scenes, and their number.
        drift: scale of the synthetic clips' changes of light and colour; 0 is constant light.
        eval_split: split of metrics.json; `auto` is test where the data set has one, else val.
        on_bad_file: `refuse` stops before training, `skip` leaves the file out and counts it.
        allow_outside_files: a manifest may name files outside `data_dir`.
    """

    dataset: str = "synthetic"
    data_dir: str | None = None
    subset: float = 1.0
    label_fraction: float = 1.0
    labels: str = "key"
    image_size: tuple[int, int] | None = None
    crop_size: tuple[int, int] | None = None
    temporal_context: int = 15
    min_scale: float = 0.75
    max_scale: float = 1.5
    flip: bool = True
    color_jitter: bool = False
    partner: str = "neighbour"
    subset_seed: int = 0
    scene_seed: int = 0
    train_clips: int = 32
    val_clips: int = 40
    test_clips: int = 100
    drift: float = 1.0
    eval_split: str = "auto"
    on_bad_file: str = "refuse"
    allow_outside_files: bool = False

    def __post_init__(self):
        require_one_of("dataset", self.dataset, DATASETS)
        require_one_of("labels", self.labels, LABELS)
        require_one_of("partner", self.partner, PARTNERS)
        require_one_of("eval_split", self.eval_split, EVAL_SPLITS)
        require_one_of("on_bad_file", self.on_bad_file, ON_BAD_FILE)
        require(0 < self.subset <= 1, f"--subset={self.subset}: must be in (0, 1]")
        require(0 < self.label_fraction <= 1, f"--label_fraction={self.label_fraction}: must be in (0, 1]")
        require(
            self.temporal_context >= 0,
            f"--temporal_context={self.temporal_context}: must be 0 or more frames",
        )
        require(
            0 < self.min_scale <= self.max_scale < math.inf,
            f"--min_scale={self.min_scale} --max_scale={self.max_scale}: need 0 < min_scale <= max_scale",
        )
        for name in ("train_clips", "val_clips", "test_clips"):
            require(getattr(self, name) >= 1, f"--{name}={getattr(self, name)}: must be 1 or more")
        for name in ("scene_seed", "subset_seed"):
            require(getattr(self, name) >= 0, f"--{name}={getattr(self, name)}: must be 0 or more")
        require(0 <= self.drift < math.inf, f"--drift={self.drift}: must be finite and 0 or more")
        for name in ("image_size", "crop_size"):
            size = getattr(self, name)
            require(
                size is None or (len(size) == 2 and min(size) >= 1 and max(size) <= MOST_PX),
                f"--{name}={size}: height and width must be 1 to {MOST_PX} px",
            )
        require(
            self.dataset == "synthetic" or self.data_dir is not None,
            f"--dataset={self.dataset} needs --data_dir, the folder that holds it",
        )


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
        model: key of BRANCHES; or a model of the user's own, `FILE.py:FUNCTION` or `FILE.keras`, for which
            the settings below are at their defaults and of no effect.
        model_sha256: of the user's file, once a run has begun.
        backbone: one of BACKBONES, or `keras_cv:NAME`.
        backbone_weights: `random`, `imagenet`, or the path of a weights file of that backbone.
        output_stride: image px per px of the last backbone stage; None takes the model's default (32 or 16).
        backbone_width: MobileNetV2's width multiplier alpha (1 in the paper); None takes 0.5 for
            MobileNetV2 and 1 for the others, which have no multiplier.
        head_channels: channels of DeepLabV3+'s ASPP branches and decoder (256 in the paper).
        batch_norm_momentum: share of the old moving statistics kept per step.
    """

    model: str = "deeplabv3plus"
    backbone: str = "mobilenetv2"
    backbone_weights: str = "random"
    output_stride: int | None = None
    backbone_width: float | None = None
    head_channels: int = 64
    batch_norm_momentum: float = 0.9
    model_sha256: str | None = field(default=None, metadata={"flag": False})

    def __post_init__(self):
        if self.is_own:
            self._check_own()
            return
        require(
            self.model in BRANCHES,
            f"--model={self.model}: allowed are {', '.join(BRANCHES)}, FILE.py:FUNCTION and FILE.keras",
        )
        require(
            self.backbone in BACKBONES or self.backbone.startswith(KERAS_CV_PREFIX),
            f"--backbone={self.backbone}: allowed are {', '.join(BACKBONES)} and {KERAS_CV_PREFIX}NAME",
        )
        strides = OUTPUT_STRIDES[self.model]
        if self.backbone.startswith(KERAS_CV_PREFIX):
            strides = (32,)  # their stages cannot be dilated
        if self.output_stride is None:
            object.__setattr__(self, "output_stride", 16 if 16 in strides else 32)
        require(
            self.output_stride in strides,
            f"--output_stride={self.output_stride}: {self.model} on {self.backbone} allows "
            f"{', '.join(map(str, strides))}",
        )
        if self.backbone_width is None:
            object.__setattr__(self, "backbone_width", 0.5 if self.backbone == "mobilenetv2" else 1.0)
        require(
            1 <= self.head_channels <= MOST_HEAD_CHANNELS,
            f"--head_channels={self.head_channels}: must be 1 to {MOST_HEAD_CHANNELS}",
        )
        require(0 < self.backbone_width <= 2, f"--backbone_width={self.backbone_width}: must be in (0, 2]")
        require(
            self.backbone_width == 1 or self.backbone == "mobilenetv2",
            f"--backbone_width={self.backbone_width}: only mobilenetv2 has a width multiplier",
        )
        require(
            0 <= self.batch_norm_momentum < 1,
            f"--batch_norm_momentum={self.batch_norm_momentum}: must be in [0, 1)",
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
        for name in ("backbone", "backbone_weights", "output_stride", "backbone_width", "head_channels",
                     "batch_norm_momentum"):  # fmt: skip
            value = getattr(self, name)
            require(
                value == getattr(type(self), name),
                f"--{name}={value}: is of no effect on --model={self.model}; leave it out",
            )


@dataclass(frozen=True)
class TAFConfig:
    """The objective (Eq. 6).

    Attributes:
        method: `taf`; `baseline`, key frames only; `slow`, every c_i = 0 (slow feature learning).
        weight: λ, 0 or more.
        change_rates: c_1 … c_m, change of the mean absolute difference of probabilities per frame,
            ascending order is usual but not required, `inf` leaves a branch free; None takes CHANGE_RATES;
            `auto` is measured before training, and config.json then has the numbers. Or pairs (branch, c), of
            a model of the user's own (layer, c); branches that are not named are free.
        rates_from: for `auto`, the model_dir of a trained baseline of the same model.
        rates_quantile: for `auto`, the quantile of its δ_i per frame that becomes c_i.
        contrastive_loss: the distance δ (5.5).
        contrast_on: what δ compares; `logits` is degenerate and kept to show it (5.5).
        batch_norm_frames: the frames of a training batch whose statistics normalise all of it: `key`, those
            of the key frames before any swap, so that partners act through the loss alone; or `all`.
        relative: measure c_i against the input's own L1 change instead of against |n| (5.4).
    """

    method: str = "taf"
    weight: float = 6.0
    change_rates: tuple[float, ...] | tuple[tuple[str, float], ...] | str | None = None
    rates_from: str | None = None
    rates_quantile: float = 0.1
    contrastive_loss: str = "l1"
    contrast_on: str = "probabilities"
    relative: bool = False
    batch_norm_frames: str = "key"

    def __post_init__(self):
        require_one_of("method", self.method, METHODS)
        require_one_of("contrastive_loss", self.contrastive_loss, CONTRASTIVE_LOSSES)
        require_one_of("contrast_on", self.contrast_on, CONTRAST_ON)
        require_one_of("batch_norm_frames", self.batch_norm_frames, BATCH_NORM_FRAMES)
        require(0 <= self.weight < math.inf, f"--taf_weight={self.weight}: must be finite and 0 or more")
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
        require(0 <= self.rates_quantile <= 1, f"--rates_quantile={self.rates_quantile}: must be in [0, 1]")
        require(
            self.method != "slow" or self.change_rates is None,
            "--change_rates: --method=slow sets every rate to 0; allowed with --method=taf",
        )


@dataclass(frozen=True)
class PartnerLabelConfig:
    """Explicit label augmentation, which TAF competes with: labels made for the partner frames.

    The loss is (CE(key) + weight·CE(partner)) / (1 + weight).

    Attributes:
        weight: of the partners' cross entropy.
        flow_tolerance_px: `propagate` carries the key frame's labels to its partner along the optical
            flow; a pixel from which the flow there and back ends farther away than this is void.
        teacher: `pseudo` takes the predictions of this run, the model_dir of a trained baseline.
        confidence: `pseudo` leaves pixels void whose most probable class has less than this probability.
    """

    weight: float = 1.0
    flow_tolerance_px: float = 1.0
    teacher: str | None = None
    confidence: float = 0.9

    def __post_init__(self):
        for name, value in (
            ("partner_label_weight", self.weight),
            ("flow_tolerance_px", self.flow_tolerance_px),
        ):
            require(0 <= value < math.inf, f"--{name}={value}: must be finite and 0 or more")
        require(0 <= self.confidence <= 1, f"--confidence={self.confidence}: must be in [0, 1]")


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation (Section 5.2).

    Attributes:
        optimizer: one of OPTIMIZERS. `sgd` is the paper's, with `momentum` and coupled L2; `adamw` decays the
            weights beside the gradient, and `momentum` is its beta_1.
        batch_size: images per update over all replicas, partners included.
        gradient_accumulation_steps: small batches into which each replica cuts its share of the batch; their
            gradients are added up to those of the batch. Batch norm has the statistics of each small batch.
        keep_best: `miou` keeps the checkpoint of the validation with the highest mIoU beside the last ones.
        export_weights: the weights that are evaluated and exported at the end: the `last`, as in the paper,
            or the `best` that were kept.
    """

    epochs: int = 300
    batch_size: int = 16
    gradient_accumulation_steps: int = 1
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 1e-4
    lr_power: float = 0.9
    warmup_steps: int = 20
    seed: int = 0
    dtype: str = "float32"
    keep_best: str = "none"
    export_weights: str = "last"
    optimizer: str = "sgd"

    def __post_init__(self):
        require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        require_one_of("dtype", self.dtype, DTYPES)
        require_one_of("keep_best", self.keep_best, KEEP_BEST)
        require_one_of("export_weights", self.export_weights, EXPORT_WEIGHTS)
        require(
            self.export_weights == "last" or self.keep_best == "miou",
            "--export_weights=best needs --keep_best=miou",
        )
        for name in ("epochs", "batch_size", "gradient_accumulation_steps"):
            require(getattr(self, name) >= 1, f"--{name}={getattr(self, name)}: must be 1 or more")
        for name in ("weight_decay", "lr_power", "warmup_steps", "seed"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"--{name}={value}: must be finite and 0 or more")
        require(self.seed < 2**32, f"--seed={self.seed}: must be below 2^32")
        require(
            0 < self.learning_rate < math.inf,
            f"--learning_rate={self.learning_rate}: must be positive and finite",
        )
        require(0 <= self.momentum < 1, f"--momentum={self.momentum}: must be in [0, 1)")


@dataclass(frozen=True)
class RuntimeConfig:
    """Where and how a run executes and what it leaves; nothing here changes its result.

    Attributes:
        model_dir: folder of the run.
        strategy: one of STRATEGIES; `auto` is multi_worker where TF_CONFIG is set, else mirrored with two
            or more GPUs.
        replicas: number of replicas of a machine; None is one per GPU.
        reader_threads: threads that read and augment examples; None is one for each usable core.
        kept_mb: memory for key frames and label maps that stay decoded from one epoch to the next, MB of
            10⁶ bytes. All of CamVid's take 254, all of Cityscapes' 25 000.
        deterministic: a GPU uses operations that give the same result each time; a CPU always does.
        steps_per_execution: steps that run in one call; progress, logs and the stop at a NaN come behind it.
        jit_compile: one of JIT_COMPILE, whether XLA compiles the step; `auto` leaves that to Keras where
            there is one GPU, and is off elsewhere.
        log_every: steps between two entries of TensorBoard's scalars, and two looks at the loss.
        validations: number of validations (and checkpoints) during the training; 0 is none.
        eval_batch_size: frames that are evaluated at once; None is as many as `evaluation_batches` finds
            the memory of a small GPU to hold.
        checkpoint_minutes: a checkpoint is written at the end of a step when the last one is so old.
        export_formats: any of EXPORT_FORMATS, written beside the SavedModel.
    """

    model_dir: str = "runs/default"
    strategy: str = "auto"
    replicas: int | None = None
    reader_threads: int | None = None
    kept_mb: float = 512.0
    deterministic: bool = False
    steps_per_execution: int = 1
    jit_compile: str = "auto"
    log_every: int = 10
    validations: int = 10
    eval_batch_size: int | None = None
    checkpoint_minutes: float = 10.0
    export_formats: tuple[str, ...] = ()

    def __post_init__(self):
        require_one_of("strategy", self.strategy, STRATEGIES)
        for name in ("replicas", "reader_threads", "eval_batch_size"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"--{name}={value}: must be 1 or more")
        require(
            self.checkpoint_minutes >= 0,  # also refuses nan
            f"--checkpoint_minutes={self.checkpoint_minutes}: must be 0 or more minutes; inf is never",
        )
        require(0 <= self.kept_mb < math.inf, f"--kept_mb={self.kept_mb}: must be finite and 0 or more")
        require_one_of("jit_compile", self.jit_compile, JIT_COMPILE)
        require(
            self.steps_per_execution >= 1,
            f"--steps_per_execution={self.steps_per_execution}: must be 1 or more",
        )
        require(self.log_every >= 1, f"--log_every={self.log_every}: must be 1 or more steps")
        require(self.validations >= 0, f"--validations={self.validations}: must be 0 or more")
        for name in self.export_formats:
            require_one_of("export_formats", name, EXPORT_FORMATS)

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
        self._check_change_rates()
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
        """UserError unless each of `replicas` can cut its key frames into equal small batches."""
        parts = self.training.gradient_accumulation_steps
        own = self.key_frames_per_step // replicas
        require(
            own % parts == 0,
            f"--gradient_accumulation_steps={parts}: the {own} key frames that a device has in a step "
            "cannot be cut into so many equal parts",
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
                named if method == "taf" else named or given is None,
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
        return self.taf.change_rates == "auto"

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
        return given if given is not None else CHANGE_RATES.get(self.model.model, ())

    @property
    def swap_branches(self) -> tuple[int, ...]:
        """Indices of the branches that may be drawn: those with a finite c_i (R+ is 0 for the others)."""
        return tuple(i for i, rate in enumerate(self.change_rates) if math.isfinite(rate))

    @property
    def uses_partners(self) -> bool:
        return self.taf.method != "baseline"

    @property
    def swaps(self) -> bool:
        """Whether the method swaps features, and there are branches that may be drawn."""
        return self.taf.method in ("taf", "slow") and bool(self.swap_branches)

    @property
    def labels_partners(self) -> bool:
        return self.taf.method in ("propagate", "pseudo")

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
                fits = any(_has_type(value, each) for each in _alternatives(known[name]))
                require(fits, f"config: {group}.{name} has a value of another type: {repr(value)[:50]}")
            built[group] = groups[group](**given)
        return cls(**built)


def _is_named(change_rates) -> bool:
    return isinstance(change_rates, tuple) and any(isinstance(rate, tuple) for rate in change_rates)


def _from_json(value):
    """JSON has neither tuples nor infinity; the latter is written as "inf"."""
    if isinstance(value, list):
        return tuple(map(_from_json, value))
    return math.inf if value == "inf" else value


def _alternatives(hint) -> tuple:
    return get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _has_type(value, hint) -> bool:
    """Whether a value is what JSON can hold of a type: `1` is a float too, `true` no int."""
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
    sha256 = hashlib.sha256(model.file.read_bytes()).hexdigest()
    return dataclasses.replace(config, model=dataclasses.replace(model, model_sha256=sha256))


def check_weights_file(weights: str) -> None:
    """UserError unless `--backbone_weights` is `random`, `imagenet` or the path of a file."""
    require(
        weights in ("random", "imagenet") or Path(weights).is_file(),
        f"--backbone_weights={weights}: no such file; allowed are random, imagenet and the path of a file",
    )


def check_crop_size(crop_size, image_size, output_stride: int | None) -> None:
    """UserError unless the crop lies within the image and covers two cells of the coarsest features."""
    text = "x".join(map(str, crop_size))
    output_stride = output_stride or 1  # that of a model of the user's own is not known
    least = 2 * output_stride
    require(
        min(crop_size) >= least,
        f"--crop_size={text}: each side needs at least {least} px, twice the output stride {output_stride}",
    )
    if image_size is not None:
        require(
            crop_size[0] <= image_size[0] and crop_size[1] <= image_size[1],
            f"--crop_size={text}: must not exceed the image size {'x'.join(map(str, image_size))}",
        )
