"""The last lines of `taf_keras.label`: what was added, what is missing and why, and what comes next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable

from taf_keras.annotation.frame_choice import ALIKE, GAP_FRAMES
from taf_keras.annotation.label_folder import LabelFolder
from taf_keras.clips.hold_out import hold_out
from taf_keras.progress import clock


def report(videos: Iterable, folder: LabelFolder, asked: int, new: list[str], has_prelabels: bool) -> None:
    """Prints them; what is missing goes to stderr.

    Args:
        videos: of `key_frames.Video`.
        asked: how many stills should be added.
        new: the names of those that are.
    """
    for video in videos:
        if video.picked:
            seconds = [float(row["seconds"]) for row in video.picked.values()]
            times = f", from {clock(min(seconds))} to {clock(max(seconds))}"
        else:
            times = ""
        print(f"{video.name}: {len(video.picked)} of {len(video.measures)} frames picked{times}")
    stills = f"{len(folder.rows)} still{'s' * (len(folder.rows) != 1)}"
    print(f"{folder.images}: {stills}, {len(new)} of them new; {folder.sheet} shows them")
    print(_split(folder))
    if len(new) < asked:
        print(
            f"{asked - len(new)} of --frames={asked} are missing: the other frames are like these, as in a "
            f"scene that stands still (difference below {ALIKE}), blurred, too near to these in time, or in "
            f"the margin of {GAP_FRAMES} frames before the part for validation",
            file=sys.stderr,
        )
    if new:
        print("\n".join(_next(videos, folder, has_prelabels)))


def _split(folder: LabelFolder) -> str:
    keys = {video: sorted(numbers) for video, numbers in folder.frames().items()}
    train, val = (sum(map(len, side.values())) for side in hold_out(keys, gap_frames=GAP_FRAMES))
    lost = len(folder.rows) - train - val
    if not val:
        return "too few stills to set some aside for validation: five are enough"
    said = f"import_labels will train on {train} of them and validate on {val}"
    return said + (f"; {lost} between these, within {GAP_FRAMES} frames, go unused" if lost else "")


def _next(videos: Iterable, folder: LabelFolder, has_prelabels: bool) -> list[str]:
    name = shlex.quote(str(folder.images))
    turn = max(int(row["round"] or 0) for row in folder.rows.values())
    some = f" (the new ones alone: the newest files, round {turn} in {folder.index.name})" if turn > 1 else ""
    lines = [f"next: open {name}{some} in an annotation tool and label every pixel that counts"]
    if has_prelabels:
        lines.append(
            f'      upload {folder.prelabels / "cvat.zip"} as CVAT\'s "Segmentation mask 1.1", or '
            f"{folder.prelabels / 'coco.json'} as COCO 1.0, and correct that "
            f"({folder.prelabels / 'contact_sheet.jpg'} shows it)"
        )
    given = " ".join(f"--video={shlex.quote(str(video.path))}" for video in videos)
    lines.append("then: export the labels, keep the names of the stills, and run")
    lines.append(f"      python -m taf_keras.import_labels EXPORT {given} --output_dir=my_data")
    if earlier := sorted(folder.frames().keys() - {video.name for video in videos}):
        lines.append(f"      with a --video=FILE for {', '.join(earlier)} too, which earlier stills are of")
    return lines
