"""A step costs the same for any number of branches that may be sampled, any n_h and any number of clips.

A step is `fit`'s own, fed by `training_batches` from clips in memory, at the default settings: DeepLabV3+ on
MobileNetV2, 8 key frames of 96x128 px with their partners.

branches    m of the five have a finite c_i
n_h         32 clips of 2·n_h + 1 frames
clips       clips of 31 frames, which share their pictures
index       seconds in which `load_split` reads a manifest, or a packed index, of clips of three frames
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks import train_step as ts
from benchmarks.timing import Options, Row, Target, ratios, seconds, take_turns
from taf_keras.clips.clip import Clip, Frame, Split
from taf_keras.config import Config, DataConfig, ModelConfig
from taf_keras.datasets.load import load_split
from taf_keras.pack import pack
from taf_keras.pipeline.batches import training_batches
from taf_keras.streets import CLASSES as TABLE

SIZE = (96, 128)
STEPS = 5  # of a turn
PACKED = 10  # clips that are packed; the index then names them again and again
BRANCHES, CONTEXTS, CLIPS = (1, 2, 3, 4, 5), (1, 5, 15, 60), (100, 1_000, 10_000, 100_000)
FLAT = Target("≤", 1.05)


def split_of(clips: int, context: int) -> Split:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, *SIZE, 3), np.uint8)
    label = rng.integers(0, len(TABLE), SIZE, np.uint8)
    frames = tuple(Frame(n, pictures[n % 4], label if n == context else None) for n in range(2 * context + 1))
    return Split("train", tuple(Clip(f"{i:06d}", frames, context) for i in range(clips)), TABLE)


def fed_steps(config: Config, trainer, split: Split, context: int, clock) -> Callable[[], float]:
    """A function that returns the seconds of a step; it begins with the first batch whenever it is called."""
    config = replace(config, data=replace(config.data, temporal_context=context))
    batches = training_batches(split, config)

    def turn() -> float:
        step = ts.compiled_step(trainer, batches)
        ts.warmed_up(step)  # batches that wait are gone, and the readers at work
        return seconds(step, clock, STEPS)()

    return turn


def rows(options: Options) -> list[Row]:
    branches, contexts, clips = (
        (BRANCHES, CONTEXTS, CLIPS) if not options.smoke else ((1, 5), (1, 5), (50, 100))
    )
    model = ts.SMALL if options.smoke else ModelConfig()
    runs = {}
    for m in branches:
        config = ts.settings(model, "taf", 16, (1e-3,) * m + (math.inf,) * (5 - m))
        runs[m] = config, ts.build_trainer(config, classes=len(TABLE))
    few, last, clock = split_of(32, 15), runs[branches[-1]], options.clock
    curves = {
        "branches": {m: fed_steps(*runs[m], few, 15, clock) for m in branches},
        "n_h": {n: fed_steps(*last, split_of(32, n), n, clock) for n in contexts},
        "clips": {count: fed_steps(*last, split_of(count, 15), 15, clock) for count in clips},
    }
    for turns in curves.values():
        for turn in turns.values():
            turn()
    with tempfile.TemporaryDirectory() as folder:
        for kind, write in (("manifest", write_manifest), ("packed", write_packed)):
            loads = {
                count: load(write(Path(folder, f"{kind}{count}"), count), count, clock) for count in clips
            }
            curves[f"{kind} index"] = loads
        results = {name: take_turns(name, turns, options.rounds) for name, turns in curves.items()}
    if options.figure:
        plot(results, options.figure)
    found = []
    for name in ("branches", "n_h", "clips"):
        least, *_, most = results[name]
        pair = ratios(results[name][most], results[name][least])
        found.append(Row.of(f"TAF step, {name} = {most:,}", f"{name} = {least:,}", pair, FLAT))
    for kind in ("manifest", "packed"):
        loaded = results[f"{kind} index"][clips[-1]]
        found.append(
            Row.of(f"loading a {kind} index of {clips[-1]:,} clips", "one second", loaded, Target("≤", 10))
        )
    return found


def write_manifest(folder: Path, clips: int) -> DataConfig:
    """A manifest of `clips` videos; of its files, which `load_split` does not look at, only PACKED exist."""
    folder.mkdir()
    classes = [
        {"name": name, "colour": colour} for name, colour in zip(TABLE.names, TABLE.colours, strict=True)
    ]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    picture = np.zeros((*SIZE, 3), np.uint8)
    lines = ["clip,frame,image,label"]
    for clip in range(clips):
        for n in range(3):
            label = f"{clip}_ids.png" if n == 1 else ""
            lines.append(f"{clip:06d},{n},{clip}_{n}.png,{label}")
            if clip < PACKED:
                cv2.imwrite(str(folder / f"{clip}_{n}.png"), picture)
                cv2.imwrite(str(folder / f"{clip}_ids.png"), picture[..., 0])
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    (folder / "val.csv").write_text(f"{lines[0]}\n")  # without one, a part would be set aside
    return DataConfig("manifest", str(folder))


def write_packed(folder: Path, clips: int) -> DataConfig:
    folder.mkdir()
    few = write_manifest(folder / "few", PACKED)
    pack(few, folder / "packed", ("train",), shard_bytes=10**9)
    path = folder / "packed" / "index.json"
    index = json.loads(path.read_text())
    packed = index["splits"]["train"]
    index["splits"]["train"] = [packed[i % PACKED] | {"name": f"{i:06d}"} for i in range(clips)]
    path.write_text(json.dumps(index))
    return replace(few, dataset="packed", data_dir=str(folder / "packed"))  # with its n_h


def load(data: DataConfig, clips: int, clock) -> Callable[[], float]:
    def check() -> None:
        assert len(load_split(data, "train").clips) == clips

    return seconds(check, clock)


def plot(results: dict, path: Path) -> None:
    from matplotlib.ticker import NullFormatter

    from taf_keras.evaluation.charts import new_figure, save_chart, series_style

    labels = {"branches": "branches that may be sampled", "n_h": "n_h, frames", "clips": "clips"}
    figure, axes = new_figure(1, 4, figsize=(12, 3.2))
    for axis, (name, label) in zip(axes, labels.items(), strict=False):
        curve(axis, results[name], 1000, series_style(0))
        axis.set(title="TAF step", xlabel=label, ylabel="ms", ylim=(0, None))
    axes[2].set_xscale("log")
    for i, kind in enumerate(("manifest", "packed")):
        curve(axes[3], results[f"{kind} index"], 1, series_style(i) | {"label": kind})
    axes[3].set(title="index", xlabel="clips", ylabel="s", xscale="log", yscale="log")
    axes[3].legend()
    for side in (axes[2].xaxis, axes[3].xaxis, axes[3].yaxis):
        side.set_major_formatter("{x:g}")
        side.set_minor_formatter(NullFormatter())
    save_chart(figure, path)


def curve(axis, values: dict[int, tuple[float, ...]], scale: float, style: dict) -> None:
    """Medians with the range of the rounds."""
    middle = np.array([statistics.median(v) for v in values.values()]) * scale
    low, high = (np.array([end(v) for v in values.values()]) * scale for end in (min, max))
    axis.errorbar(list(values), middle, [middle - low, high - middle], capsize=3, **style)
