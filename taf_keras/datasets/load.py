"""From `--dataset` to clips: the one place that knows which data sets there are."""

from __future__ import annotations

from taf_keras import streets as synthetic
from taf_keras.clips import subset
from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import ClassTable, Split
from taf_keras.config import SPLITS, DataConfig
from taf_keras.datasets import camvid, cityscapes, class_file, manifest, packed
from taf_keras.errors import UserError, require_one_of

_READERS = {"camvid": camvid, "cityscapes": cityscapes, "manifest": manifest, "packed": packed}


def class_table(data: DataConfig) -> ClassTable:
    """The classes of the data set, without reading images or generating clips.

    Raises: UserError for a list of classes that is missing or has faults.
    """
    if data.dataset == "synthetic":
        return synthetic.CLASSES
    return _READERS[data.dataset].class_table(data.data_dir)


def load_split(data: DataConfig, split: str, on_progress=None, bad: BadFiles = REFUSE) -> Split:
    """The clips of `split`; subset and label fraction apply to `train` alone.

    Args:
        on_progress: called as on_progress(done, total) while synthetic clips are generated.
        bad: what to do with files whose names or rows cannot be used.
    Raises: UserError for folders and files that are missing or have other names than they should, and for
        training clips of one class.
    """
    if data.dataset == "synthetic":
        loaded = synthetic.load_split(_synthetic_config(data), split, data.data_dir, on_progress)
    else:
        options = {"allow_outside_files": data.allow_outside_files} if data.dataset == "manifest" else {}
        loaded = _READERS[data.dataset].load_split(
            data.data_dir, split, data.temporal_context, bad, **options
        )
    if split != "train":
        return loaded
    if len(loaded.classes) == 1:
        if data.dataset == "packed":
            (name,) = loaded.classes.names
            raise UserError(
                f"{data.data_dir}: has one class, {name}: nothing to tell apart; pack two classes or more"
            )
        raise UserError(class_file.one_class(data.data_dir, loaded.classes))
    if data.subset < 1:
        loaded = subset.keep_clips(loaded, data.subset, data.subset_seed)
    if data.label_fraction < 1:
        loaded = subset.keep_labels(loaded, data.label_fraction, data.subset_seed)
    if data.labels == "all":
        loaded = subset.label_every_frame(loaded)
    return loaded


def splits(data: DataConfig) -> tuple[str, ...]:
    """The splits that the data set has, with labels."""
    return SPLITS if data.dataset == "synthetic" else _READERS[data.dataset].splits(data.data_dir)


def split_names(listed: str | None) -> tuple[str, ...]:
    """The splits of a comma list, each once; none for no list. Raises: UserError for what is no split."""
    names = () if listed is None else tuple(dict.fromkeys(listed.split(",")))
    for name in names:
        require_one_of("splits", name, SPLITS)
    return names


def evaluation_split(data: DataConfig) -> str:
    """The split of metrics.json: `data.eval_split`, or test where the data set has it, else val.

    Where it has neither it is train, unless a list of the splits that training needs is missing.
    """
    if data.eval_split != "auto":
        return data.eval_split
    there = (*splits(data), *needed_splits(data))
    return next(name for name in ("test", "val", "train") if name in there)


def needed_splits(data: DataConfig) -> tuple[str, ...]:
    """The splits without which there is no training: of one's own clips, train alone."""
    return ("train",) if data.dataset in ("manifest", "packed") else ("train", "val")


def _synthetic_config(data: DataConfig) -> synthetic.SyntheticConfig:
    defaults = synthetic.SyntheticConfig()
    height, width = data.image_size or (defaults.height, defaults.width)
    return synthetic.SyntheticConfig(
        scene_seed=data.scene_seed,
        height=height,
        width=width,
        train_clips=data.train_clips,
        val_clips=data.val_clips,
        test_clips=data.test_clips,
        drift=data.drift,
        half_length=max(defaults.half_length, data.temporal_context),
    )
