"""Optimisation: `TrainingConfig`."""

from absl import flags

from taf_keras.config import DTYPES, EXPORT_WEIGHTS, KEEP_BEST, OPTIMIZERS, TrainingConfig

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.choice(
        "optimizer",
        TrainingConfig.optimizer,
        OPTIMIZERS,
        "sgd: Nesterov SGD with coupled L2 (Section 5.2); adamw: AdamW, which transformers need, with a "
        "--learning_rate of about 1e-4. The paper: sgd.",
    )
    flag.integer(
        "epochs",
        TrainingConfig.epochs,
        "Passes over the key frames, 1 or more. The paper: 600 on CamVid, 300 on Cityscapes (Table 2). "
        "Default: ours, for minutes on two cores.",
    )
    flag.integer(
        "batch_size",
        TrainingConfig.batch_size,
        "Images per step over all replicas, partners included, 1 or more; even where the method uses "
        "partners. The paper: 16, but 8 for ResNet-50 on Cityscapes (Section 5.2).",
    )
    flag.integer(
        "gradient_accumulation_steps",
        TrainingConfig.gradient_accumulation_steps,
        "Small batches into which each device cuts its share of --batch_size, one after the other in less "
        "memory; 1 or more, a divisor of its key frames. Updates, and all that counts steps, stay what they "
        "are, but batch norm has the statistics of each small batch. Default: ours.",
    )
    flag.number(
        "learning_rate",
        TrainingConfig.learning_rate,
        "Learning rate at the start, after the warm-up if there is one; positive and finite. The paper: "
        "0.01, 0.02 or 0.05 (Table 2).",
    )
    flag.number(
        "momentum",
        TrainingConfig.momentum,
        "Nesterov momentum of SGD, beta_1 of AdamW, in [0, 1). The paper: 0.9 (Section 5.2).",
    )
    flag.number(
        "weight_decay",
        TrainingConfig.weight_decay,
        "0 or more. sgd: coupled L2, this times a weight is added to its gradient; adamw: a step takes "
        "this times the learning rate from a weight. The paper: 1e-4 (Section 5.2).",
    )
    flag.number(
        "lr_power",
        TrainingConfig.lr_power,
        "Power of the polynomial decay of the learning rate to 0, 0 or more; 0 keeps it constant. The "
        "paper: 0.9 (Section 5.2).",
    )
    flag.integer(
        "warmup_steps",
        TrainingConfig.warmup_steps,
        "Steps over which the learning rate rises from 0, 0 or more. The paper: none.",
    )
    flag.integer(
        "seed",
        TrainingConfig.seed,
        "Seed of the weights and of every random draw of training, 0 or more. Default: ours.",
    )
    flag.choice(
        "dtype",
        TrainingConfig.dtype,
        DTYPES,
        "Number format of the network; softmax and losses stay float32. Default: ours.",
    )
    flag.choice(
        "keep_best",
        TrainingConfig.keep_best,
        KEEP_BEST,
        "miou: the checkpoint of the validation with the highest mIoU is kept beside the last ones. The "
        "paper: none.",
    )
    flag.choice(
        "export_weights",
        TrainingConfig.export_weights,
        EXPORT_WEIGHTS,
        "Weights that are evaluated and exported at the end: the last ones, or the best that --keep_best has "
        "kept. The paper: last.",
    )
