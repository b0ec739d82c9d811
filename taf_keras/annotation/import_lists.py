"""The lists of an imported data set."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterable
from itertools import count, pairwise
from pathlib import Path

from taf_keras.annotation.frame_names import Place
from taf_keras.annotation.import_files import frame_path, label_path, window
from taf_keras.clips.hold_out import Keys, hold_out
from taf_keras.datasets import manifest
from taf_keras.errors import UserError, require
from taf_keras.files import reads, write_bytes
from taf_keras.video.extraction_lists import read_rows

TEST = "test.csv"  # a user's own: no list that is written here has a frame of it


def listed_for_test(folder: Path) -> set[Place]:
    """The frames of test.csv, where there is one. Raises: UserError for a file that is no list."""
    path = folder / TEST
    if not path.exists():
        return set()
    try:
        with reads(path):
            return {(row[0], int(row[1])) for row in read_rows(path)}
    except (ValueError, LookupError, csv.Error):
        raise UserError(f"{path}: is no list with the columns {','.join(manifest.COLUMNS)}") from None


def divided(
    places: Iterable[Place], share: float, context: int, tested: Collection[Place] = ()
) -> tuple[Keys, Keys]:
    """The labelled frames to train on, and those for validation.

    Args:
        share: of the frames, for validation; 0 for none.
        tested: frames that are for neither.
    Raises: UserError where no frame is left to train on.
    """
    keys: dict[str, list[int]] = {}
    for video, number in sorted(set(places) - set(tested)):
        keys.setdefault(video, []).append(number)
    require(bool(keys), f"{TEST}: lists every labelled frame, and one at least must be left to train on")
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


def trained_on(folder: Path) -> set[Place]:
    """The key frames of train.csv. Raises: UserError for a file that training would not take."""
    if not (folder / "train.csv").exists():
        return set()
    return {(clip.source_video, clip.key_number) for clip in manifest.load_list(str(folder), "train").clips}


def lists(
    folder: Path, train: Keys, val: Keys, context: int, tested: Collection[Place]
) -> dict[str, list[list[str]]]:
    """The rows of val.csv, then those of train.csv; without the frames `tested`."""
    return {
        f"{split}.csv": [
            row
            for video, numbers in keys.items()
            for row in _rows(folder, video, list(numbers), context)
            if (video, int(row[1])) not in tested
        ]
        for split, keys in (("val", val), ("train", train))
    }


def has_partners(rows: list[list[str]], context: int) -> bool:
    """Whether a labelled frame has another frame within `context`. Videos are in one piece, frames ascend."""
    return any(
        video == other and (label or other_label) and int(later) - int(number) <= context
        for (video, number, _, label), (other, later, _, other_label) in pairwise(rows)
    )


def write_list(path: Path, rows: list[list[str]], digest: str | None) -> tuple[str, Path | None]:
    """Writes a list. A file that a user has changed is kept.

    Args:
        digest: of the file as it was written the last time.
    Returns: the new digest, and where the user's file is now.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([manifest.COLUMNS, *rows])
    data, kept = text.getvalue().encode(), None
    with reads(path):
        before = path.read_bytes() if path.exists() else b""
    if before not in (b"", data) and _digest(before) != digest:
        kept = _free(path.with_name(f"{path.name}.before"))
        write_bytes(kept, before)
    if before != data:
        write_bytes(path, data)
    return _digest(data), kept


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _free(path: Path) -> Path:
    """This path, or with the first number after it under which there is no file."""
    names = (path.with_name(f"{path.name}{number or ''}") for number in count())
    return next(name for name in names if not name.exists())


def _rows(folder: Path, video: str, keys: list[int], context: int) -> list[list[str]]:
    rows = []
    for number in window(keys, context):
        image, label = (of(folder, (video, number)) for of in (frame_path, label_path))
        if image.exists():
            paths = (image, label if number in keys else None)
            names = [path.relative_to(folder).as_posix() if path else "" for path in paths]
            rows.append([video, str(number), *names])
    return rows
