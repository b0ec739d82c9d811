"""From `--dataset` to clips: the one place that knows which data sets there are."""

from __future__ import annotations

from taf_keras.clips import camvid, subset, synthetic
from taf_keras.clips.clip import ClassTable, Split
from taf_keras.config import DataConfig
from taf_keras.errors import UserError


def class_table(data: DataConfig) -> ClassTable:
    """The classes of the data set, without reading or generating it."""
    return {"synthetic": synthetic.CLASSES, "camvid": camvid.CLASSES}[_known(data)]


def load_split(data: DataConfig, split: str, on_progress=None) -> Split:
    """The clips of `split`; subset and label fraction apply to `train` alone.

    Args:
        on_progress: called as on_progress(done, total) while synthetic clips are generated.
    Raises: UserError for folders and files that are missing or have other names than they should.
    """
    if _known(data) == "synthetic":
        loaded = synthetic.load_split(_synthetic_config(data), split, data.data_dir, on_progress)
    else:
        loaded = camvid.load_split(data.data_dir, split, data.temporal_context)
    if split != "train":
        return loaded
    if data.subset < 1:
        loaded = subset.keep_clips(loaded, data.subset, data.subset_seed)
    if data.label_fraction < 1:
        loaded = subset.keep_labels(loaded, data.label_fraction, data.subset_seed)
    if data.labels == "all":
        loaded = subset.label_every_frame(loaded)
    return loaded


def evaluation_split(data: DataConfig) -> str:
    """The split of metrics.json: `data.eval_split`, or test where the data set has it, else val."""
    if data.eval_split != "auto":
        return data.eval_split
    return "test" if _known(data) == "synthetic" or "test" in camvid.splits(data.data_dir) else "val"


def _known(data: DataConfig) -> str:
    if data.dataset not in ("synthetic", "camvid"):
        raise UserError(f"--dataset={data.dataset}: no reader yet; allowed are synthetic and camvid")
    return data.dataset


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
