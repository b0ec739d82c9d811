"""Packs a data set into a few large files, for storage where many small ones are slow.

    python -m taf_keras.pack --dataset=camvid --data_dir=CAMVID --output_dir=PACKED
    python train.py --dataset=packed --data_dir=PACKED

output_dir/SPLIT-NUMBER.tfrecord has one record for each clip, a tf.train.Example of the files as they were:
    clip, video, key_number     one value each: two names, and the number of the key frame
    name, number, image, label  one value for each frame, ascending; label is empty for an unlabelled one
output_dir/index.json says where each of these files lies, so that training reads only those that it samples,
and gets the same batches. A frame that belongs to several clips is in the record of each.

The index is written last: without it, as after a kill, the folder is no data set, and the same command starts
over. What `--on_bad_file=skip` leaves out here is not packed; `--subset` then samples from what is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from taf_keras import command
from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, FilePart, Split
from taf_keras.clips.image_files import inspect_image, read_bytes
from taf_keras.config import (
    DATASETS,
    TEMPORAL_CONTEXT,
    DataConfig,
    default_taf_weight,
    default_temporal_context,
)
from taf_keras.datasets import load
from taf_keras.datasets.options import add_data_options, data_config
from taf_keras.datasets.packed import FORMAT, INDEX, SHARD_NAME, describe_classes
from taf_keras.datasets.shards import Shards, StoredFile, StoredFrame
from taf_keras.errors import BadFileError, UserError, require
from taf_keras.files import unfinished, writes
from taf_keras.inspection.check import check_split
from taf_keras.inspection.partner_reach import partners_within
from taf_keras.progress import Progress


def pack(data: DataConfig, output_dir: Path, splits: Sequence[str], shard_bytes: int) -> None:
    """Checks the splits, then writes them to `output_dir`; prints what they hold.

    The same data set gives the same bytes. One clip at a time is in memory.

    Args:
        output_dir: made if it does not exist; empty, or left by a packing that was interrupted.
        shard_bytes: largest size of a shard, unless a single clip is larger.
    Raises: UserError for a folder that holds something else, a file that cannot be used or written, a
        training key frame without a partner where `data.temporal_context` > 0, splits whose label maps have
        other ids than those of the first.
    """
    marker = _prepare(output_dir)
    bad = BadFiles(data.on_bad_file)
    loaded = [load.load_split(data, name, bad=bad) for name in splits]
    classes = loaded[0].classes  # of its label maps: those of Cityscapes have one of two tables
    for split in loaded:
        if split.classes != classes:
            raise UserError(
                f"--data_dir={data.data_dir}: the label maps of {split.name} have other ids than those of "
                f"{splits[0]}: give all splits one form, or pack one of them (--splits={splits[0]})"
            )
    checked = [_checked(data, split, bad) for split in loaded]
    index = {
        "format": FORMAT,
        "temporal_context": data.temporal_context,
        "classes": describe_classes(classes),
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
    if (own := _flags(data.dataset)) != _flags("packed"):
        print(f"--dataset={data.dataset} begins with {own}; --dataset=packed needs these flags for it")
    with writes(output_dir / INDEX):
        marker.write_text(json.dumps(index))  # still there where the disk is full
        marker.replace(output_dir / INDEX)


def _flags(dataset: str) -> str:
    """Those whose defaults depend on the data set, with what a training begins with."""
    weight = default_taf_weight(dataset, "taf")
    return f"--temporal_context={default_temporal_context(dataset)} --taf_weight={weight:g}"


def _prepare(folder: Path) -> Path:
    """Makes an empty folder, or empties one in which packing began and did not end.

    Returns: a file that is there until packing ends, when it becomes the index.
    """
    marker = unfinished(folder / INDEX)
    with writes(f"--output_dir={folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in folder.iterdir()}
        shards = {name for name in found if SHARD_NAME.fullmatch(name.removeprefix(".").removesuffix(".tmp"))}
        if found and found != {marker.name} | shards:
            raise UserError(f"--output_dir={folder}: must be new or empty, has {min(found)}")
        marker.touch()
        for name in shards:
            (folder / name).unlink()
    return marker


def _checked(data: DataConfig, split: Split, bad: BadFiles) -> Split:
    """The split without bad files; as in training, only its own key frames must have partners."""
    any_size = (1, 1)  # frames may differ in size here: it is training that resizes them, or refuses them
    with Progress(f"checking {split.name} files") as progress:
        return check_split(
            split, any_size, partners_within(data, "taf", split.name), bad, on_progress=progress
        )


def _read(clip: Clip, data: DataConfig, bad: BadFiles) -> Iterator[StoredFrame]:
    """The frames that can be sampled from `clip`, without those that `bad` takes."""
    for frame in clip.window(data.temporal_context):
        try:
            inspect_image(frame.image)
            label = None if frame.label is None else _file(frame.label, data)
            yield StoredFrame(frame.number, _file(frame.image, data), label)
        except BadFileError as error:
            bad.take(error)


def _file(source: str | FilePart, data: DataConfig) -> StoredFile:
    """Named relative to the folder of the data set, so that the result does not depend on where that lies."""
    name = source.name if isinstance(source, FilePart) else source
    if name is source and Path(name).is_relative_to(data.data_dir):
        name = Path(name).relative_to(data.data_dir).as_posix()
    return StoredFile(name, read_bytes(source))


def _summary(split: str, clips: Sequence[dict], shards: dict[str, int]) -> str:
    images = [frame["image"] for clip in clips for frame in clip["frames"]]
    once = {image["name"]: image["length"] for image in images}
    again = sum(image["length"] for image in images) - sum(once.values())
    return (
        f"{split}: {len(clips)} clips, {len(images)} frames, {sum(shards.values()) / 1e6:.1f} MB in "
        f"{len(shards)} shards; {again / 1e6:.1f} MB of them are frames that an earlier clip has too"
    )


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments), interrupted="interrupted; the same command starts over")


def _main(arguments: list[str] | None) -> None:
    options = command.Options("taf_keras.pack", __doc__)
    # Synthetic clips are no files. A packed set may be packed again, with a smaller temporal context.
    sources = [name for name in DATASETS if name != "synthetic"]
    add_data_options(
        options,
        *("dataset", "data_dir", "temporal_context", "on_bad_file", "allow_outside_files"),
        dataset={"choices": sources, "metavar": None, "required": True, "help": "Data set to pack."},
        data_dir={"required": True, "help": "Folder of the data set."},
        temporal_context={
            "default": TEMPORAL_CONTEXT,
            "help": "n_h, the largest offset of a partner that trainings may then sample (%(default)s)",
        },
        on_bad_file={"help": "what a bad file does: refuse, or skip, which does not pack it (refuse)"},
    )
    add = options.add_argument
    add("--output_dir", required=True, type=Path, help="folder of the packed form; new or empty")
    add("--splits", help="comma list (default: all that the data set has)")
    add("--shard_mb", type=int, default=256, help="size of a shard, 10^6 bytes (%(default)s)")
    given = options.parse_args(arguments)
    require(given.shard_mb >= 1, f"--shard_mb={given.shard_mb}: must be 1 or more")
    data = data_config(given)
    # Where there is none, the reader of train explains what is missing.
    splits = load.split_names(given.splits or None) or load.splits(data) or ("train",)
    pack(data, given.output_dir, splits, given.shard_mb * 1_000_000)


if __name__ == "__main__":
    main()
