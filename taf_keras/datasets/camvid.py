"""CamVid in SegNet's layout (Brostow et al. 2008; 367/101/233 key frames, 11 classes).

data_dir/train/0001TP_006690.png        stills; png or jpg
data_dir/trainannot/0001TP_006690.png   label ids 0–10, 11 = void; or the original maps of 32 colours,
data_dir/trainannot/0001TP_006690_L.png with which stills of 960×720 go
data_dir/frames/0001TP/006691.jpg       more frames of the raw videos, where they were extracted
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import VOID, ClassTable, Frame, Split, clips_of
from taf_keras.config import SPLITS
from taf_keras.errors import UserError
from taf_keras.files import reads

# SegNet's order of ids. For each, CamVid's classes (of its label_colors.txt) that make it up, with their
# colours; the first gives the class its colour in pictures. The grouping is SegNet's (Badrinarayanan et al.
# 2017), as published with CamVid loaders: every CamVid class that is not named here is void.
_GROUPS = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Building": (128, 0, 0),
        "Archway": (192, 0, 128),
        "Bridge": (0, 128, 64),
        "Tunnel": (64, 0, 64),
        "Wall": (64, 192, 0),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {"Road": (128, 64, 128), "LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64)},
    "pavement": {"Sidewalk": (0, 0, 192), "ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192)},
    "tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "sign_symbol": {"SignSymbol": (192, 128, 128), "Misc_Text": (128, 128, 64), "TrafficLight": (0, 64, 64)},
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128),
        "SUVPickupTruck": (64, 128, 192),
        "Truck_Bus": (192, 128, 192),
        "Train": (192, 64, 128),
        "OtherMoving": (128, 64, 64),
    },
    "pedestrian": {
        "Pedestrian": (64, 64, 0),
        "Child": (192, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Animal": (64, 128, 64),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}
_VOID_COLOUR = (0, 0, 0)
CLASSES = ClassTable(
    names=tuple(_GROUPS),
    colours=tuple(next(iter(group.values())) for group in _GROUPS.values()),
    raw_ids={i: i for i in range(len(_GROUPS))} | {len(_GROUPS): VOID},
    raw_colours={
        colour: train_id for train_id, group in enumerate(_GROUPS.values()) for colour in group.values()
    }
    | {_VOID_COLOUR: VOID},
)

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_NAME = re.compile(r"(?P<video>.+)_f?(?P<number>\d+)")


def class_table(data_dir: str) -> ClassTable:
    return CLASSES


def load_split(data_dir: str, split: str, temporal_context: int, bad: BadFiles = REFUSE) -> Split:
    """The clips around the key frames of `split`: train, val or test.

    The frames of a clip are all stills of the split, and all extracted frames, of the same video
    within `temporal_context` frames of the key frame.

    Raises: UserError naming the folder that is missing or, unless `bad` takes it, the file that has no
        partner, occurs twice or has another name than CamVid's.
    """
    root = Path(data_dir)
    images = _files(root / split)
    labels: dict[str, Path] = {}
    for path in _files(root / f"{split}annot"):
        first = labels.setdefault(path.stem.removesuffix("_L"), path)
        if first is not path:
            bad.add(path, f"label map of the same image as {first.name}")
    videos: dict[str, dict[int, Frame]] = defaultdict(dict)
    for path in images:
        label, match = labels.pop(path.stem, None), _NAME.fullmatch(path.stem)
        if not match:
            bad.add(path, "a CamVid file name is VIDEO_NUMBER, such as 0001TP_006690.png")
            continue
        video, number = match["video"], int(match["number"])
        if number in videos[video]:
            bad.add(path, f"frame {number} of video {video} occurs twice")
        elif label is None:
            bad.add(path, f"has no label map {root / f'{split}annot' / path.stem}.png")
        else:
            videos[video][number] = Frame(number, str(path), str(label))
    for path in labels.values():
        bad.add(path, f"label map without an image in {root / split}")

    for video in sorted(videos):
        videos[video] = _extracted(root / "frames" / video, bad) | videos[video]
    return Split(split, clips_of(dict(sorted(videos.items())), temporal_context), CLASSES)


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose folders exist."""
    with reads(f"--data_dir={data_dir}"):
        return tuple(name for name in SPLITS if (Path(data_dir) / name).is_dir())


def _files(folder: Path) -> list[Path]:
    if found := _image_files(folder):
        return found
    if folder.is_dir():
        raise UserError(f"{folder}: holds no images ({', '.join(_IMAGE_SUFFIXES)})")
    raise UserError(
        f"{folder}: no such folder; CamVid in SegNet's layout has train, trainannot, val, valannot, "
        "test and testannot in --data_dir"
    )


def _image_files(folder: Path) -> list[Path]:
    """Those of a folder that is not there are none."""
    with reads(folder):
        files = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in files if path.suffix.lower() in _IMAGE_SUFFIXES)


def _extracted(folder: Path, bad: BadFiles) -> dict[int, Frame]:
    frames: dict[int, Frame] = {}
    for path in _image_files(folder):
        if not path.stem.isdecimal():
            bad.add(path, "the name of an extracted frame is its number, such as 006691.jpg")
        elif (number := int(path.stem)) in frames:
            bad.add(path, f"frame {number} occurs twice")
        else:
            frames[number] = Frame(number, str(path))
    return frames
