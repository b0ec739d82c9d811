"""Peak memory of the TAF step against a plain one on as many images.

Each step runs in a fresh process, since an allocator keeps what it once got. Counted is resident memory: its
peak during the steps less what was there when the model and its optimizer were built. TensorFlow's own
statistics exist for GPUs alone (`get_memory_info("CPU:0")` is always 0), and they would leave out what oneDNN
takes beside them. The trace of the step is part of what is counted, on both sides.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from benchmarks.processes import measure_fresh
from benchmarks.timing import Options, Row, Target, medians, ratios, take_turns

STEPS = 3


def rows(options: Options) -> list[Row]:
    sides = {"TAF": "taf", "plain": "baseline"}
    smoke = ["smoke"] * options.smoke
    variants = {
        name: lambda method=method: measure_fresh("benchmarks.memory", method, *smoke)["megabytes"]
        for name, method in sides.items()
    }
    # It hardly varies, and a process takes half a minute.
    results = take_turns("memory", variants, min(options.rounds, 3))
    name = "peak memory of the TAF step, DeepLabV3+/MobileNetV2"
    found = ratios(results["TAF"], results["plain"])
    note = f"{medians(results, 'MB')}; {len(found)} rounds"
    return [Row.of(name, "plain step, 8 images of 256x256", found, Target("≤", 1.25), note)]


def resident_megabytes(peak: bool) -> float:
    """Of this process. (`getrusage` would give a child the peak of the process that started it.)"""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status).group(1)) / 1e3


def main(method: str, *smoke: str) -> None:
    from benchmarks import train_step as ts

    model, images, size = (ts.SMALL, 2, (64, 64)) if smoke else (ts.MOBILENETV2, 8, (256, 256))
    config = ts.settings(model, method, images)
    batch = ts.random_batch(config, size)
    step = ts.compiled_step(ts.build_trainer(config), ts.in_memory(batch))
    before = resident_megabytes(peak=False)
    for _ in range(STEPS):
        step()
    print(json.dumps({"megabytes": resident_megabytes(peak=True) - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
