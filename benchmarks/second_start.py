"""How long a start looks at files that an earlier start has looked at.

Each round loads and checks the training split of a manifest of small files, as `train.py` does before its
first step. The first start opens every file and remembers it; those that are timed find them unchanged. The
seconds are scaled to 100,000 clips of 31 frames.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from benchmarks.timing import Options, Row, Target, medians, seconds, take_turns
from taf_keras.config import DataConfig
from taf_keras.datasets.manifest import COLUMNS
from taf_keras.inspection.check import load_checked

FRAMES, CONTEXT = 31, 15  # of a clip; a window of all of them
CLIPS = 100_000  # that the seconds are scaled to
HEADER = ",".join(COLUMNS)


def rows(options: Options) -> list[Row]:
    clips = 4 if options.smoke else 2000
    scale = CLIPS / clips
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XDG_CACHE_HOME=f"{folder}/cache"):
        print(f"  {clips * (FRAMES + 1):,} files are written", flush=True)
        data = write_clips(Path(folder, "clips"), clips)
        start = seconds(lambda: quietly(data), options.clock)
        first = start()
        second = take_turns("second start", {"second": start}, options.rounds)["second"]
    measured = {"first": [first], "second": second}
    note = f"{clips * (FRAMES + 1):,} files: {medians(measured, 's')}"
    what = f"second start, scaled to {CLIPS:,} clips of {FRAMES} frames"
    return [Row.of(what, "one second", [scale * each for each in second], Target("≤", 30), note)]


def quietly(data: DataConfig) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        load_checked(data, "train", CONTEXT)


def write_clips(root: Path, clips: int) -> DataConfig:
    """A manifest of `clips` videos, a folder each; their middle frame is the key frame."""
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    label = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) % 2
    frame, ids = (cv2.imencode(".png", each)[1].tobytes() for each in (image, label))
    lines = [HEADER]
    for clip in range(clips):
        folder = root / "frames" / str(clip)
        folder.mkdir(parents=True)
        (folder / "label.png").write_bytes(ids)
        for number in range(FRAMES):
            (folder / f"{number:02}.png").write_bytes(frame)
            labelled = f"frames/{clip}/label.png" if number == FRAMES // 2 else ""
            lines.append(f"{clip},{number},frames/{clip}/{number:02}.png,{labelled}")
    (root / "train.csv").write_text("\n".join(lines) + "\n")
    (root / "val.csv").write_text(HEADER)  # without one, a part of train.csv would be set aside
    (root / "classes.json").write_text(json.dumps({"classes": [{"name": "a"}, {"name": "b"}]}))
    return DataConfig("manifest", str(root), temporal_context=CONTEXT)
