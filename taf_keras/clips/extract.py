"""Writes the frames around a data set's key frames from its videos, numbered as the key frames are.

    python -m taf_keras.clips.extract --layout=camvid --data_dir=CAMVID --video=0006R0.MXF
    python -m taf_keras.clips.extract --layout=camvid --data_dir=CAMVID --video=0005VD.MXF --name=Seq05VD
    python -m taf_keras.clips.extract --layout=manifest --data_dir=DATA --split=train --video=street.mp4

camvid: key frames are the stills in data_dir/{train,val,test}, NAME_NUMBER.png.
manifest: key frames are the labelled rows of data_dir/SPLIT.csv (clip,frame,image,label); `clip` is NAME. The
list with the new frames goes to SPLIT.extended.csv.

Frames go to data_dir/frames/NAME/NUMBER.jpg, with a report in extraction.csv beside them. A frame's index in
the video may be shifted against its number, so every key frame is looked for among the decoded frames first;
nothing is written under numbers that the key frames contradict. The same command goes on where a killed one
stopped. Exit code: 0 all frames are there, 1 some are missing, 2 nothing could be done.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from taf_keras.clips import camvid, manifest
from taf_keras.clips.decode import read_image
from taf_keras.clips.match import Match, consensus, find_stills, summary, table
from taf_keras.clips.video import PART, image_size, irregularity, save_frames, write
from taf_keras.errors import UserError
from taf_keras.progress import Progress

_RECORD = "extraction.json"  # the settings that the frames beside it were written with
_REPORT = "extraction.csv"

Stills = dict[str, dict[int, str]]  # name of a video -> frame number -> file of the key frame's image


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


# --- The data set ---


def key_frames(options: argparse.Namespace) -> Stills:
    """Of all splits of CamVid, or of one manifest. Raises: UserError where its reader does."""
    root = str(options.data_dir)
    if options.layout == "manifest":  # whose files outside of data_dir are only looked at here
        splits = [manifest.load_split(root, options.split, 0, allow_outside_files=True)]
    else:
        splits = [camvid.load_split(root, name, 0) for name in camvid.splits(root) or ("train",)]
    stills = defaultdict(dict)
    for split in splits:
        for clip in split.clips:
            stills[clip.video][clip.key_number] = clip.key_frame.image
    return stills


def _rows(path: Path) -> list[list[str]]:
    """The rows of a manifest that its reader takes, without the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.reader(file) if row][1:]


def _extended(root: Path, rows: list[list[str]]) -> list[list[str]]:
    """The rows and one for each extracted frame, clips in their order, frames ascending."""
    listed = {(clip, int(frame)) for clip, frame, *_ in rows}
    order = {clip: position for position, clip in enumerate(dict.fromkeys(row[0] for row in rows))}
    added = []
    for clip in order:
        folder = root / "frames" / clip
        for path in _frames(folder) if (folder / _RECORD).is_file() else ():
            if (clip, int(path.stem)) not in listed:
                added.append([clip, str(int(path.stem)), path.relative_to(root).as_posix(), ""])
    return sorted(rows + added, key=lambda row: (order[row[0]], int(row[1])))


def _frames(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.suffix in (".jpg", ".png") and p.stem.isdecimal()]


# --- Prepare, match, write ---


def extract(options: argparse.Namespace) -> bool:
    """Runs the command. Returns: whether every frame around the key frames is there.

    Raises: UserError, before a frame is written under a number that may be wrong.
    """
    stills, rows = key_frames(options), []
    if options.layout == "manifest":
        rows = _rows(options.manifest)
        _check_output(options, rows)
    names = options.name or [path.stem for path in options.video]
    if len(names) != len(options.video) or len(set(names)) < len(names):
        raise UserError("--name: give one for each --video, in the same order and without repeats, or none")
    pairs = zip(options.video, names, strict=True)
    videos = [_prepare(path, name, stills, rows, options) for path, name in pairs]
    for video in videos:  # all are checked before the first is written
        _match(video, options)
    complete = [_write(video, options) for video in videos]
    if options.layout == "manifest":
        rows = _extended(options.data_dir, rows)
        _write_csv(options.output_csv, manifest.COLUMNS, rows)
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
        video.matches, times_ms = find_stills(video.path, video.stills, start, options.search, progress)
    print("\n".join(table(video.matches)))
    if note := irregularity(times_ms):
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
    write(video.folder / _RECORD, (json.dumps(_settings(video, options), indent=2) + "\n").encode())
    if targets:
        with Progress(f"{video.name}: frames") as progress:
            save_frames(video.path, targets, video.size, options.quality, options.jobs, progress)
    report = [_report(video, match, windows.get(match.number)) for match in video.matches]
    _write_csv(video.folder / _REPORT, report[0], [row.values() for row in report])
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


# --- Files ---


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
    record = video.folder / _RECORD
    if not record.exists():
        if _frames(video.folder):
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


def _check_output(options, rows: list[list[str]]) -> None:
    """Refuses to overwrite anything but what an earlier run made of the same manifest."""
    output = options.output_csv
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"--output_csv={output}: its folder is missing or cannot be written")
    try:
        before = _rows(output) if output.exists() else rows
    except (OSError, ValueError, csv.Error):  # ValueError: not UTF-8
        before = []
    extends = {tuple(row) for row in rows} <= {tuple(row) for row in before}
    if not extends or output.resolve() == options.manifest.resolve():
        raise UserError(f"--output_csv={output}: holds something else; choose another file, or remove it")


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write(path, text.getvalue().encode())


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


# --- Command line ---


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # argparse would print the usage, many lines, before the message
        raise UserError(f"{message} (--help lists all arguments)")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The checked command line. Raises: UserError."""
    parser = _Parser(
        prog="python -m taf_keras.clips.extract",
        usage="%(prog)s --layout=LAYOUT --data_dir=FOLDER --video=FILE [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--layout", required=True, choices=("camvid", "manifest"), help="how key frames are listed")
    add("--data_dir", required=True, type=Path, help="folder of the data set")
    add("--video", required=True, type=Path, action="append", help="video file; repeat for several")
    add("--name", action="append", help="what the data set calls a video (its stem); one for each --video")
    add("--split", help="manifest: the list is data_dir/SPLIT.csv (train)")
    add("--output_csv", type=Path, help="manifest: the extended list (data_dir/SPLIT.extended.csv)")
    add("--temporal_context", type=int, default=15, help="frames on each side, >= 0 (%(default)s)")
    add("--image_size", help="HEIGHTxWIDTH of the frames, px (the video's own)")
    add("--format", default="jpg", choices=("jpg", "png"), help="of the frames (%(default)s)")
    add("--quality", type=int, default=95, help="of JPEG, 1-100 (%(default)s)")
    add(
        "--index_offset",
        default="auto",
        help="0-based index in the video less frame number: auto finds it; INT is checked, and is where "
        "the search begins if the shift is large (%(default)s)",
    )
    add("--search", type=int, default=8, help="how far key frames are looked for, frames, >= 1 (%(default)s)")
    add(
        "--trust_offset",
        action="store_true",
        help="take --index_offset=INT as it is, whatever the key frames say",
    )
    add("--jobs", type=int, default=os.cpu_count(), help="threads that resize, encode and write (the cores)")
    options = parser.parse_args(arguments)

    for name, lowest in (("temporal_context", 0), ("quality", 1), ("search", 1), ("jobs", 1)):
        highest = 100 if name == "quality" else 100_000
        if not lowest <= (value := getattr(options, name)) <= highest:
            parser.error(f"--{name}={value}: must be from {lowest} to {highest}")
    if options.image_size:
        match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", options.image_size)
        if not match:
            parser.error(f"--image_size={options.image_size}: write HEIGHTxWIDTH in px, such as 360x480")
        options.image_size = int(match[1]), int(match[2])
    if not re.fullmatch(r"auto|[+-]?[0-9]{1,9}", options.index_offset):
        parser.error(f"--index_offset={options.index_offset}: write auto or a whole number")
    options.index_offset = None if options.index_offset == "auto" else int(options.index_offset)
    if options.trust_offset and options.index_offset is None:
        parser.error("--trust_offset: needs --index_offset=INT")
    if options.layout == "manifest":
        options.split = options.split or "train"
        options.manifest = options.data_dir / f"{options.split}.csv"
        options.output_csv = options.output_csv or options.manifest.with_suffix(".extended.csv")
    elif options.split or options.output_csv:
        parser.error("--split, --output_csv: for --layout=manifest; camvid takes the stills of all splits")
    return options


def main(arguments: list[str] | None = None) -> None:
    # FFmpeg and OpenCV say on stderr, in many lines, what ends here in one.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        complete = extract(parse(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
