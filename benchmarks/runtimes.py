"""What each runtime makes of an export: MB, ms a frame, and mIoU on the split of the run's metrics.json.

    python -m benchmarks.runtimes RUN

RUN is the folder of a run that has ended. Those of its files are measured that are there:
train.py --export_formats=litert,litert_int8,onnx adds them. Time is that of the CPU, of all threads: the
median over the frames of the split, one at a time.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from taf_keras import command
from taf_keras.errors import require
from taf_keras.evaluation.evaluate import evaluate_split
from taf_keras.inspection.check import load_checked
from taf_keras.serving.runtimes import RUNTIME_FILES, RUNTIMES, SAVED_MODEL, load_predictor
from taf_keras.storage.run import Run
from taf_keras.tables import markdown

_HEAD = ("runtime", "file", "MB", "CPU ms a frame", "mIoU %", "points", "labels as the SavedModel's %")


def rows(run: Run) -> list[list[str]]:
    """A row of _HEAD for each runtime whose file is there; `points` is to the SavedModel's mIoU."""
    data = run.config.data
    split = load_checked(data, run.metrics["split"])
    found, first = [], None
    for runtime in RUNTIMES:
        file = run.export / RUNTIME_FILES[runtime]
        if not file.is_file():
            continue
        predict, seconds, labels = load_predictor(run.export, runtime).labels, [], []

        def timed(images, predict=predict, seconds=seconds, labels=labels):
            images = np.asarray(images)
            began = time.process_time()
            labels.append(predict(images))
            seconds.append(time.process_time() - began)
            return labels[-1]

        figures, _ = evaluate_split(timed, split, data.image_size, batch_size=1)
        miou, labels = 100 * figures["miou"], np.stack([each[0] for each in labels])
        first = first or (miou, labels)
        found.append(
            [
                runtime,
                file.name,
                f"{_bytes(file) / 1e6:.2f}",
                f"{1000 * statistics.median(seconds):.1f}",
                f"{miou:.2f}",
                f"{miou - first[0]:+.2f}",
                f"{100 * np.mean(labels == first[1]):.2f}",
            ]
        )
    return found


def _bytes(file: Path) -> int:
    """Of a file, and of a SavedModel with its variables."""
    parts = [file, *(file.parent / "variables").iterdir()] if file.name == SAVED_MODEL else [file]
    return sum(path.stat().st_size for path in parts)


def _main(arguments: list[str] | None) -> None:
    options = command.Options("benchmarks.runtimes", __doc__)
    options.add_argument("run", metavar="RUN", type=Path, help="the run's folder")
    run = Run(options.parse_args(arguments).run)
    require(run.has_ended, f"{run.folder}: holds no run that has ended")
    print(markdown(_HEAD, rows(run)))


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


if __name__ == "__main__":
    main()
