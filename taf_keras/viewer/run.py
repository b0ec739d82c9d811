"""A run's page from its folder: what `taf_keras.view` does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import Split
from taf_keras.datasets.load import class_table, evaluation_split
from taf_keras.devices import out_of_memory, prepare
from taf_keras.errors import BadFileError, UserError
from taf_keras.evaluation.evaluate import Predict, confusion_matrix, metrics, network_predictor
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.evaluation.padding import padded
from taf_keras.files import writes
from taf_keras.inspection.check import load_checked
from taf_keras.pipeline.examples import read_key_frame
from taf_keras.progress import Progress
from taf_keras.sizes import Size
from taf_keras.storage.run import Run
from taf_keras.viewer.choice import chosen_clips
from taf_keras.viewer.drawing import draw_clip
from taf_keras.viewer.folder import PAGE, PICTURES, replaced_folder
from taf_keras.viewer.page import Shown, write_page

_NAMED = 10  # frames that could not be read


def view(
    run: Run,
    folder: Path,
    split: str | None = None,
    data_dir: str | None = None,
    frames: int = 7,
    max_clips: int = 24,
) -> list[BadFileError]:
    """Writes the page of a run's predictions, and says where it is.

    Args:
        folder: of the page; an earlier one in it is replaced.
        split: `train`, `val` or `test`; None is the split of the run's own metrics.json.
        data_dir: where the data set lies now, if not where it lay in training.
        frames: most frames of a clip.
        max_clips: most clips (see `choice.chosen_clips`).
    Returns: the frames beside key frames that could not be read.
    Raises: UserError for a data set that is not there or has bad key frames, a run without a checkpoint, and
        a folder that cannot be written or holds anything else.
    """
    config = run.config
    data = config.data if data_dir is None else replace(config.data, data_dir=data_dir)
    prepare()
    classes = class_table(data)
    run.check_classes(classes.names)
    source = reported_checkpoint(run)
    clips = load_checked(data, split or evaluation_split(data), threads=config.runtime.threads)
    network = load_network(config, classes.names, source)
    predict = padded(network_predictor(network), "give another --split")
    with Progress(f"evaluating {clips.name}") as progress, out_of_memory("smaller images need less"):
        matrices = _confusion_matrices(predict, clips, data.image_size, progress)
    positions, which = chosen_clips(_pixel_accuracy(matrices), max_clips)
    if not positions:
        raise UserError(f"split {clips.name}: no key frame has a labelled pixel of a class")

    shown = []
    with replaced_folder(folder) as temporary:
        with Progress("drawing clips") as progress, writes(folder):
            for done, position in enumerate(positions, 1):
                clip, pictures = clips.clips[position], f"{PICTURES}/{position:06d}"
                drawn = draw_clip(temporary / pictures, clip, clips.classes, data, predict, frames)
                shown.append(Shown(clip, position, matrices[position], pictures, drawn))
                progress(done, len(positions))
        chosen = f"{len(shown)} of {len(clips.clips)} key frames ({which})"
        title, results = f"{run.folder}: {clips.name}", metrics(matrices, clips)
        write_page(temporary / PAGE, title, source, chosen, results, classes, shown)
        size = sum(path.stat().st_size for path in temporary.rglob("*.*")) / 1e6
    unread = [error for own in shown for error in own.drawn.unread]
    print(f"model   {source}")
    print(f"shown   {chosen} of {clips.name}, {sum(len(own.drawn.offsets) for own in shown)} frames")
    print(f"wrote   {folder / PAGE}: {size:.1f} MB with its pictures", flush=True)
    _name(unread)
    return unread


def _confusion_matrices(
    predict: Predict, split: Split, image_size: Size | None, on_progress: Callable[[int, int], None]
) -> np.ndarray:
    """Of the key frames, int64 (frames, classes, classes); predicted one by one, as they are drawn."""
    matrices = []
    for clip in split.clips:
        image, label = read_key_frame(clip, split.classes, image_size)
        matrices.append(confusion_matrix(label, predict(image[None]), len(split.classes)))
        on_progress(len(matrices), len(split.clips))
    return np.stack(matrices)


def _pixel_accuracy(matrices: np.ndarray) -> np.ndarray:
    """Of each confusion matrix (frames, classes, classes); NaN for one without a pixel."""
    totals = matrices.sum(axis=(1, 2))
    hits = np.trace(matrices, axis1=1, axis2=2)
    return np.divide(hits, totals, out=np.full(len(totals), np.nan), where=totals > 0)


def _name(unread: Sequence[BadFileError]) -> None:
    for error in unread[:_NAMED]:
        print(f"not shown: {error}", file=sys.stderr)
    if len(unread) > _NAMED:
        print(f"not shown: {len(unread) - _NAMED} more frames", file=sys.stderr)
