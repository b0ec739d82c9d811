"""Peak memory of the TAF step against a plain one, and against one in small batches.

Each step runs in a fresh process, since an allocator keeps what it once got. Counted is resident memory: its
peak during the steps less what was there when the model and its optimizer were built. TensorFlow's own
statistics exist for GPUs alone, and they would leave out what oneDNN takes beside them. The trace of the step
is part of what is counted, on all sides.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import measure_fresh
from benchmarks.timing import Options, Row, Target, medians, ratios, take_turns
from taf_keras.allocator import keep_freed_memory

STEPS = 3
PARTS = 4
# Name -> method, --symmetric, images a step, small batches of a step, what happens to freed memory.
STEPS_OF = {
    "TAF": ("taf", "both", 8, 1, "kept"),
    "one-sided": ("taf", "key", 8, 1, "kept"),
    "plain": ("baseline", "both", 8, 1, "kept"),
    "returning": ("taf", "both", 8, 1, "returned"),
    "whole": ("taf", "both", 16, 1, "kept"),
    "in parts": ("taf", "both", 16, PARTS, "kept"),
}


def rows(options: Options) -> list[Row]:
    def fresh(settings):
        return lambda: measure_fresh("benchmarks.memory", *settings, *["smoke"] * options.smoke)

    variants = {name: fresh(settings) for name, settings in STEPS_OF.items()}
    # They hardly vary, and a process takes half a minute.
    turns = take_turns("memory", variants, min(options.rounds, 2))
    count = len(turns["TAF"])

    def row(what: str, figure: str, unit: str, pair: tuple[str, str], against: str, target=None) -> Row:
        results = {name: [turn[figure] for turn in turns[name]] for name in pair}
        note = f"{medians(results, unit)}; {count} rounds"
        return Row.of(what, against, ratios(*results.values()), target, note)

    model = "DeepLabV3+/MobileNetV2"
    parts = f"TAF step in {PARTS} small batches"
    cut, whole = ("in parts", "whole"), "one batch, 16 images of 256x256"
    return [
        row(f"peak memory of the TAF step, {model}", "megabytes", "MB", ("TAF", "plain"),
            "plain step, 8 images of 256x256", Target("≤", 1.25)),
        row(f"peak memory of the one-sided TAF step, {model}", "megabytes", "MB", ("one-sided", "plain"),
            "plain step, 8 images of 256x256", Target("≤", 1.1)),
        row(f"time of a TAF step where freed memory is kept, {model}", "step", "s", ("TAF", "returning"),
            "where it is handed back to the system"),
        row(f"its peak memory, {model}", "megabytes", "MB", ("TAF", "returning"),
            "where it is handed back to the system"),
        row(f"peak memory of a {parts}, {model}", "megabytes", "MB", cut, whole),
        row(f"time of a {parts}", "step", "s", cut, whole),
        row(f"first call of a {parts}", "trace", "s", cut, whole),
    ]  # fmt: skip


def resident_megabytes(peak: bool) -> float:
    """Of this process. (`getrusage` would give a child the peak of the process that started it.)"""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status).group(1)) / 1e3


def main(method: str, symmetric: str, images: str, parts: str, freed: str, *smoke: str) -> None:
    from benchmarks import train_step as ts

    if freed == "kept":  # as train.py does
        keep_freed_memory()
    model, size = (ts.SMALL, (64, 64)) if smoke else (ts.MOBILENETV2, (256, 256))
    config = ts.settings(model, method, int(images), symmetric=symmetric)
    config = replace(config, training=replace(config.training, gradient_accumulation_steps=int(parts)))
    batch = ts.random_batch(config, size)
    step = ts.compiled_step(ts.build_trainer(config), ts.in_memory(batch))
    before = resident_megabytes(peak=False)
    times = []
    for _ in range(1 + STEPS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    megabytes = resident_megabytes(peak=True) - before
    print(json.dumps({"megabytes": megabytes, "trace": times[0], "step": min(times[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
