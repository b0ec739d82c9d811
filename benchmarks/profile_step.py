"""Where the time of a TAF step goes: self time by type of operation, beside counted FLOPs and bytes.

The times are those of `tf.profiler` over a few steps of DeepLabV3+/MobileNetV2, 8 images of 256x256, summed
over all threads. FLOPs and bytes are counted in the graph before TensorFlow optimises it: benchmarks/cost.py.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import train_step as ts
from benchmarks.cost import bytes_touched, flops, graph_of
from benchmarks.timing import Options, Row

TOP = 20
STEPS = 5


def rows(options: Options) -> list[Row]:
    """Prints two tables, of the TAF step and of the plain one; there is nothing to compare with a target."""
    model, images, size = (ts.SMALL, 4, (64, 64)) if options.smoke else (ts.MOBILENETV2, 8, (256, 256))
    for method in ("taf", "baseline"):
        config = ts.settings(model, method, images)
        trainer, batch = ts.build_trainer(config), ts.random_batch(config, size)
        times = self_times(ts.warmed_up(ts.compiled_step(trainer, ts.in_memory(batch))))
        graph = graph_of(trainer.train_step, {name: tf.constant(values) for name, values in batch.items()})
        print(f"\n{method}, {images} images of {size[0]}x{size[1]}")
        print(table(times, flops(graph), bytes_touched(graph)))
    return []


def self_times(step) -> Counter:
    """{type of operation: ms of one step}, over all threads."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    times = Counter()
    for plane in space.planes:
        if "CPU" in plane.name or "GPU" in plane.name:
            for line in plane.lines:
                for metadata_id, picoseconds in own_durations(line.events):
                    name = plane.event_metadata[metadata_id].name
                    # An operation's event is "name:type"; Python's and the runtime's have other forms.
                    if ":" in name and "::" not in name and not name.startswith("$"):
                        times[graph_type(name.rsplit(":", 1)[1])] += picoseconds / 1e9 / STEPS
    return times


def graph_type(executed: str) -> str:
    """The type that an operation has in the graph: _MklNativeFusedConv2D, oneDNN's, is a Conv2D."""
    return re.sub(r"^_(MklNative|Mkl)?(Fused)?|WithBias$|#.*$", "", executed)


def own_durations(events) -> list[tuple[int, int]]:
    """(event type, picoseconds without the events inside it) of the events of one thread."""
    ordered = sorted(events, key=lambda e: (e.offset_ps, -e.duration_ps))
    inside, stack = defaultdict(int), []
    for i, event in enumerate(ordered):
        while stack and ordered[stack[-1]].offset_ps + ordered[stack[-1]].duration_ps <= event.offset_ps:
            stack.pop()
        if stack:
            inside[stack[-1]] += event.duration_ps
        stack.append(i)
    return [(e.metadata_id, max(0, e.duration_ps - inside[i])) for i, e in enumerate(ordered)]


def table(times: Counter, operations: Counter, traffic: Counter) -> str:
    """The types that take longest, and the sums over all."""
    lines = ["| operation | ms | share | GFLOP | MB |", "| --- | --- | --- | --- | --- |"]
    whole = times.total()
    for name, ms in [("all", whole), *times.most_common(TOP)]:
        counted, touched = ((c.total() if name == "all" else c[name]) for c in (operations, traffic))
        lines.append(f"| {name} | {ms:.2f} | {ms / whole:.1%} | {counted / 1e9:.2f} | {touched / 1e6:.0f} |")
    return "\n".join(lines)
