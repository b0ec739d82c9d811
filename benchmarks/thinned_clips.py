"""Faster motion from the same clips: a manifest that keeps every s-th frame, and counts those.

    python -m benchmarks.thinned_clips --data_dir=CLIPS --every=2 --output_dir=CLIPS_2

Of each training clip the frames stay that lie a multiple of s from its labelled frame (from the middle one,
where it has several), and are numbered anew, so that an offset of 1, and c_i, mean s frames of the source.
val.csv, test.csv and classes.json stay as they are. The lists name the images where they lie: they need
--allow_outside_files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd

from taf_keras import command
from taf_keras.errors import UserError, require
from taf_keras.files import writes

_PATHS = ["image", "label"]


def thin(frames: pd.DataFrame, every: int) -> pd.DataFrame:
    """Every `every`-th frame of each clip, its middle labelled frame among them, with its new number.

    Args:
        frames: the rows of a manifest's list, each with `clip`, `frame` and `label` ("": none).
    Raises: UserError for a clip of which no frame is labelled.
    """
    kept = []
    for name, clip in frames.groupby("clip", sort=False):
        keys = clip.frame[clip.label != ""].sort_values()
        require(len(keys) > 0, f"clip {name}: has no labelled frame; each clip needs one")
        numbers = clip.frame - int(keys.iloc[len(keys) // 2]) % every
        kept.append(clip.assign(frame=numbers // every)[numbers % every == 0])
    return pd.concat(kept)


def write(source: Path, every: int, target: Path) -> None:
    """Writes the thinned training list, and the other lists of `source`, to the new folder `target`.

    Raises: UserError for a list that is missing or has a clip without labels, and a folder that is there.
    """
    lists = {name: _read(source / f"{name}.csv") for name in ("train", "val", "test")}
    thinned = thin(lists.pop("train"), every)
    with writes(target):
        target.mkdir(parents=True)
        for name, rows in {"train": thinned, **lists}.items():
            paths = {path for column in _PATHS for path in rows[column]}
            there = {path: os.path.relpath(source / path, target) for path in paths}
            there[""] = ""
            rows.assign(**{c: rows[c].map(there) for c in _PATHS}).to_csv(target / f"{name}.csv", index=False)
        shutil.copy(source / "classes.json", target)
    print(f"wrote   {len(thinned)} frames of {thinned['clip'].nunique()} training clips to {target}")


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _main(arguments: list[str] | None) -> None:
    options = command.Options("benchmarks.thinned_clips", __doc__)
    options.add_argument("--data_dir", required=True, type=Path, help="folder with the lists of the clips")
    options.add_argument("--every", required=True, type=int, help="s: every s-th frame stays")
    options.add_argument("--output_dir", required=True, type=Path, help="new folder")
    given = options.parse_args(arguments)
    require(given.every >= 1, f"--every={given.every}: must be 1 or more")
    write(given.data_dir, given.every, given.output_dir)


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


if __name__ == "__main__":
    main()
