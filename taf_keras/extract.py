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

import re
from pathlib import Path

from taf_keras import command
from taf_keras.config import usable_cores
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.sizes import size_option
from taf_keras.video.extraction import extract
from taf_keras.video.extraction_lists import check_output, extended_rows, key_frames, read_rows, write_csv
from taf_keras.video.quiet import quiet_decoders


def main(arguments: list[str] | None = None) -> None:
    quiet_decoders()
    command.run(lambda: _main(arguments), interrupted="interrupted; the same command goes on")


def _main(arguments: list[str] | None) -> int:
    options = _options(arguments)
    root, split, output = (options.pop(name) for name in ("data_dir", "split", "output_csv"))
    stills, rows, source = key_frames(root, split), [], root / f"{split}.csv"
    if split:
        rows = read_rows(source)
        check_output(output, source, rows)
    complete = extract(options.pop("videos"), stills, rows, root, **options)
    if split:
        rows = extended_rows(root, rows)
        write_csv(output, manifest.COLUMNS, rows)
        print(f"{output}: {len(rows)} rows; to use it, put it in the place of {source}")
    return 0 if complete else 1


def _options(arguments: list[str] | None) -> dict:
    """The options, checked. `videos` are the files by their names; `split` is None for camvid."""
    usage = "%(prog)s --layout=LAYOUT --data_dir=FOLDER --video=FILE [options]"
    parser = command.Options("taf_keras.extract", __doc__, usage=usage)
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
    insist = "take --index_offset=INT as it is, whatever the key frames say"
    add("--trust_offset", action="store_true", help=insist)
    add("--jobs", type=int, default=usable_cores(), help="threads that resize, encode and write (the cores)")
    options = vars(parser.parse_args(arguments))

    for name, lowest in (("temporal_context", 0), ("quality", 1), ("search", 1), ("jobs", 1)):
        highest = 100 if name == "quality" else 100_000
        if not lowest <= options[name] <= highest:
            parser.error(f"--{name}={options[name]}: must be from {lowest} to {highest}")
    options["image_size"] = size_option("image_size", options["image_size"], parser.error)
    offset = options["index_offset"]
    if not re.fullmatch(r"auto|[+-]?[0-9]{1,9}", offset):
        parser.error(f"--index_offset={offset}: write auto or a whole number")
    options["index_offset"] = None if offset == "auto" else int(offset)
    if options["trust_offset"] and offset == "auto":
        parser.error("--trust_offset: needs --index_offset=INT")
    if options.pop("layout") == "manifest":
        split = options["split"] = options["split"] or "train"
        options["output_csv"] = options["output_csv"] or options["data_dir"] / f"{split}.extended.csv"
    elif options["split"] or options["output_csv"]:
        parser.error("--split, --output_csv: for --layout=manifest; camvid takes the stills of all splits")
    videos, names = options.pop("video"), options.pop("name")
    names = names or [path.stem for path in videos]
    if len(names) != len(videos) or len(set(names)) < len(names):
        raise UserError("--name: give one for each --video, in the same order and without repeats, or none")
    return options | {"videos": dict(zip(names, videos, strict=True))}


if __name__ == "__main__":
    main()
