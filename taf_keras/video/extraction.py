"""Finds the key frames in the videos, then writes the frames around them: what `taf_keras.extract` does."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taf_keras.clips.decode import read_image
from taf_keras.errors import UserError
from taf_keras.files import write_bytes, writes
from taf_keras.progress import Progress
from taf_keras.sizes import Size, size_text
from taf_keras.video.extraction_lists import RECORD, Stills, frame_files, write_csv
from taf_keras.video.frames import DEINTERLACE, image_size, irregularity, save_frames
from taf_keras.video.match import Match, consensus, find_stills, summary, table


def extract(
    videos: Mapping[str, Path], stills: Stills, rows: Sequence[Sequence[str]], data_dir: Path, **settings
) -> bool:
    """Writes the frames around the key frames to data_dir/frames/NAME, with a report beside them.

    Args:
        videos: what the data set calls each -> its file.
        stills: the key frames of each.
        rows: of the data set's manifest; the frames that it has elsewhere are not written.
        settings: of `Extraction`.
    Returns: whether every frame around the key frames is there.
    Raises: UserError, before a frame is written that may be blank, or under a number that may be wrong.
    """
    extractions = []
    for name, path in videos.items():
        if name not in stills:
            raise UserError(
                f"--video={path}: {data_dir} has no key frames of {name!r}; --name must be one of "
                f"{', '.join(sorted(stills))}"
            )
        if Path(name).name != name or name == "..":
            raise UserError(f"--name={name}: cannot be the name of a folder")
        folder = data_dir / "frames" / name
        elsewhere = {int(n) for clip, n, f, _ in rows if clip == name and (data_dir / f).parent != folder}
        extractions.append(Extraction(path, name, stills[name], elsewhere, folder, **settings))
    for extraction in extractions:
        extraction.prepare()
    for extraction in extractions:  # all are checked before the first is written
        extraction.match()
    complete = [extraction.write() for extraction in extractions]
    return all(complete)


@dataclass
class Extraction:
    """One video on its way to frames.

    Attributes:
        path, name: its file, and what the data set calls it.
        stills: its key frames, number -> image file.
        elsewhere: frame numbers that the data set has already, in files of its own.
        folder: where its frames go.
        temporal_context, …, jobs: the command's options. An image_size of None becomes the video's own, an
            index_offset of None is to be found.
        matches, offset: what each key frame looks like in the video, and its index in the video − number,
            once that is known.
    """

    path: Path
    name: str
    stills: dict[int, str]
    elsewhere: set[int]
    folder: Path
    temporal_context: int
    image_size: Size | None
    format: str
    quality: int
    index_offset: int | None
    search: int
    trust_offset: bool
    jobs: int
    matches: list[Match] = field(default_factory=list)
    offset: int | None = None

    def prepare(self) -> None:
        """Refuses what can be refused without decoding more than one frame."""
        found = image_size(self.path)
        self.image_size = self.image_size or found
        still = read_image(next(iter(self.stills.values()))).shape[:2]
        if self.image_size != still:
            size = size_text(still)
            print(f"{self.name}: key frames have {size} px; --image_size={size} makes the other frames alike")
        with writes(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for leftover in self.folder.glob(".*.tmp"):
                leftover.unlink()
        if not os.access(self.folder, os.W_OK):
            raise UserError(f"{self.folder}: cannot be written")
        self._check_record()

    def match(self) -> None:
        """Looks for the key frames and sets the offset. UserError where they do not confirm one."""
        with Progress(f"{self.name}: key frames") as progress:
            self.matches, times_ms, stuck = find_stills(
                self.path, self.stills, self.index_offset or 0, self.search, progress
            )
        print("\n".join(table(self.matches)))
        if stuck:
            command = DEINTERLACE.format(shlex.quote(str(self.path)))
            raise UserError(
                f"{self.path}: is not decoded: OpenCV gives one picture, unlike every key frame, for all "
                f"{stuck} frames looked at, as it does for interlaced video; deinterlace it first, "
                f"{command}, then give --video=progressive.mp4 --name={self.name}"
            )
        if note := irregularity(times_ms):
            _warn(f"{self.name}: {note}")
        self.offset = self._confirmed()
        print(f"{self.name}: index = number {self.offset:+d}; key frames: {summary(self.matches)}")
        self._check_record()

    def _confirmed(self) -> int:
        given, found, seen = self.index_offset, consensus(self.matches), summary(self.matches)
        if found is None:
            problem = (
                f"{self.name}: the key frames do not tell which index has which number ({seen}; searched "
                f"±{self.search} around index = number {given or 0:+d}): try a larger --search, or "
                "--index_offset=INT near the right one"
            )
        elif given in (None, found):
            return found
        else:
            problem = (
                f"{self.name}: --index_offset={given} would number every frame wrong by "
                f"{abs(found - given)}, the key frames say --index_offset={found} ({seen})"
            )
        if not self.trust_offset:
            raise UserError(problem)
        _warn(f"{problem}; --trust_offset takes {given} nevertheless")
        return given

    def write(self) -> bool:
        """Writes the frames that are not there yet, and the report. Returns: whether all are there now."""
        context, offset = self.temporal_context, self.offset
        windows = {  # key frame -> number -> file
            match.number: {
                number: self.folder / f"{number:06d}.{self.format}"
                for number in range(match.number - context, match.number + context + 1)
                if number >= max(0, -offset) and number not in self.elsewhere
            }
            for match in self.matches
            if match.number + offset >= 0 and (self.trust_offset or not match.contradicts(offset))
        }
        wanted = {number: file for window in windows.values() for number, file in window.items()}
        targets = {number + offset: file for number, file in wanted.items() if not file.exists()}
        write_bytes(self.folder / RECORD, (json.dumps(self._record(), indent=2) + "\n").encode())
        if targets:
            with Progress(f"{self.name}: frames") as progress:
                save_frames(self.path, targets, self.image_size, self.quality, self.jobs, progress)
        report = [self._report(match, windows.get(match.number)) for match in self.matches]
        write_csv(self.folder / "extraction.csv", report[0], [row.values() for row in report])
        print(f"{self.name}: {sum(file.exists() for file in wanted.values())} frames in {self.folder}")
        return not any(row["missing"] or row["left_out"] for row in report)

    def _report(self, match: Match, window: dict[int, Path] | None) -> dict:
        """A row of extraction.csv, with a warning where frames are missing. A window of None is left out."""
        missing = [number for number, file in (window or {}).items() if not file.exists()]
        key = f"{self.name}: key frame {match.number:06d}"
        if window is None:
            seen = match.verdict if match.offset is None else f"{match.verdict}, best at {match.offset:+d}"
            _warn(
                f"{key} ({seen}) does not agree with index = number {self.offset:+d}: "
                "the frames around it are left out"
            )
        elif missing:
            _warn(
                f"{key} lacks {len(missing)} of {len(window)} frames, {missing[0]:06d} to {missing[-1]:06d}: "
                "the video ends before or is damaged there"
            )
        return {
            "key_frame": match.number,
            "verdict": match.verdict,
            "best_offset": match.offset,
            "difference": f"{match.difference:.4f}",
            "margin": f"{match.margin:.4f}",
            "index_offset": self.offset,
            "left_out": window is None,
            "frames": len(window or {}) - len(missing),
            "missing": " ".join(map(str, missing)),
        }

    def _record(self) -> dict:
        """What all frames of a folder have in common."""
        return {
            "video": self.path.name,
            "bytes": self.path.stat().st_size,
            "image_size": size_text(self.image_size),
            "format": self.format,
            "quality": self.quality if self.format == "jpg" else None,
            "index_offset": self.offset,
            "trust_offset": self.trust_offset,
        }

    def _check_record(self) -> None:
        """Refuses to mix frames of different settings in one folder; the offset counts once it is known."""
        record = self.folder / RECORD
        if not record.exists():
            if frame_files(self.folder):
                raise UserError(f"{self.folder}: holds frames that were not extracted here; move them away")
            return
        try:
            before = dict(json.loads(record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{record}: damaged ({error}); remove {self.folder} to extract anew") from None
        for name, value in self._record().items():
            if value is not None and before.get(name) != value:
                raise UserError(
                    f"{self.folder}: its frames were extracted with {name} {before.get(name)}, not {value}; "
                    "remove the folder to extract them anew"
                )


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
