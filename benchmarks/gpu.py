"""Measures training steps of the library on a GPU: plain, with TAF (Eq. 6), and with one-sided TAF (Eq. 5).

    python benchmarks/gpu.py [--output=FILE.json] [--minutes=4]

Needs Keras, NumPy and one of TensorFlow, JAX and PyTorch; KERAS_BACKEND says which, else it is the first of
these that is installed. Networks, crop and images of a step are those of CamVid's recipes. The rows come in
the order of their importance, and --minutes ends the command, compilation included: what is measured by then
is kept. FILE.json is written anew after every row, and beside it the tables as FILE.md.

What is measured is the step of `taf_keras.TAF` as Keras compiles it, on random frames that lie on the card
already. `train.py` has a step of its own, under TensorFlow alone, and reads files. float32 is what the
backend makes of it by default: TF32 in convolutions, on cards that have it.

Without a GPU a miniature runs. Its figures mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

if not __package__:  # run as a file: the folder in the way of imports is this one, not the project's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import gpu_backends
from benchmarks.gpu_report import Report, Result
from benchmarks.timing import ratios, take_turns
from taf_keras.errors import UserError, first_line

STEPS = {"plain": None, "symmetric": "both", "one-sided": "key"}  # and what `symmetric` of TAF is
# (model, backbone, dtype), in the order of importance.
NETWORKS = (
    ("DeepLabV3+/ResNet-50", "resnet50", "bfloat16"),
    ("DeepLabV3+/MobileNetV2", "mobilenetv2", "bfloat16"),
    ("DeepLabV3+/ResNet-50", "resnet50", "float32"),
)
MINIATURE = (("miniature", None, "bfloat16"),)
POLICIES = {"bfloat16": "mixed_bfloat16", "float32": "float32"}
WARM_UP = 3  # steps after the first one, in which allocators still grow
MOST_STEPS = 50  # of a turn


class Sizes:
    """How much is measured: CamVid's recipes, or a miniature."""

    def __init__(self, miniature: bool):
        self.networks = MINIATURE if miniature else NETWORKS
        self.images, self.size = (4, (32, 32)) if miniature else (16, (360, 360))
        self.rounds, self.turn_s = (2, 0.0) if miniature else (7, 0.25)

    def rows(self) -> list[Result]:
        return [
            Result(model, dtype, step, self.images) for model, _, dtype in self.networks for step in STEPS
        ]


def measure(report: Report, backend: gpu_backends.Backend, sizes: Sizes) -> None:
    """Fills in the report's rows in their order. A row that fails says why, and the next one begins."""
    import keras

    policy, waiting = keras.config.dtype_policy(), iter(report.rows)
    keras.utils.set_random_seed(0)  # once: TensorFlow then forgets the programs that it has compiled
    try:
        for _, backbone, _ in sizes.networks:
            _measure_network(report, [next(waiting) for _ in STEPS], backend, backbone, sizes)
            gc.collect()  # the next network needs the card's memory
    finally:
        keras.config.set_dtype_policy(policy)


def _measure_network(report, rows: list[Result], backend, backbone: str | None, sizes: Sizes) -> None:
    turns = {}  # step -> its row and its turn
    for row in rows:
        print(f"{row.label}: compiles", flush=True)
        try:
            compiled = _compiled(row, backend, backbone, sizes)
            turns[row.step] = row, _turn(compiled.take, sizes.turn_s)
            _take_turns(row.step, turns, sizes.rounds)
        except Exception as error:  # no memory, say; the others are worth having all the same
            row.state = f"failed: {type(error).__name__}: {first_line(error)}"
            print(f"{row.label}: {row.state}", flush=True)
            continue
        finally:
            report.write()
        print(f"{row.label}: {row.summary}", flush=True)
        for count in compiled.counts:
            try:
                row.counts |= count()
            except Exception as error:  # a profiler that the card's driver refuses, say
                print(f"{row.label}: of what it does not all is known: {first_line(error)}", flush=True)
        report.write()


def _compiled(row: Result, backend: gpu_backends.Backend, backbone: str | None, sizes: Sizes):
    """The row's step, warmed up; the row learns what that took."""
    from benchmarks import gpu_steps

    before, symmetric = backend.in_use(), STEPS[row.step]
    model = gpu_steps.compiled_model(backbone, POLICIES[row.dtype], symmetric)
    batch = gpu_steps.batch_on_device(sizes.images, sizes.size, symmetric)
    began = time.perf_counter()
    compiled = backend.compile(model, batch)
    row.compile_s = time.perf_counter() - began
    compiled.take(WARM_UP)
    row.peak_bytes = compiled.peak(before)
    return compiled


def _turn(take: Callable[[int], float], seconds: float) -> Callable[[], float]:
    """A function that takes steps for about so many seconds and returns those of one."""
    began = time.perf_counter()
    take(1)
    steps = min(MOST_STEPS, math.ceil(seconds / (time.perf_counter() - began)) or 1)

    def turn() -> float:
        began = time.perf_counter()
        loss = take(steps)
        elapsed = (time.perf_counter() - began) / steps
        if not math.isfinite(loss):
            raise ValueError(f"the loss became {loss}: a step on such numbers may take another time")
        return elapsed

    return turn


def _take_turns(step: str, turns: dict[str, tuple[Result, Callable]], rounds: int) -> None:
    """Rounds of the step, and of the plain one beside it where that was measured."""
    chosen = {name: turns[name][1] for name in ("plain", step) if name in turns}
    for turn in chosen.values():
        turn()  # what the other's compilation displaced comes back
    found = take_turns(step, chosen, rounds)
    for name, seconds in found.items():
        turns[name][0].step_s += seconds
    row, _ = turns[step]
    row.state = "measured"
    if step != "plain" and "plain" in found:
        row.ratios = ratios(found[step], found["plain"])


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/gpu.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write the rows there as JSON")
    parser.add_argument("--minutes", type=float, default=4, help="the most that all takes (%(default)s)")
    parser.add_argument(
        "--miniature", action="store_true", help="tiny sizes: shows that it runs, measures nothing"
    )
    options = parser.parse_args(arguments)
    if not 0 < options.minutes < math.inf:
        parser.error(f"--minutes={options.minutes:g}: must be above 0")
    if options.output and options.output.suffix == ".md":
        parser.error(f"--output={options.output}: is where the tables go; write FILE.json")
    try:
        options.backend = gpu_backends.choose()
    except UserError as error:
        parser.error(str(error))
    return options


def main(arguments: list[str] | None = None) -> int:
    """Returns an exit code: 1 where a row failed or none was reached."""
    options = parse(arguments)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sizes = Sizes(options.miniature)
    report = Report(options.output, sizes.rows())
    report.write()
    limit = threading.Timer(60 * options.minutes, _end, (report, options.minutes))
    limit.daemon = True
    limit.start()
    backend = gpu_backends.BACKENDS[options.backend]()
    if backend.card is None and not options.miniature:
        print(f"{backend.version} sees no GPU (KERAS_BACKEND chooses another backend): a miniature runs")
        sizes = Sizes(miniature=True)
        report.rows = sizes.rows()
    report.heading = {
        "card": backend.card or "no GPU",
        "backend": backend.version,
        "images": f"{sizes.images} of {sizes.size[0]}x{sizes.size[1]}",
        "rounds": sizes.rounds,
    }
    if sizes.networks is MINIATURE:
        report.heading["MINIATURE"] = "the figures mean nothing"
    measure(report, backend, sizes)
    limit.cancel()
    print(f"\n{report.text()}", flush=True)
    return report.exit_code


def _end(report: Report, minutes: float) -> None:
    """Ends the process: a compilation cannot be interrupted, and what was measured is written."""
    report.write()
    print(f"\n{report.text()}\n--minutes={minutes:g} are over", flush=True)
    os._exit(report.exit_code)


if __name__ == "__main__":
    sys.exit(main())
