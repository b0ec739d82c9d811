"""Reads a whole data set before a long run, and says what is in it and whether training would start.

    python -m taf_keras.check --dataset=camvid --data_dir=CAMVID --temporal_context=30
    python -m taf_keras.check --dataset=manifest --data_dir=DATA --on_bad_file=skip --csv=data.csv

What training refuses is found, and by decoding every file also what is damaged behind its first bytes.
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

import argparse
import os
import re
import sys
from pathlib import Path

from taf_keras.config import DATASETS, METHODS, ON_BAD_FILE, SPLITS, DataConfig, require, require_one_of
from taf_keras.errors import UserError
from taf_keras.inspection.data_report import survey
from taf_keras.inspection.data_tables import csv_text, text
from taf_keras.video.frames import write


def main(arguments: list[str] | None = None) -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    try:
        options = _parser().parse_args(arguments)
        data, names = _settings(options)
        report = survey(data, options.method, names, not options.quick, options.threads)
        try:
            if options.csv:
                write(options.csv, csv_text(report).encode("utf-8", errors="backslashreplace"))
        finally:  # a full disk takes the table, not the report
            print(f"\n{text(report)}", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # … | head; Python flushes once more at its end, which must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(2 if report.refusal else 0)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(f"{message} (--help lists all settings)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m taf_keras.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(name: str, help: str, **kwargs) -> None:
        if default := getattr(DataConfig, name, None):
            kwargs = {"type": type(default), "default": default} | kwargs
            help += " (%(default)s)"
        parser.add_argument(f"--{name}", help=help, **kwargs)

    add("dataset", f"data set: {', '.join(DATASETS)}")
    add("data_dir", "folder of the data set; synthetic has a cache folder of its own")
    add("method", f"method: {', '.join(METHODS)}; a baseline reads no partners (%(default)s)", default="taf")
    add("temporal_context", "n_h, the largest offset of a partner, frames")
    add("image_size", "size to which training resizes, HEIGHTxWIDTH px (that of the files)", metavar="SIZE")
    add("subset", "share of the training clips to keep, in (0, 1]")
    add("label_fraction", "share of the training labels to keep, in (0, 1]")
    add("subset_seed", "seed of both (%(default)s)", type=int, default=DataConfig.subset_seed)
    add("labels", "labels that training uses: key, of key frames; all, of every labelled frame")
    add("on_bad_file", f"what a bad file does: {' or '.join(ON_BAD_FILE)}")
    add("allow_outside_files", "a manifest may name files outside data_dir", action="store_true")
    add("splits", "comma list of the splits to read (train, val, and test where the data set has it)")
    add("quick", "decode no images, read their first and last bytes as training does", action="store_true")
    add("threads", "files read at a time (%(default)s)", type=int, default=os.cpu_count() or 1)
    add("csv", "write the figures to this file, too", type=Path, metavar="FILE")
    return parser


def _settings(options: argparse.Namespace) -> tuple[DataConfig, tuple[str, ...]]:
    """The settings of the data, and the splits asked for. Raises: UserError for what cannot be."""
    size = None
    if options.image_size is not None:
        size = re.fullmatch("([1-9][0-9]*)x([1-9][0-9]*)", options.image_size)
        require(size is not None, f"--image_size={options.image_size}: write HEIGHTxWIDTH, such as 360x480")
        size = int(size[1]), int(size[2])
    require_one_of("method", options.method, METHODS)
    require(options.threads >= 1, f"--threads={options.threads}: must be 1 or more")
    names = tuple(dict.fromkeys(options.splits.split(","))) if options.splits is not None else ()
    for name in names:
        require_one_of("splits", name, SPLITS)
    if options.csv is not None:  # before the hours that reading may take
        folder = options.csv.parent
        require(not options.csv.is_dir(), f"--csv={options.csv}: is a folder")
        writable = folder.is_dir() and os.access(folder, os.W_OK)
        require(writable, f"--csv={options.csv}: {folder} is no folder that can be written to")
    data = DataConfig(
        options.dataset,
        options.data_dir,
        subset=options.subset,
        label_fraction=options.label_fraction,
        labels=options.labels,
        image_size=size,
        temporal_context=options.temporal_context,
        subset_seed=options.subset_seed,
        on_bad_file=options.on_bad_file,
        allow_outside_files=options.allow_outside_files,
    )
    return data, tuple(name for name in SPLITS if name in names)


if __name__ == "__main__":
    main()
