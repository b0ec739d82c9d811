"""What limits how fast threads read: time by stage, and pairs per second of 1 to 32 readers.

    python -m benchmarks.reader_threads [--json=FILE] [--rounds=7]

Files are those of benchmarks/input_pipeline.py, and so are the settings. Times are CPU seconds of one thread.

The stages of `STAGES` are calls of OpenCV and reads of files, all of which let other threads run Python
meanwhile; `rest` is Python and NumPy. `batching` is what tf.data adds: copies of arrays into batches.

More readers than there are cores are simulated: everything runs as it does in training, but for the calls of
STAGES, each of which sleeps as long as it took before and returns what it returned. A sleeping thread needs
no core, so that what is left to limit the readers is what they cannot do at the same time: Python.
Memory bandwidth, which more cores share, is not part of this.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import tensorflow as tf

from benchmarks.frame_files import PAIRS, Files, settings, write_files
from benchmarks.timing import Options, Row, medians, ratios, take_turns
from taf_keras.clips import decode
from taf_keras.datasets.load import load_split
from taf_keras.pipeline import batches
from taf_keras.pipeline.examples import TrainingExamples

# Function -> the stage that its time belongs to. `decode_bytes` is decoding and nothing else.
STAGES = {
    (decode, "read_bytes"): "read",
    (cv2, "imdecode"): "decode",
    (cv2, "cvtColor"): "BGR to RGB",
    (cv2, "LUT"): "ids",
    (cv2, "resize"): "resize",
    (cv2, "copyMakeBorder"): "pad and flip",
    (cv2, "flip"): "pad and flip",
}
EXAMPLES = 2 * PAIRS  # different ones; all of their pictures are in memory
SIMULATED = (1, 4, 8, 16, 32)
SIZES = (
    Files("CamVid", 360, 480, 360, 2, 12),
    Files("CamVid as JPEG", 360, 480, 360, 2, 12, form="jpg"),
    Files("Cityscapes", 1024, 2048, 720, 4, 3),
    Files("Cityscapes as JPEG", 1024, 2048, 720, 4, 3, form="jpg"),
    Files("Cityscapes as JPEG at half size", 1024, 2048, 360, 4, 3, form="jpg", image_size=(512, 1024)),
    Files(
        "Cityscapes as JPEG at half size, reduced",
        *(1024, 2048, 360, 4, 3),
        form="jpg",
        image_size=(512, 1024),
        reduced=True,
    ),
)
TINY = (Files("tiny", 48, 64, 32, 2, 1),)


@contextmanager
def replaced(replacement: Callable):
    """Each function of STAGES is `replacement(stage, function)`."""
    with ExitStack() as stack:
        for (owner, name), stage in STAGES.items():
            stack.enter_context(mock.patch.object(owner, name, replacement(stage, getattr(owner, name))))
        yield


class Recorded:
    """The first EXAMPLES examples, with the calls of STAGES that make each.

    Attributes:
        calls: of each example, in order, (CPU seconds, result).
        seconds: of one example, by stage.
    """

    def __init__(self, examples: TrainingExamples):
        self.examples, self.calls, self.seconds = examples, [], defaultdict(float)
        self._replayed = threading.local()
        with replaced(self._recording):
            for position in range(EXAMPLES):
                self.calls.append([])
                started = time.thread_time()
                examples(position)
                whole = time.thread_time() - started
                self.seconds["rest"] += (whole - sum(taken for taken, _ in self.calls[-1])) / EXAMPLES

    def _recording(self, stage: str, function: Callable) -> Callable:
        def call(*arguments, **options):
            started = time.thread_time()
            result = function(*arguments, **options)
            taken = time.thread_time() - started
            self.calls[-1].append((taken, result))
            self.seconds[stage] += taken / EXAMPLES
            return result

        return call

    def replaying(self, stage: str, function: Callable) -> Callable:
        def call(*arguments, **options):
            taken, result = next(self._replayed.calls)
            time.sleep(taken)
            return result

        return call

    def __call__(self, position: int) -> dict:
        """An example, for use while the functions are replaced by `replaying`."""
        self._replayed.calls = iter(self.calls[position % EXAMPLES])
        return self.examples(position % EXAMPLES)


def rate(example: Callable, threads: int, count: int) -> float:
    """Pairs per second of `count` batches."""
    positions = tf.data.Dataset.range(10**9)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads + 2  # as on a machine of so many cores
    found = batches.batched(positions, example, PAIRS, threads, True).with_options(options)
    iterator = iter(found)
    for _ in range(2):  # batches; the readers are at work from here on
        next(iterator)
    started = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return PAIRS * count / (time.perf_counter() - started)


def batching_s(example: Callable, plain_s: float, count: int) -> float:
    """CPU seconds that one reader needs for a pair in a batch, beyond those of the pair itself."""
    found = batches.batched(tf.data.Dataset.range(PAIRS * count), example, PAIRS, 1, True)
    started = time.process_time()
    for _ in found:
        pass
    return (time.process_time() - started) / (PAIRS * count) - plain_s


def measure(files: Files, options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        write_files(files, Path(folder))
        config = settings(files, "camvid", Path(folder), threads=1)
        examples = TrainingExamples.of(load_split(config.data, "train"), config)
        recorded = Recorded(examples)
        whole = sum(recorded.seconds.values())
        stages = dict(recorded.seconds) | {"batching": batching_s(examples, whole, files.batches)}
        real = {f"{n} readers": lambda n=n: rate(examples, n, files.batches) for n in (1, 2)}
        found = take_turns(files.name, real, options.rounds)
    with replaced(recorded.replaying):
        simulated = {
            f"{n} simulated": lambda n=n: rate(recorded, n, files.batches * max(1, n // 2)) for n in SIMULATED
        }
        found |= take_turns(f"{files.name}, simulated", simulated, options.rounds)
    milliseconds = ", ".join(f"{stage} {1e3 * seconds:.3g}" for stage, seconds in stages.items())
    note = f"{milliseconds} ms a pair; {medians(found, 'pairs/s')}"
    rows = [
        Row.of(f"readers: 2, {files.name}", "1", ratios(found["2 readers"], found["1 readers"]), note=note)
    ]
    for n in SIMULATED[1:]:
        speeds = ratios(found[f"{n} simulated"], found["1 simulated"])
        rows.append(Row.of(f"readers: {n} simulated, {files.name}", "1 simulated", speeds))
    return rows


def rows(options: Options) -> list[Row]:
    return [row for files in (TINY if options.smoke else SIZES) for row in measure(files, options)]


if __name__ == "__main__":
    from benchmarks.run import main

    main(["--only=reader_threads", *sys.argv[1:]])
