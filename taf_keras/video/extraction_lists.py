"""The lists of a data set for whose key frames the extractor writes frames, and the list that comes of it."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from taf_keras.datasets import camvid, manifest
from taf_keras.errors import UserError
from taf_keras.files import write_bytes

RECORD = "extraction.json"  # the settings that the frames beside it were written with

Stills = dict[str, dict[int, str]]  # name of a video -> frame number -> file of the key frame's image


def key_frames(data_dir: Path, split: str | None) -> Stills:
    """Of one manifest, or without a split, of all of CamVid's. Raises: UserError where its reader does."""
    root, stills = str(data_dir), defaultdict(dict)
    if split:  # files outside of data_dir are only looked at here
        splits = [manifest.load_list(root, split)]
    else:
        splits = [camvid.load_split(root, name, 0) for name in camvid.splits(root) or ("train",)]
    for clip in (clip for split in splits for clip in split.clips):
        stills[clip.video][clip.key_number] = clip.key_frame.image
    return stills


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a manifest that its reader takes, without the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.reader(file) if row][1:]


def extended_rows(root: Path, rows: list[list[str]]) -> list[list[str]]:
    """The rows and one for each extracted frame, clips in their order, frames ascending."""
    listed = {(clip, int(frame)) for clip, frame, *_ in rows}
    order = {clip: position for position, clip in enumerate(dict.fromkeys(row[0] for row in rows))}
    added = []
    for clip in order:
        folder = root / "frames" / clip
        for path in frame_files(folder) if (folder / RECORD).is_file() else ():
            if (clip, number := int(path.stem)) not in listed:
                added.append([clip, str(number), path.relative_to(root).as_posix(), ""])
    return sorted(rows + added, key=lambda row: (order[row[0]], int(row[1])))


def frame_files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.suffix in (".jpg", ".png") and p.stem.isdecimal()]


def check_output(output: Path, source: Path, rows: list[list[str]]) -> None:
    """Refuses to overwrite anything but what an earlier run made of the same manifest."""
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"--output_csv={output}: its folder is missing or cannot be written")
    try:
        before = read_rows(output) if output.exists() else rows
    except (OSError, ValueError, csv.Error):  # ValueError: not UTF-8
        before = []
    extends = set(map(tuple, rows)) <= set(map(tuple, before))
    if not extends or output.resolve() == source.resolve():
        raise UserError(f"--output_csv={output}: holds something else; choose another file, or remove it")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_bytes(path, text.getvalue().encode())
