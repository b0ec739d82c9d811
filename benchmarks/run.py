"""Measures the project's claims about speed and memory, and prints them as one table.

    python benchmarks/run.py [--only=NAME,…] [--json=FILE] [--markdown=FILE] [--figure=FILE]

Without --only every claim is measured: about half an hour on two cores, which nothing else should use
meanwhile. --only takes the names below, or the beginnings of them; `profile` and `reader_threads` run only
where they are named.

{names}

The variants of a comparison take turns, and a ratio is of one round, so that what else a machine does meets
both sides. TensorFlow has --threads threads everywhere, child processes included, and sees no GPU: all
claims are about CPUs. Files are read by two threads.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from datetime import date
from importlib.metadata import version
from pathlib import Path

if not __package__:  # run as a file: the folder in the way of imports is this one, not the project's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import Options, Row, notes, table
from taf_keras.allocator import keep_freed_memory
from taf_keras.progress import clock

# Name -> (module, function of Options that returns rows, what it measures). Modules are imported when their
# turn comes, so that --help is quick.
BENCHMARKS = {
    "step_mobilenetv2": ("train_step", "mobilenetv2", "TAF step of DeepLabV3+/MobileNetV2"),
    "step_fcn8s": ("train_step", "fcn8s", "TAF step of FCN8s/ResNet-50"),
    "step_resnet50": ("train_step", "resnet50", "TAF step of DeepLabV3+/ResNet-50"),
    "libraries": ("other_libraries", "rows", "plain step against keras-hub's and keras-cv's DeepLabV3+"),
    "throughput": ("throughput", "rows", "train.py: its images/s, and the time to its first step"),
    "evaluation": ("serving", "evaluation", "evaluation against the forward pass alone"),
    "export": ("serving", "exported", "SavedModel against the compiled model; with TAF and without"),
    "video": ("serving", "video", "predicting a video against bare calls of the SavedModel"),
    "memory": ("memory", "rows", "peak memory of the TAF step, and of one in small batches"),
    "scaling": ("scaling", "rows", "cost against branches, temporal context and number of clips"),
    "second_start": ("second_start", "rows", "looking at files that have not changed since a start"),
    "input_pipeline": ("input_pipeline", "rows", "how fast files become batches"),
    "reader_threads": ("reader_threads", "rows", "time of an example by stage, and pairs/s of readers"),
    "profile": ("profile_step", "rows", "where the time of a TAF step goes"),
}
ON_REQUEST = {"profile", "reader_threads"}


def chosen(only: str | None) -> list[str]:
    """The benchmarks whose names begin with one of the comma list `only`. ValueError where none does."""
    if only is None:
        return [name for name in BENCHMARKS if name not in ON_REQUEST]
    found = []
    for beginning in only.split(","):
        matching = [name for name in BENCHMARKS if name.startswith(beginning)]
        if not beginning or not matching:
            raise ValueError(f"--only={beginning}: allowed are {', '.join(BENCHMARKS)}, or their beginnings")
        found += matching
    return [name for name in BENCHMARKS if name in found]


def measure(names: list[str], options: Options) -> list[Row]:
    began, rows = time.monotonic(), []
    for position, name in enumerate(names, 1):
        elapsed = clock(time.monotonic() - began)
        print(f"\n{position} of {len(names)}, {elapsed} so far: {name}", flush=True)
        module, function, _ = BENCHMARKS[name]
        try:
            found = getattr(importlib.import_module(f"benchmarks.{module}"), function)(options)
        except Exception as error:  # the others are worth having all the same
            traceback.print_exc()
            found = [Row.failed(name, error)]
        for row in found:
            numbers = f"{row.ratio:.2f} ({row.low:.2f}–{row.high:.2f})"
            print(f"{row.name} / {row.against}: {numbers} {row.target or ''} {row.verdict}  {row.note}")
        rows += found
    return rows


def machine(threads: int) -> str:
    """Kind of processor, number of cores, versions; nothing that names the machine."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        cpu = models[0] if models else cpu
    return (
        f"{cpu}, {os.cpu_count()} cores, {threads} threads, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, Keras {version('keras')}"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    width = max(map(len, BENCHMARKS))
    names = "\n".join(f"    {name:{width}}  {what}" for name, (_, _, what) in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python benchmarks/run.py",
        description=__doc__.replace("{names}", names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME,…", help="measure these alone")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every variant (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of TensorFlow (%(default)s)")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny sizes: shows that it runs, measures nothing"
    )
    parser.add_argument("--cpu_time", action="store_true",
                        help="count CPU seconds, steadier on a busy machine; not of children")  # fmt: skip
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write name, ratio, low, high, target, sign there"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="write scaling's curves there, PNG")
    options = parser.parse_args(arguments)
    try:
        options.names = chosen(options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads: must be 1 or more")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    for file in filter(None, (options.markdown, options.json, options.figure)):
        file.parent.mkdir(parents=True, exist_ok=True)  # not when all is measured
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    for pool in ("INTRA", "INTER"):  # TensorFlow reads them when it starts, in child processes too
        os.environ[f"TF_NUM_{pool}OP_THREADS"] = str(options.threads)
    keep_freed_memory()  # as train.py and evaluate.py do
    timer = time.process_time if options.cpu_time else time.perf_counter
    rows = measure(options.names, Options(options.rounds, options.smoke, timer, options.figure))
    if not rows:
        return
    heading = f"{date.today()}, {machine(options.threads)}, {options.rounds} rounds"
    if options.smoke:
        heading += ", SMOKE RUN: the figures mean nothing"
    text = f"{heading}\n\n{table(rows)}\n\n{notes(rows)}\n"
    print(f"\n{text}")
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n")
    if any(row.error for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
