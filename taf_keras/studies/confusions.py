"""Confusion matrices of runs on the key frames of a study, kept on disk from one study to the next."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from taf_keras.clips.clip import Source
from taf_keras.clips.image_files import read_bytes
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.evaluation.network import load_network
from taf_keras.evaluation.padding import padded
from taf_keras.files import replaced, sha256, writes
from taf_keras.progress import Progress
from taf_keras.storage.run import Run
from taf_keras.studies.footage import Footage

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def matrices_of_runs(
    runs: Sequence[Run], checkpoints: Sequence[Path], footage: Footage, folder: Path
) -> list[np.ndarray]:
    """The matrices of each run as `evaluate.py` has them: int64 (frames, classes, classes), truth in rows.

    What is evaluated is kept: a file FOLDER/DIGEST.npz holds the `matrices` of a run, and the names of the
    `run`, its `checkpoint` and the `clips`. The digest is that of all on which the matrices depend: the
    weights, the settings of the network, and what is in the files of the frames. So another checkpoint or
    other data has another file.

    Args:
        checkpoints: of each run the one to evaluate.
        folder: it is made when there is something to keep.
    Raises: UserError where `folder` cannot be written, and for a checkpoint that cannot be used.
    """
    frames = _digest(_content(footage))
    shape = (len(footage.split.clips), *[len(footage.split.classes)] * 2)
    paths = [folder / f"{_key(*own, frames)}.npz" for own in zip(runs, checkpoints, strict=True)]
    found = [_read(path, shape) for path in paths]
    new = [i for i, matrices in enumerate(found) if matrices is None]
    if len(new) < len(runs):
        print(f"kept    {len(runs) - len(new)} of {len(runs)} runs were evaluated on these frames before")
    with Progress("evaluating") as progress:
        for count, i in enumerate(new):

            def show(done, total, count=count):
                progress(count * total + done, len(new) * total)

            found[i] = _evaluate(runs[i], checkpoints[i], footage, show)
            _write(paths[i], found[i], runs[i], checkpoints[i], footage)
    return found


def _evaluate(run: Run, checkpoint: Path, footage: Footage, on_progress) -> np.ndarray:
    config, split = run.config, footage.split
    network = load_network(config, split.classes.names, checkpoint)
    predict = padded(network_predictor(network), "give another --split")
    batch = config.runtime.eval_batch_size
    return evaluate_split(predict, split, footage.image_size, footage.threads, on_progress, batch)[1]


# --- Files ---


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """None where there is no such file, or it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as kept:  # a damaged file is closed, too
            matrices = kept["matrices"]
    except _UNREADABLE:
        return None
    return matrices if matrices.shape == shape else None


def _write(path: Path, matrices: np.ndarray, run: Run, checkpoint: Path, footage: Footage) -> None:
    names = {"run": str(run.folder), "checkpoint": checkpoint.name}
    names["clips"] = [clip.name for clip in footage.split.clips]
    with writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, matrices=matrices, **names)


def _key(run: Run, checkpoint: Path, frames: str) -> str:
    settings = [run.config.to_dict()["model"], run.config.training.dtype]
    parts = (sha256(checkpoint), json.dumps(settings, sort_keys=True), frames)
    return _digest(part.encode() for part in parts)


def _content(footage: Footage) -> Iterator[bytes]:
    """All that decides what is predicted of the key frames and counted, as bytes."""
    split = footage.split
    clips = [(clip.name, clip.source_video) for clip in split.clips]
    yield json.dumps([clips, split.classes.names, footage.image_size]).encode()
    yield split.classes.lookup.tobytes()
    yield from (table.tobytes() for table in split.classes.colour_lookup)
    sources = [source for c in split.clips for source in (c.key_frame.image, c.key_frame.label)]
    with ThreadPoolExecutor(footage.threads) as pool:
        yield from pool.map(_source_digest, sources)


def _source_digest(source: Source) -> bytes:
    if isinstance(source, np.ndarray):
        return _digest([str(source.shape).encode(), source.tobytes()]).encode()
    return hashlib.sha256(read_bytes(source)).digest()


def _digest(parts: Iterable[bytes]) -> str:
    """Of the parts, and of where each of them ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:32]
