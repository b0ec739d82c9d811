"""The folder of stills to label: what is there, and how more are added without a change of what is there.

images/VIDEO_NNNNNN.png   lossless stills, by the stem of the video's file and the frame's index
index.csv                 one row for each
contact_sheet.jpg         all of them, to look at
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from taf_keras.annotation.contact_sheet import write_contact_sheet
from taf_keras.clips.decode import read_image
from taf_keras.errors import UserError
from taf_keras.files import reads, writes
from taf_keras.progress import Progress
from taf_keras.video.extraction_lists import write_csv

COLUMNS = ("image", "video", "frame", "seconds", "sharpness", "difference", "uncertainty", "round")
_STILL = re.compile(r"(.+)_([0-9]{6,})\.png")
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def video_stems(videos: Iterable[Path]) -> dict[str, Path]:
    """What the stills of each video are called -> its file.

    Raises: UserError for two videos of one stem, and for a stem with characters that annotation tools change.
    """
    found: dict[str, Path] = {}
    for path in videos:
        if not _STEM.fullmatch(path.stem):
            better = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).strip("_.-") or "video"
            raise UserError(
                f"{path}: the stills get its name, and annotation tools keep letters a–z, digits, _ . and - "
                f"alone: rename it, such as {better}{path.suffix}"
            )
        for other in found:
            if other.lower() == path.stem.lower():  # one file on some file systems
                raise UserError(f"{path}: the stills of {found[other]} would get the same names: rename one")
        found[path.stem] = path
    return found


class LabelFolder:
    """A folder of stills to label, as `python -m taf_keras.label` makes it.

    Attributes:
        folder, images, index, sheet, prelabels: its paths.
        rows: one for each still that is there, by its file's name, in the order of index.csv.
    """

    def __init__(self, folder: Path):
        self.folder, self.images = folder, folder / "images"
        self.index, self.sheet = folder / "index.csv", folder / "contact_sheet.jpg"
        self.prelabels = folder / "prelabels"
        self.rows = self._read()

    @property
    def round(self) -> int:
        """The number of the next call, from 1."""
        return 1 + max(
            (int(row["round"]) for row in self.rows.values() if row["round"].isdecimal()), default=0
        )

    def frames(self) -> dict[str, set[int]]:
        """The numbers of the stills of each video."""
        found: dict[str, set[int]] = {}
        for row in self.rows.values():
            found.setdefault(row["video"], set()).add(int(row["frame"]))
        return found

    def path(self, name: str) -> Path:
        return self.images / name

    def prepare(self) -> None:
        """Makes the folder. Raises: UserError where it cannot be written."""
        with writes(f"--output_dir={self.folder}"):
            self.images.mkdir(parents=True, exist_ok=True)
            for leftover in self.images.glob(".*.tmp"):
                leftover.unlink()
            probe = self.folder / ".index.csv.tmp"
            probe.touch()
            probe.unlink()

    def add(self, rows: Iterable[dict]) -> list[str]:
        """Lists those stills that have been written. Returns: their names."""
        for row in rows:
            if self.path(row["image"]).is_file():
                self.rows[row["image"]] = row
        write_csv(self.index, COLUMNS, ([row[name] for name in COLUMNS] for row in self.rows.values()))
        return [row["image"] for row in rows if row["image"] in self.rows]

    def draw(self, new: set[str]) -> None:
        """Writes the contact sheet: all stills by video and frame, those of `new` with a bright frame."""
        rows = sorted(self.rows.values(), key=lambda row: (row["video"], int(row["frame"])))
        with Progress("contact sheet") as progress:

            def pictures():
                for done, row in enumerate(rows, 1):
                    yield read_image(str(self.path(row["image"]))), caption(row), row["image"] in new
                    progress(done, len(rows))

            write_contact_sheet(self.sheet, pictures(), len(rows))

    def _read(self) -> dict[str, dict]:
        """The rows of index.csv whose stills are there, and those of stills that it lacks."""
        listed: dict[str, dict] = {}
        if self.index.exists():
            with reads(self.index), self.index.open(encoding="utf-8-sig", newline="") as file:
                try:
                    table = list(csv.DictReader(file))
                except (UnicodeDecodeError, csv.Error):
                    table = [{}]
            if any(not {"image", "video", "frame"} <= row.keys() for row in table):
                raise UserError(
                    f"{self.index}: is no index of stills: give another --output_dir, or remove it"
                )
            listed = {row["image"]: {name: row.get(name) or "" for name in COLUMNS} for row in table}
        with reads(self.images):
            names = sorted(p.name for p in self.images.iterdir()) if self.images.is_dir() else []
        found = {name: match for name in names if (match := _STILL.fullmatch(name))}
        rows = {name: row for name, row in listed.items() if name in found}
        for name, match in found.items():  # a killed run wrote it
            blank = dict.fromkeys(COLUMNS, "")
            rows.setdefault(name, blank | {"image": name})
            rows[name] |= {"video": match[1], "frame": int(match[2])}
        return rows


def caption(row: dict) -> tuple[str, str]:
    """What a contact sheet says of a still: its video and number, and its time."""
    seconds = float(row["seconds"]) if row["seconds"] else None
    minutes, rest = divmod(seconds or 0.0, 60)
    time = "" if seconds is None else f"{minutes:.0f}:{rest:04.1f} min"
    return f"{row['video']} {int(row['frame']):06d}", time
