"""What `train.py` adds to the steps, reading, callbacks and logs, and what comes before the first one.

Each round runs `train.py` on synthetic clips, with its default settings and without validations, and reads
from the times in its TensorBoard log how long the steps took, the pauses between epochs included, and when
the first one ended. It also runs this module by itself, which times in a fresh process

import      `import tensorflow`
build       the network and its optimizer, which the comparison leaves out
trace       the first call of `fit`'s compiled step, with a batch of the same data set
step        the later calls, with that batch in memory
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import measure_fresh, run_fresh
from benchmarks.timing import Options, Row, Target, medians, ratios, take_turns
from taf_keras.allocator import keep_freed_memory
from taf_keras.storage.run import Run

FLAGS = ["--validations=0", "--val_clips=1", "--test_clips=1"]
SMOKE = ["--image_size=32x48", "--train_clips=8", "--backbone_width=0.35", "--head_channels=8"]
SMOKE += ["--log_every=1"]


def rows(options: Options) -> list[Row]:
    epochs, steps = (4, 3) if options.smoke else (24, 40)
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--data_dir={folder}/clips", *FLAGS, *SMOKE * options.smoke]
        generating = Path(folder, "first")
        print("  train.py generates its clips", flush=True)
        run_fresh("train.py", f"--model_dir={generating}", "--epochs=1", *flags)
        runs = (Path(folder, f"run{turn}") for turn in range(options.rounds))
        variants = {
            "train.py": lambda: through_train(next(runs), [f"--epochs={epochs}", *flags]),
            "bare": lambda: measure_fresh("benchmarks.throughput", generating, steps),
        }
        results = take_turns("train.py", variants, options.rounds)

    ours, bare = results["train.py"], results["bare"]
    steps_ms = {"train.py": [r["step"] for r in ours], "bare": [r["step"] for r in bare]}
    first = {"train.py": [r["first"] for r in ours]}
    first |= {name: [r[name] for r in bare] for name in ("import", "build", "trace")}
    least = [a + b for a, b in zip(first["import"], first["trace"], strict=True)]
    return [
        Row.of("images/s of train.py", "bare compiled step, batch in memory",
               ratios(steps_ms["bare"], steps_ms["train.py"]), Target("≥", 0.95),
               medians(steps_ms, "ms a step", 1000)),
        Row.of("first step after the start of train.py", "import of TensorFlow + one trace of the step",
               ratios(first["train.py"], least), Target("≤", 1.3), medians(first, "s")),
    ]  # fmt: skip


def through_train(run: Path, flags: list[str]) -> dict:
    """Seconds from the start of `train.py` to the end of its first step, and of each later step."""
    started = time.time()
    run_fresh("train.py", f"--model_dir={run}", *flags)
    times = step_times(Run(run).step_logs)
    first, last = min(times), max(times)
    step = (times[last] - times[first]) / max(1, last - first)
    # The log has every tenth step; those from the second to the tenth are steady ones already.
    return {"first": times[first] - (first - 1) * step - started, "step": step}


def step_times(folder: Path) -> dict[int, float]:
    """When each step that the TensorBoard log has was written: {step: seconds since 1970}."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    times = {}
    for path in folder.glob("events.out.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            if any(value.tag == "batch_loss" for value in event.summary.value):
                times[event.step] = event.wall_time
    return times


def main(model_dir: str, steps: str) -> None:
    times = {}
    started = time.perf_counter()

    def done(name: str) -> None:
        nonlocal started
        times[name] = time.perf_counter() - started
        started = time.perf_counter()

    import tensorflow as tf  # noqa: F401

    done("import")
    keep_freed_memory()  # as train.py does
    from benchmarks import train_step as ts
    from taf_keras.datasets.load import load_split
    from taf_keras.pipeline.batches import training_batches

    config = Run(model_dir).config
    split = load_split(config.data, "train")
    batch = next(iter(training_batches(split, config)))
    started = time.perf_counter()
    trainer = ts.build_trainer(config, classes=len(split.classes))
    step = ts.compiled_step(trainer, ts.in_memory(batch))
    done("build")
    step()
    done("trace")
    ts.warmed_up(step)
    started = time.perf_counter()
    for _ in range(int(steps)):
        step()
    done("step")
    times["step"] /= int(steps)
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
