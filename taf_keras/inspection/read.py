"""A split of your own clips, checked, for the library's users."""

from __future__ import annotations

from taf_keras.clips.clip import Split
from taf_keras.config import OWN_TEMPORAL_CONTEXT, DataConfig
from taf_keras.inspection.check import load_checked
from taf_keras.inspection.partner_reach import partners_within


def read_manifest(
    folder: str,
    split: str,
    temporal_context: int = OWN_TEMPORAL_CONTEXT,
    image_size: tuple[int, int] | None = None,
    allow_outside_files: bool = False,
) -> Split:
    """The clips of folder/SPLIT.csv, one around each labelled frame; folder/classes.json has their classes.

    `taf_keras.datasets.manifest` says what is in the two files. Every file is looked at now: its progress
    is shown, and warnings are printed.

    Args:
        split: `train`, `val` or `test`.
        temporal_context: frames farther from a labelled frame are left out, so that `pairs` takes partners
            up to it; the paper's reach is 15. A `train` of which no clip has another frame within it
            is refused.
        image_size: (height, width) to which frames will be resized, px: then they may have several sizes.
        allow_outside_files: the list may name files outside the folder.
    Raises: UserError that names the file, the row or the class that cannot be used.

    Example:
        >>> split = read_manifest("my_clips", "train")
        checking train files ...
        >>> split.classes.names
        ('road', 'car')
        >>> split.clips[0].offsets(3)
        (-2, -1, 0, 1, 2)
    """
    data = DataConfig(
        dataset="manifest",
        data_dir=str(folder),
        temporal_context=temporal_context,
        image_size=image_size,
        allow_outside_files=allow_outside_files,
    )
    return load_checked(data, split, partners_within(data, "taf", split))
