"""Writes the frames around a data set's key frames from its videos, numbered as the key frames are.

    python -m taf_keras.extract --layout=camvid --data_dir=CAMVID --video=0006R0.MXF
    python -m taf_keras.extract --layout=camvid --data_dir=CAMVID --video=0005VD.MXF --name=Seq05VD
    python -m taf_keras.extract --layout=manifest --data_dir=DATA --split=train --video=street.mp4

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
import os
import re
import sys
from pathlib import Path

import cv2

from taf_keras.errors import UserError
from taf_keras.video.extraction import extract


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # argparse would print the usage, many lines, before the message
        raise UserError(f"{message} (--help lists all arguments)")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The checked command line. Raises: UserError."""
    parser = _Parser(
        prog="python -m taf_keras.extract",
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
