"""How long an epoch of each of the paper's recipes takes on 1, 4 and 8 GPUs: by arithmetic, nothing is run.

    python -m benchmarks.epoch_time [--sustained_tflops=50] [--cores=16] [--allreduce_gb=50]

A step computes, reads the next batches and sums gradients side by side, so that it takes as long as the
longest of them:

    compute     FLOPs of a step (taf_keras/experiments/gpu_hours.py) / (GPUs × sustained FLOP/s)
    input       examples of a step × CPU seconds of one / cores; and at least × the seconds in which one
                process runs Python, which no number of cores shortens
    all-reduce  2 · (GPUs - 1) / GPUs × 4 bytes of each weight / bytes per second between GPUs

Left out are the start, validation and what does not scale: small batches on each GPU, launches of kernels.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from taf_keras.command_line import RECIPES, parse_config
from taf_keras.config import Config
from taf_keras.experiments.gpu_hours import TRAINING_CLIPS, gpu_hours
from taf_keras.experiments.paper_table import read_rows
from taf_keras.tables import markdown

GPUS = (1, 4, 8)
# Milliseconds of one core for a pair of PNG files with its label map: two threads read 199 and 19.6 pairs/s
# (docs/performance.md, first epoch). Those of them in Python, and the share of a key frame without a partner,
# are of benchmarks/reader_threads.py.
PAIR_MS = {(360, 480): 10.0, (1024, 2048): 102.0}
PYTHON_MS = 0.7
SINGLE = 0.55


@dataclass(frozen=True)
class Machine:
    """What the arithmetic assumes.

    Attributes:
        sustained_tflops: 10¹² FLOPs per second of one GPU, averaged over a step.
        cores: that read for each GPU.
        allreduce_gb: 10⁹ bytes per second that a GPU sends to another one.
    """

    sustained_tflops: float
    cores: int
    allreduce_gb: float


@dataclass(frozen=True)
class Epoch:
    """What an epoch of a recipe asks for.

    Attributes:
        tflop: 10¹² FLOPs.
        steps: updates.
        core_s: seconds of one core for all examples.
        python_s: of these, those that run Python.
        weights: of the network.
    """

    tflop: float
    steps: int
    core_s: float
    python_s: float
    weights: int

    @classmethod
    def of(cls, config: Config) -> Epoch:
        from taf_keras.datasets.load import class_table
        from taf_keras.models.build import build_model

        classes = len(class_table(config.data))
        steps = config.steps_per_epoch(round(TRAINING_CLIPS[config.data.dataset] * config.data.subset))
        examples = steps * config.key_frames_per_step / 1e3
        core_ms = PAIR_MS[config.data.image_size] * (1 if config.uses_partners else SINGLE)
        return cls(
            tflop=gpu_hours(config, classes, 1.0) * 3600 / config.training.epochs,
            steps=steps,
            core_s=examples * core_ms,
            python_s=examples * PYTHON_MS,
            weights=build_model(replace(config.model, backbone_weights="random"), classes).count_params(),
        )

    def seconds(self, machine: Machine, gpus: int) -> dict[str, float]:
        """Of each part of an epoch."""
        gb = self.steps * 2 * (gpus - 1) / gpus * 4 * self.weights / 1e9
        return {
            "compute": self.tflop / (gpus * machine.sustained_tflops),
            "input": max(self.core_s / (gpus * machine.cores), self.python_s),
            "all-reduce": gb / machine.allreduce_gb,
        }

    def cell(self, machine: Machine, gpus: int) -> str:
        """'12 s, input'."""
        seconds = self.seconds(machine, gpus)
        longest = max(seconds, key=seconds.get)
        return f"{seconds[longest]:.3g} s, {longest}"


def table(recipes: Sequence, machine: Machine) -> str:
    """Markdown, one line for each of the paper's rows."""
    lines = []
    for row in recipes:
        config = parse_config([f"--flagfile={row.file}", "--data_dir=DATA"])
        epoch = Epoch.of(config)
        cells = [epoch.cell(machine, gpus) for gpus in GPUS]
        lines.append([f"`{row.recipe}`", epoch.steps, f"{epoch.tflop:.3g}", f"{epoch.core_s:.3g}", *cells])
    head = ["recipe", "steps", "TFLOP", "core s to read", "1 GPU", *(f"{gpus} GPUs" for gpus in GPUS[1:])]
    return markdown(head, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.epoch_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sustained_tflops", type=float, default=50.0, help="of one GPU (%(default)s)")
    parser.add_argument("--cores", type=int, default=16, help="that read for each GPU (%(default)s)")
    parser.add_argument("--allreduce_gb", type=float, default=50.0, help="GB/s between GPUs (%(default)s)")
    options = parser.parse_args(arguments)
    if not all(0 < value < float("inf") for value in vars(options).values()):
        parser.error("every number must be positive and finite")
    machine = Machine(**vars(options))
    recipes = [row for dataset in TRAINING_CLIPS for row in read_rows(RECIPES, dataset)]
    print(table(recipes, machine))
    print(
        f"\nAn epoch, and what limits it. For each GPU {machine.sustained_tflops:g} sustained TFLOP/s and "
        f"{machine.cores} cores that read PNG files; {machine.allreduce_gb:g} GB/s between GPUs."
    )


if __name__ == "__main__":
    main()
