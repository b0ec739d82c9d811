"""What `taf_keras.import_labels` says at its end: classes, what was left out, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from taf_keras.annotation.new_data_set import NewDataSet
from taf_keras.clips.clip import VOID
from taf_keras.config import OWN_TEMPORAL_CONTEXT
from taf_keras.run_flags import TRAIN_SHOWN
from taf_keras.sizes import Size, size_text
from taf_keras.tables import aligned

_RARE = 0.001  # of the labelled pixels
_MUCH = 0.2  # of all pixels
_LONGEST_PX, _STEP_PX = 640, 16
_CLOSE = 0.01  # of the aspect ratio


def class_lines(made: NewDataSet) -> list[str]:
    """A table of how often each class occurs; then sentences on what is rare, absent or not labelled."""
    counts = np.stack(list(made.pixels.values()))  # (frames, 256)
    labelled = max(1, counts[:, :VOID].sum())
    rows = [["class", "pixels", "frames"]]
    rare, absent = [], []
    for i, name in enumerate(made.classes.names):
        share, frames = counts[:, i].sum() / labelled, int((counts[:, i] > 0).sum())
        rows.append([name, f"{share:.2%}" if frames else "–", str(frames)])
        if not frames:
            absent.append(name)
        elif share < _RARE or frames == 1:
            rare.append(name)
    void = counts[:, VOID].sum() / counts.sum()
    rows.append(["void, of all", f"{void:.2%}", str(int((counts[:, VOID] > 0).sum()))])
    lines = aligned(rows)
    if rare:
        lines.append(f"rare, under {_RARE:.1%} of the pixels or on one frame alone: {', '.join(rare)}")
    if absent:
        lines.append(f"absent, the model cannot learn them: {', '.join(absent)}")
    if made.unlabelled_share > _MUCH and void > _MUCH:
        lines.append(
            f"{made.unlabelled_share:.0%} of the pixels have no label and count as void: the model is not "
            "told what they are; where that is background, give --background=background"
        )
    return lines


def split_lines(made: NewDataSet) -> list[str]:
    """How many labelled frames train and validate."""
    train, val = (sum(map(len, keys.values())) for keys in (made.train, made.val))
    between = len(made.pixels) - train - val - made.tested
    text = f"{train} labelled frames for training, {val} for validation"
    text += f", {between} between them left out, so that no partner is shared" if between else ""
    text += f"; {made.tested} are in test.csv" if made.tested else ""
    if not val:
        text += ": none is set aside, so that training ends without a score"
    return [text]


def commands(output_dir: Path, size: Size, temporal_context: int | None, source: Path) -> list[str]:
    """The commands to check, to train, and to predict on a video or folder.

    Args:
        size: (height, width) of the frames, px.
        temporal_context: frames; None where no labelled frame has a partner, so that TAF cannot train.
    """
    folder, name = shlex.quote(str(output_dir)), shlex.quote(f"runs/{output_dir.resolve().name}")
    recipe, checked, context = "own_video", "", ""
    if temporal_context is None:
        recipe, checked = "own_video_baseline", " --method=baseline"
    elif temporal_context != OWN_TEMPORAL_CONTEXT:
        context = f" --temporal_context={temporal_context}"
    return [
        f"python -m taf_keras.check --dataset=manifest --data_dir={folder}{checked}{context}",
        f"{shlex.join(TRAIN_SHOWN)} --flagfile={recipe} --data_dir={folder}{context} "
        f"--image_size={size_text(proposed_size(size))} --model_dir={name}",
        f"python -m taf_keras.predict --model={name}/export {shlex.quote(str(source))} "
        "--output_dir=predictions",
    ]


def proposed_size(size: Size) -> Size:
    """A size to train at: the frames' own, or of larger ones multiples of 16 px, the longer side 640 at most.

    Of the sizes whose aspect ratio is within 1 % it is the largest, and without one the nearest.
    """
    longer, shorter = max(size), min(size)
    if longer <= _LONGEST_PX:
        return size
    sides: Sequence[int] = range(_LONGEST_PX, _LONGEST_PX // 2, -_STEP_PX)
    pairs = [(side, max(_STEP_PX, round(side * shorter / longer / _STEP_PX) * _STEP_PX)) for side in sides]
    errors = [abs(short / side * longer / shorter - 1) for side, short in pairs]
    best = next((pair for pair, error in zip(pairs, errors, strict=True) if error <= _CLOSE), None)
    best = best or pairs[int(np.argmin(errors))]
    return best[::-1] if size[0] < size[1] else best
