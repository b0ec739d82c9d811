"""Packs a data set into a few large files, for storage where many small ones are slow.

    python -m taf_keras.pack --dataset=camvid --data_dir=CAMVID --output_dir=PACKED
    python train.py --dataset=packed --data_dir=PACKED

output_dir/SPLIT-NUMBER.tfrecord has one record for each clip, a tf.train.Example of the files as they were:
    clip, video, key_number     one value each: two names, and the number of the key frame
    name, number, image, label  one value for each frame, ascending; label is empty for an unlabelled one
output_dir/index.json says where each of these files lies, so that training reads only those that it draws,
and gets the same batches. A frame that belongs to several clips is in the record of each.

The index is written last: without it, as after a kill, the folder is no data set, and the same command starts
over. What `--on_bad_file=skip` leaves out here is not packed; `--subset` then draws from what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import ClassTable, Clip, FilePart, Split
from taf_keras.clips.image_files import inspect_image, read_bytes
from taf_keras.config import DATASETS, ON_BAD_FILE, SPLITS, DataConfig, require, require_one_of
from taf_keras.datasets import load
from taf_keras.datasets.packed import FORMAT, INDEX, SHARD_NAME
from taf_keras.datasets.shards import Shards, StoredFile, StoredFrame
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.check import check_split
from taf_keras.progress import Progress
from taf_keras.video.frames import PART, write


def pack(data: DataConfig, output_dir: Path, splits: Sequence[str], shard_bytes: int) -> None:
    """Checks the splits, then writes them to `output_dir`; prints what they hold.

    The same data set gives the same bytes. One clip at a time is in memory.

    Args:
        output_dir: made if it does not exist; empty, or left by a packing that was interrupted.
        shard_bytes: largest size of a shard, unless a single clip is larger.
    Raises: UserError for a folder that holds something else, a file that cannot be used or written, a
        training key frame without a partner where `data.temporal_context` > 0.
    """
    _prepare(output_dir)
    bad = BadFiles(data.on_bad_file)
    checked = [_checked(data, name, bad) for name in splits]
    index = {
        "format": FORMAT,
        "temporal_context": data.temporal_context,
        "classes": _describe_classes(load.class_table(data)),
        "shards": {},
        "splits": {},
    }
    for split in checked:
        shards = Shards(output_dir, split.name, shard_bytes)
        clips = index["splits"][split.name] = []
        with Progress(f"packing {split.name}") as progress:
            for done, clip in enumerate(split.clips, 1):
                frames = list(_read(clip, data, bad))
                if clip.key_number in (frame.number for frame in frames):
                    clips.append(shards.add(clip, frames))
                progress(done, len(split.clips))
        shards.close()
        index["shards"] |= shards.sizes
        print(_summary(split.name, clips, shards.sizes))
    for error in bad.found:
        print(f"left out {error}")
    write(output_dir / INDEX, json.dumps(index).encode())


def _prepare(folder: Path) -> None:
    """Makes an empty folder, or empties one in which packing began and did not end."""
    marker = folder / (INDEX + PART)  # there from the beginning of packing to its end
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in folder.iterdir()}
        shards = {name for name in found if SHARD_NAME.fullmatch(name.removesuffix(PART))}
        if found and found != {marker.name} | shards:
            raise UserError(f"--output_dir={folder}: must be new or empty, has {min(found)}")
        marker.touch()
        for name in shards:
            (folder / name).unlink()
    except OSError as error:
        raise UserError(f"--output_dir={folder}: cannot be written: {error.strerror or error}") from None


def _checked(data: DataConfig, name: str, bad: BadFiles) -> Split:
    """The split without bad files; as in training, only its own key frames must have partners."""
    split = load.load_split(data, name, bad=bad)
    within = data.temporal_context if name == "train" else 0
    any_size = (1, 1)  # frames may differ in size here: it is training that resizes them, or refuses them
    with Progress(f"checking {name} files") as progress:
        return check_split(split, any_size, within, bad, on_progress=progress)


def _read(clip: Clip, data: DataConfig, bad: BadFiles) -> Iterator[StoredFrame]:
    """The frames that can be drawn from `clip`, without those that `bad` takes."""
    for frame in clip.window(data.temporal_context):
        try:
            inspect_image(frame.image)
            label = None if frame.label is None else _file(frame.label, data)
            yield StoredFrame(frame.number, _file(frame.image, data), label)
        except BadFileError as error:
            if str(error) not in map(str, bad.found):  # windows overlap: one file may belong to many clips
                bad.add(error)


def _file(source: str | FilePart, data: DataConfig) -> StoredFile:
    """Named relative to the folder of the data set, so that the result does not depend on where that lies."""
    name = source.name if isinstance(source, FilePart) else source
    if name is source and Path(name).is_relative_to(data.data_dir):
        name = Path(name).relative_to(data.data_dir).as_posix()
    return StoredFile(name, read_bytes(source))


def _describe_classes(classes: ClassTable) -> dict:
    """For the index; maps become lists of pairs, since the keys of JSON's own are texts."""
    return {
        "names": classes.names,
        "colours": classes.colours,
        "raw_ids": classes.raw_ids and list(classes.raw_ids.items()),
        "raw_colours": classes.raw_colours and list(classes.raw_colours.items()),
    }


def _summary(split: str, clips: Sequence[dict], shards: dict[str, int]) -> str:
    images = [frame["image"] for clip in clips for frame in clip["frames"]]
    once = {image["name"]: image["length"] for image in images}
    again = sum(image["length"] for image in images) - sum(once.values())
    return (
        f"{split}: {len(clips)} clips, {len(images)} frames, {sum(shards.values()) / 1e6:.1f} MB in "
        f"{len(shards)} shards; {again / 1e6:.1f} MB of them are frames that an earlier clip has too"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m taf_keras.pack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Synthetic clips are no files. A packed set may be packed again, with a smaller temporal context.
    sources = [name for name in DATASETS if name != "synthetic"]
    parser.add_argument("--dataset", required=True, choices=sources, help="data set to pack")
    parser.add_argument("--data_dir", required=True, help="folder of the data set")
    parser.add_argument(
        "--output_dir", required=True, type=Path, help="folder of the packed form; new or empty"
    )
    parser.add_argument(
        "--temporal_context",
        type=int,
        default=DataConfig.temporal_context,
        help="n_h, the largest offset of a partner that trainings may then draw, frames (%(default)s)",
    )
    parser.add_argument("--splits", help="comma list (default: all that the data set has)")
    parser.add_argument("--shard_mb", type=int, default=256, help="size of a shard, 10^6 bytes (%(default)s)")
    parser.add_argument(
        "--on_bad_file", choices=ON_BAD_FILE, default="refuse", help="or leave it out (%(default)s)"
    )
    parser.add_argument("--allow_outside_files", action="store_true", help="as in train.py, for manifest")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        require(options.shard_mb >= 1, f"--shard_mb={options.shard_mb}: must be 1 or more")
        data = DataConfig(
            options.dataset,
            options.data_dir,
            temporal_context=options.temporal_context,
            on_bad_file=options.on_bad_file,
            allow_outside_files=options.allow_outside_files,
        )
        splits = tuple(dict.fromkeys(options.splits.split(","))) if options.splits else load.splits(data)
        for name in splits:
            require_one_of("splits", name, SPLITS)
        splits = splits or ("train",)  # whose absence the reader then explains
        pack(data, options.output_dir, splits, options.shard_mb * 1_000_000)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command starts over", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
