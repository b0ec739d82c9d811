"""Reads a whole data set before a long run, and says what is in it and whether training would start.

    python -m taf_keras.check --dataset=camvid --data_dir=CAMVID --temporal_context=30
    python -m taf_keras.check --dataset=manifest --data_dir=DATA --on_bad_file=skip --csv=data.csv

What training refuses is found, and by decoding every file also what is damaged after its first bytes.
Warnings are leakage, key frames of one split that another shows; classes without a pixel in the training
labels; frames that hold one colour alone, or the bytes of another frame of their video (not with --quick).
Exit code: 0 training would start, 2 it would not.

--csv has a line for each figure, of the columns split,kind,item,value,detail; kinds are
    count         item clips, clips_left_out, frames, labelled_frames or bad_files: how many
    size          item HEIGHTxWIDTH: frames of this size, px
    partners      item number of partners: clips that have so many
    offset        item n: clips that have a frame n frames from their key frame
    class_share   item class: its share of the labelled pixels, void excepted, 0 to 1
    class_frames  item class: key frames on which it occurs
    void_share    share of void among all pixels, 0 to 1;  void_frames: key frames on which it occurs
    bad_file      item file: detail is what is wrong with it
    blank_frame   item file: shows nothing, or nothing of its own; detail is why
    error         detail is what is wrong with the split as a whole
    warning       detail is the sentence
    leak          item clip: its key frame lies value frames from that of a clip in another split; see detail
    verdict       value is the exit code, detail the last line of the output
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from taf_keras import command
from taf_keras.config import METHODS, SPLITS, usable_cores
from taf_keras.datasets.load import split_names
from taf_keras.datasets.options import add_data_options, data_config
from taf_keras.errors import require, require_one_of
from taf_keras.files import write_bytes
from taf_keras.inspection.data_report import survey
from taf_keras.inspection.data_tables import csv_text, text

_SETTINGS = (
    *("dataset", "data_dir", "subset", "label_fraction", "labels", "image_size", "temporal_context"),
    *("subset_seed", "on_bad_file", "allow_outside_files"),
)


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> int:
    options = _options().parse_args(arguments)
    _check(options)
    names, data = split_names(options.splits), data_config(options)
    names = [name for name in SPLITS if name in names]
    report = survey(data, options.method, names, not options.quick, options.threads)
    try:
        if options.csv:
            write_bytes(options.csv, csv_text(report).encode("utf-8", errors="backslashreplace"))
    finally:  # a full disk takes the table, not the report
        print(f"\n{text(report)}", flush=True)
    return 2 if report.refusal else 0


def _options() -> command.Options:
    options = command.Options("taf_keras.check", __doc__)
    add_data_options(
        options,
        *_SETTINGS,
        on_bad_file={"help": "what a bad file does: refuse stops training, skip leaves it out (refuse)"},
    )
    add = options.add_argument
    add("--method", default="taf", help=f"{', '.join(METHODS)}; a baseline reads no partners (%(default)s)")
    add("--splits", help="comma list of the splits to read (train, val, and test where the data set has it)")
    add(
        "--quick",
        action="store_true",
        help="decode no images, read their first and last bytes as training does",
    )
    add("--threads", type=int, default=usable_cores(), help="files read at a time (the cores)")
    add("--csv", type=Path, metavar="FILE", help="write the figures to this file, too")
    return options


def _check(options: Namespace) -> None:
    """Raises: UserError for what cannot be, before the hours that reading may take."""
    require_one_of("method", options.method, METHODS)
    require(options.threads >= 1, f"--threads={options.threads}: must be 1 or more")
    if options.csv is not None:
        folder = options.csv.parent
        require(not options.csv.is_dir(), f"--csv={options.csv}: is a folder")
        writable = folder.is_dir() and os.access(folder, os.W_OK)
        require(writable, f"--csv={options.csv}: {folder} is no folder that can be written to")


if __name__ == "__main__":
    main()
