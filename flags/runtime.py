"""Where and how a run executes, without effect on its result: `RuntimeConfig`."""

from absl import flags

from taf_keras.config import EXPORT_FORMATS, JIT_COMPILE, STRATEGIES, RuntimeConfig

from .values import FlagDefiner


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    flag = FlagDefiner(flag_values)
    flag.text(
        "model_dir", RuntimeConfig.model_dir, "Folder into which the run writes everything. Default: ours."
    )
    flag.choice(
        "strategy",
        RuntimeConfig.strategy,
        STRATEGIES,
        "single: one device; mirrored: MirroredStrategy over --replicas devices, with synchronised batch "
        "norm; multi_worker: the same over the machines of TF_CONFIG (docs/distributed.md); auto: "
        "multi_worker where TF_CONFIG is set, else mirrored where there are several GPUs. The paper: 4 GPUs "
        "(Section 5.2). Default: ours.",
    )
    flag.integer(
        "replicas",
        RuntimeConfig.replicas,
        "Devices of each machine that share a step, 1 or more; more than one needs --strategy=mirrored or "
        "multi_worker. Without a GPU mirrored splits the CPU, for trying it out.",
        empty="all GPUs, or one device without a GPU",
    )
    flag.integer(
        "reader_threads",
        RuntimeConfig.reader_threads,
        "Threads that read and augment examples, 1 or more.",
        empty="one for each core that the process may use",
    )
    flag.number(
        "kept_mb",
        RuntimeConfig.kept_mb,
        "Memory, in MB, for key frames and label maps that stay decoded from epoch to epoch, 0 or more. "
        "CamVid at full size takes 254. Default: ours.",
    )
    flag.boolean(
        "deterministic",
        RuntimeConfig.deterministic,
        "On a GPU: only operations that give the same result each time, so that a run which is repeated, or "
        "interrupted and resumed, ends with the same weights bit for bit; slower. On a CPU it is always so. "
        "Default: ours.",
    )
    flag.integer(
        "steps_per_execution",
        RuntimeConfig.steps_per_execution,
        "Steps that run in one call, 1 or more: less time between them where steps are short. Progress, logs "
        "and the stop at a NaN come once a call; an epoch's last call has the steps that are left. 1 with "
        "several devices. Default: ours.",
    )
    flag.choice(
        "jit_compile",
        RuntimeConfig.jit_compile,
        JIT_COMPILE,
        "Whether XLA compiles the training step. auto: as Keras decides with one GPU; off without a GPU, "
        "with --deterministic and with several devices, where true is refused. Default: ours.",
    )
    flag.integer(
        "log_every",
        RuntimeConfig.log_every,
        "Steps between two TensorBoard points, and two looks whether the loss is finite, 1 or more. "
        "Default: ours.",
    )
    flag.integer(
        "validations",
        RuntimeConfig.validations,
        "Evaluations on the val split, spread evenly over the training, 0 or more. Default: ours.",
    )
    flag.integer(
        "eval_batch_size",
        RuntimeConfig.eval_batch_size,
        "Frames that a validation or evaluation takes at once, 1 or more.",
        empty="as many as have 2^21 pixels together, at most 8: one of 1024x2048",
    )
    flag.number(
        "checkpoint_minutes",
        RuntimeConfig.checkpoint_minutes,
        "Minutes after which a checkpoint is written at the end of a step, beside those at validations, 0 or "
        "more; inf is never. Default: ours.",
    )
    flag.names(
        "export_formats",
        RuntimeConfig.export_formats,
        f"Files beside the SavedModel in export/: any of {', '.join(EXPORT_FORMATS)}. Default: ours.",
        empty="the SavedModel alone",
    )
