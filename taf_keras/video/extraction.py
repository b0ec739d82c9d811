"""Finds the key frames in the videos, then writes the frames around them: what `clips.extract` does."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from taf_keras.clips.decode import read_image
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.progress import Progress
from taf_keras.video.extraction_lists import (
    RECORD,
    Stills,
    check_output,
    extended_rows,
    frame_files,
    key_frames,
    read_rows,
    write_csv,
)
from taf_keras.video.frames import DEINTERLACE, PART, image_size, irregularity, save_frames, write
from taf_keras.video.match import Match, consensus, find_stills, summary, table

_REPORT = "extraction.csv"


@dataclass
class Video:
    """One video on its way to frames.

    Attributes:
        path, name: its file, and what the data set calls it.
        stills: its key frames, number -> image file.
        folder: where its frames go.
        size: (height, width) of the frames to write, px.
        others: frame numbers that the data set has already, in files of its own.
        matches: what each key frame looks like in the video, once that is known.
        offset: index in the video − number, once that is known.
    """

    path: Path
    name: str
    stills: dict[int, str]
    folder: Path
    size: tuple[int, int]
    others: set[int]
    matches: list[Match] = field(default_factory=list)
    offset: int | None = None


def extract(options: argparse.Namespace) -> bool:
    """Runs the command. Returns: whether every frame around the key frames is there.

    Raises: UserError, before a frame is written that may be blank, or under a number that may be wrong.
    """
    stills, rows = key_frames(options), []
    if options.layout == "manifest":
        rows = read_rows(options.manifest)
        check_output(options, rows)
    names = options.name or [path.stem for path in options.video]
    if len(names) != len(options.video) or len(set(names)) < len(names):
        raise UserError("--name: give one for each --video, in the same order and without repeats, or none")
    pairs = zip(options.video, names, strict=True)
    videos = [_prepare(path, name, stills, rows, options) for path, name in pairs]
    for video in videos:  # all are checked before the first is written
        _match(video, options)
    complete = [_write(video, options) for video in videos]
    if options.layout == "manifest":
        rows = extended_rows(options.data_dir, rows)
        write_csv(options.output_csv, manifest.COLUMNS, rows)
        print(f"{options.output_csv}: {len(rows)} rows; to use it, put it in the place of {options.manifest}")
    return all(complete)


def _prepare(path: Path, name: str, stills: Stills, rows: list[list[str]], options) -> Video:
    """Refuses what can be refused without decoding more than one frame."""
    if name not in stills:
        raise UserError(
            f"--video={path}: {options.data_dir} has no key frames of {name!r}; --name must be one of "
            f"{', '.join(sorted(stills))}"
        )
    if Path(name).name != name or name == "..":
        raise UserError(f"--name={name}: cannot be the name of a folder")
    folder = options.data_dir / "frames" / name
    files = {int(frame): options.data_dir / image for clip, frame, image, _ in rows if clip == name}
    others = {number for number, file in files.items() if file.parent != folder}
    found = image_size(path)
    still = read_image(next(iter(stills[name].values()))).shape[:2]
    if (options.image_size or found) != still:
        size = "{}x{}".format(*still)
        print(f"{name}: key frames have {size} px; --image_size={size} makes the other frames alike")
    video = Video(path, name, stills[name], folder, options.image_size or found, others)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"*{PART}"):
            leftover.unlink()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written")
    _check_record(video, options)
    return video


def _match(video: Video, options) -> None:
    """Looks for the key frames and sets the video's offset. UserError where they do not confirm one."""
    with Progress(f"{video.name}: key frames") as progress:
        start = options.index_offset or 0
        search = find_stills(video.path, video.stills, start, options.search, progress)
    video.matches = search.matches
    print("\n".join(table(video.matches)))
    if search.decoder_failed:
        command = DEINTERLACE.format(shlex.quote(str(video.path)))
        raise UserError(
            f"{video.path}: is not decoded: OpenCV gives one picture, unlike every key frame, for all "
            f"{search.looked_at} frames looked at, as it does for interlaced video; deinterlace it first, "
            f"{command}, then give --video=progressive.mp4 --name={video.name}"
        )
    if note := irregularity(search.times_ms):
        _warn(f"{video.name}: {note}")
    video.offset = _confirmed(video, options)
    print(f"{video.name}: index = number {video.offset:+d}; key frames: {summary(video.matches)}")
    _check_record(video, options)


def _confirmed(video: Video, options) -> int:
    given, found = options.index_offset, consensus(video.matches)
    if found is not None and given in (None, found):
        return found
    seen = summary(video.matches)
    if found is None:
        problem = (
            f"{video.name}: the key frames do not tell which index has which number ({seen}; searched "
            f"±{options.search} around index = number {given or 0:+d}): try a larger --search, or "
            "--index_offset=INT near the right one"
        )
    else:
        problem = (
            f"{video.name}: --index_offset={given} would number every frame wrong by {abs(found - given)}, "
            f"the key frames say --index_offset={found} ({seen})"
        )
    if not options.trust_offset:
        raise UserError(problem)
    _warn(f"{problem}; --trust_offset takes {given} nevertheless")
    return given


def _write(video: Video, options) -> bool:
    """Writes the frames that are not there yet, and the report. Returns: whether all are there now."""
    context, trusted = options.temporal_context, options.trust_offset
    windows = {}  # key frame -> number -> file
    for match in video.matches:
        agrees = trusted or not match.contradicts(video.offset)
        if agrees and match.number + video.offset >= 0:
            numbers = range(match.number - context, match.number + context + 1)
            windows[match.number] = {
                number: video.folder / f"{number:06d}.{options.format}"
                for number in numbers
                if number >= 0 and number + video.offset >= 0 and number not in video.others
            }
    wanted = {number: file for window in windows.values() for number, file in window.items()}
    targets = {number + video.offset: file for number, file in wanted.items() if not file.exists()}
    write(video.folder / RECORD, (json.dumps(_settings(video, options), indent=2) + "\n").encode())
    if targets:
        with Progress(f"{video.name}: frames") as progress:
            save_frames(video.path, targets, video.size, options.quality, options.jobs, progress)
    report = [_report(video, match, windows.get(match.number)) for match in video.matches]
    write_csv(video.folder / _REPORT, report[0], [row.values() for row in report])
    print(f"{video.name}: {sum(file.exists() for file in wanted.values())} frames in {video.folder}")
    return not any(row["missing"] or row["left_out"] for row in report)


def _report(video: Video, match: Match, window: dict[int, Path] | None) -> dict:
    """A row of extraction.csv, with a warning where frames are missing. A window of None is left out."""
    missing = [number for number, file in (window or {}).items() if not file.exists()]
    key = f"{video.name}: key frame {match.number:06d}"
    if window is None:
        seen = match.verdict if match.offset is None else f"{match.verdict}, best at {match.offset:+d}"
        _warn(
            f"{key} ({seen}) does not agree with index = number {video.offset:+d}: "
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
        "index_offset": video.offset,
        "left_out": window is None,
        "frames": len(window or {}) - len(missing),
        "missing": " ".join(map(str, missing)),
    }


def _settings(video: Video, options) -> dict:
    """What all frames of a folder have in common."""
    return {
        "video": video.path.name,
        "bytes": video.path.stat().st_size,
        "image_size": "{}x{}".format(*video.size),
        "format": options.format,
        "quality": options.quality if options.format == "jpg" else None,
        "index_offset": video.offset,
        "trust_offset": options.trust_offset,
    }


def _check_record(video: Video, options) -> None:
    """Refuses to mix frames of different settings in one folder; the offset counts once it is known."""
    record = video.folder / RECORD
    if not record.exists():
        if frame_files(video.folder):
            raise UserError(f"{video.folder}: holds frames that were not extracted here; move them away")
        return
    try:
        before = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{record}: damaged ({error}); remove {video.folder} to extract anew") from None
    for name, value in _settings(video, options).items():
        if value is not None and before.get(name) != value:
            raise UserError(
                f"{video.folder}: its frames were extracted with {name} {before.get(name)}, not {value}; "
                "remove the folder to extract them anew"
            )


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
