"""The lists of an imported data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from taf_keras.annotation.frame_names import Place
from taf_keras.annotation.import_files import frame_path, label_path, window
from taf_keras.clips.hold_out import Keys, hold_out
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.video.extraction_lists import write_csv


def divided(places: Iterable[Place], share: float, context: int) -> tuple[Keys, Keys]:
    """The labelled frames to train on, and those for validation.

    Args:
        share: of the frames, for validation; 0 for none.
    Raises: UserError where no frame is left to train on.
    """
    keys: dict[str, list[int]] = {}
    for video, number in sorted(places):
        keys.setdefault(video, []).append(number)
    if not share:
        return keys, {}
    train, val = hold_out(keys, share, 2 * context)
    if not train:
        total = sum(map(len, keys.values()))
        most = max((numbers[0] - keys[video][0] - 1) // 2 for video, numbers in val.items())
        raise UserError(
            f"--temporal_context={context}: all {total} labels lie within {2 * context} frames of the "
            f"part for validation, and none is left to train on: must be {most} or less"
        )
    return train, val


def now_for_validation(folder: Path, val: Keys) -> int:
    """How many key frames have been trained on so far, and are for validation now."""
    if not (folder / "train.csv").exists():
        return 0
    clips = manifest.load_list(str(folder), "train").clips
    before = {(clip.source_video, clip.key_number) for clip in clips}
    return sum((video, number) in before for video, numbers in val.items() for number in numbers)


def write_lists(folder: Path, train: Keys, val: Keys, context: int) -> int:
    """Writes val.csv, then train.csv, with which the data set is there; no list without a row.

    Returns: how many frames train.csv has beside the labelled ones.
    """
    rows: list[list[str]] = []
    for split, keys in (("val", val), ("train", train)):
        path = folder / f"{split}.csv"
        rows = [
            row for video, numbers in keys.items() for row in _rows(folder, video, list(numbers), context)
        ]
        if rows:
            write_csv(path, manifest.COLUMNS, rows)
        else:
            path.unlink(missing_ok=True)
    return sum(not label for *_, label in rows)


def _rows(folder: Path, video: str, keys: list[int], context: int) -> list[list[str]]:
    rows = []
    for number in window(keys, context):
        image, label = (of(folder, (video, number)) for of in (frame_path, label_path))
        if image.exists():
            paths = (image, label if number in keys else None)
            names = [path.relative_to(folder).as_posix() if path else "" for path in paths]
            rows.append([video, str(number), *names])
    return rows
