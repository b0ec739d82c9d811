"""CamVid in SegNet's layout (Brostow et al. 2008; 367/101/233 key frames, 11 classes).

data_dir/train/0001TP_006690.png        stills; png or jpg
data_dir/trainannot/0001TP_006690.png   label ids 0–10, 11 = void
data_dir/frames/0001TP/006691.jpg       more frames of the raw videos, where they were extracted
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.errors import UserError

# SegNet's order of ids and CamVid's colours of the classes.
_COLOURS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign_symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CLASSES = ClassTable(
    names=tuple(_COLOURS),
    colours=tuple(_COLOURS.values()),
    raw_ids={i: i for i in range(len(_COLOURS))} | {len(_COLOURS): VOID},
)

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_NAME = re.compile(r"(?P<video>.+)_f?(?P<number>\d+)")


def load_split(data_dir: str, split: str, temporal_context: int) -> Split:
    """The clips around the key frames of `split`: train, val or test.

    The frames of a clip are all stills of the split, and all extracted frames, of the same video
    within `temporal_context` frames of the key frame.

    Raises: UserError naming the folder or file that is missing or has another name than CamVid's.
    """
    root = Path(data_dir)
    images = _files(root / split)
    labels = {path.stem: path for path in _files(root / f"{split}annot")}
    videos: dict[str, dict[int, Frame]] = defaultdict(dict)
    for path in images:
        video, number = _parse(path)
        if path.stem not in labels:
            raise UserError(f"{path}: has no label map {root / f'{split}annot' / path.stem}.png")
        if number in videos[video]:
            raise UserError(f"{path}: frame {number} of video {video} occurs twice")
        videos[video][number] = Frame(number, str(path), str(labels.pop(path.stem)))
    if labels:
        raise UserError(f"{next(iter(labels.values()))}: label map without an image in {root / split}")

    clips = []
    for video, stills in sorted(videos.items()):
        frames = _extracted(root / "frames" / video) | stills
        numbers = sorted(frames)
        for key in sorted(stills):
            window = tuple(frames[n] for n in numbers if abs(n - key) <= temporal_context)
            clips.append(Clip(f"{video}_{key:06d}", window, key))
    return Split(split, tuple(clips), CLASSES)


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose folders exist."""
    return tuple(name for name in ("train", "val", "test") if (Path(data_dir) / name).is_dir())


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; CamVid in SegNet's layout has train, trainannot, val, valannot, "
            "test and testannot in --data_dir"
        )
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{folder}: holds no images ({', '.join(_IMAGE_SUFFIXES)})")
    return found


def _parse(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.stem)
    if not match:
        raise UserError(f"{path}: a CamVid file name is VIDEO_NUMBER, such as 0001TP_006690.png")
    return match["video"], int(match["number"])


def _extracted(folder: Path) -> dict[int, Frame]:
    if not folder.is_dir():
        return {}
    paths = (path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    return {int(path.stem): Frame(int(path.stem), str(path)) for path in paths if path.stem.isdigit()}
