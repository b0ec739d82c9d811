"""Cityscapes in its official layout (Cordts et al. 2016; 2975/500 clips with public labels, 19 classes).

data_dir/leftImg8bit_sequence/train/aachen/aachen_000000_000000_leftImg8bit.png      clips of 30 frames, 17 Hz
data_dir/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png               or key frames alone
data_dir/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png                or labelTrainIds

A name is CITY_SEQUENCE_FRAME_KIND. Cities with many short sequences have the label on frame 19 of each; in
the others a sequence holds several clips, and frames count on within it. So a key frame is what has a label.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from taf_keras.clips.bad_files import REFUSE, BadFiles
from taf_keras.clips.clip import VOID, ClassTable, Frame, Split, clips_of
from taf_keras.errors import UserError
from taf_keras.files import reads

# In the order of the train ids 0–18: id in labelIds files, colour.
_CLASSES = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic_light": (19, (250, 170, 30)),
    "traffic_sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
# All ids of labelIds files; those of no class above never count. Licence plates, −1, are 255 in 8 bits.
_OFFICIAL_IDS = (*range(34), 255)
CLASSES = ClassTable(
    names=tuple(_CLASSES),
    colours=tuple(colour for _, colour in _CLASSES.values()),
    raw_ids=dict.fromkeys(_OFFICIAL_IDS, VOID) | {raw: i for i, (raw, _) in enumerate(_CLASSES.values())},
)
TRAIN_ID_CLASSES = replace(CLASSES, raw_ids=None)  # of labelTrainIds files

_LAYOUT = (
    "Cityscapes has gtFine/SPLIT/CITY, and leftImg8bit_sequence/SPLIT/CITY or leftImg8bit/SPLIT/CITY, "
    "in --data_dir"
)
_LABELLED_SPLITS = ("train", "val")
_NAME = re.compile(r"(?P<video>(?P<city>.+)_[0-9]{6})_(?P<number>[0-9]{6})_(?P<kind>[A-Za-z0-9_]+)\.png")
_IMAGE, _LABEL_IDS, _LABEL_TRAIN_IDS = "leftImg8bit", "gtFine_labelIds", "gtFine_labelTrainIds"
_OTHER_LABELS = ("gtFine_color", "gtFine_instanceIds", "gtFine_instanceTrainIds")  # official, not needed here

_Files = dict[tuple[str, int], str]  # (video, frame number) -> path; a video is CITY_SEQUENCE


def class_table(data_dir: str) -> ClassTable:
    return CLASSES


def load_split(data_dir: str, split: str, temporal_context: int, bad: BadFiles = REFUSE) -> Split:
    """The clips around the key frames of `split`: train or val.

    The frames of a clip are those of the same sequence within `temporal_context` frames of the key frame.
    Where only `leftImg8bit` has the split, each clip is its key frame alone. Where both have it, a key
    frame comes from the sequences as its partners do, and from `leftImg8bit` if it is not among them.

    The split's class table is that of its label files: labelIds, or labelTrainIds where no labelIds exist.

    Raises: UserError for a split without public labels or a folder that is missing and, unless `bad` takes
        it, the file that has no partner, another name than Cityscapes', or train ids beside others' labelIds.
    """
    if split not in _LABELLED_SPLITS:
        raise UserError(
            f"Cityscapes has no public labels for {split}; allowed are {' and '.join(_LABELLED_SPLITS)}"
        )
    root = Path(data_dir)
    labels, classes = _labels(root / "gtFine" / split, bad)
    videos: dict[str, dict[int, Frame]] = defaultdict(dict)
    for (video, number), path in sorted(_images(root, split, labels, bad).items()):
        videos[video][number] = Frame(number, path, labels.pop((video, number), None))
    for (video, number), path in labels.items():
        bad.add(path, f"label map without its image, {video}_{number:06d}_{_IMAGE}.png")
    return Split(split, clips_of(videos, temporal_context), classes)


def splits(data_dir: str) -> tuple[str, ...]:
    """The splits whose label folders exist; never test, whose label maps are void."""
    with reads(f"--data_dir={data_dir}"):
        return tuple(name for name in _LABELLED_SPLITS if (Path(data_dir) / "gtFine" / name).is_dir())


def _labels(folder: Path, bad: BadFiles) -> tuple[_Files, ClassTable]:
    ids, train_ids, *_ = _files(folder, bad, _LABEL_IDS, _LABEL_TRAIN_IDS, *_OTHER_LABELS)
    if not ids and not train_ids:
        raise UserError(f"{folder}: holds no label maps (CITY/CITY_000000_000019_{_LABEL_IDS}.png)")
    if not ids:
        return train_ids, TRAIN_ID_CLASSES
    for key in sorted(train_ids.keys() - ids.keys()):
        bad.add(train_ids[key], f"has no {_LABEL_IDS} beside it, others of {folder} have one")
    return ids, CLASSES


def _images(root: Path, split: str, labels: _Files, bad: BadFiles) -> _Files:
    """The frames of the split. A still in `leftImg8bit` without a label map is bad; sequences have many."""
    sequences, stills = root / "leftImg8bit_sequence" / split, root / "leftImg8bit" / split
    with reads(root):
        has_stills, has_sequences = stills.is_dir(), sequences.is_dir()
    images: _Files = {}
    if has_stills or not has_sequences:
        for key, path in _files(stills, bad, _IMAGE)[0].items():
            if key in labels:
                images[key] = path
            else:
                bad.add(path, f"has no label map in {root / 'gtFine' / split}")
    if has_sequences:
        images |= _files(sequences, bad, _IMAGE)[0]
    if not images:
        raise UserError(f"{sequences if has_sequences else stills}: holds no images; {_LAYOUT}")
    return images


def _files(folder: Path, bad: BadFiles, *kinds: str) -> list[_Files]:
    """The PNG files of `folder`/CITY, of each kind; one of another kind is bad.

    Each folder is listed once and no file is touched: a split has some 90,000.
    """
    try:
        with os.scandir(folder) as entries:
            cities = sorted(entry.name for entry in entries if entry.is_dir())
        listed = [(city, sorted(os.listdir(folder / city))) for city in cities]
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; {_LAYOUT}") from None
    found: dict[str, _Files] = {kind: {} for kind in kinds}
    for city, names in listed:
        place = os.path.join(folder, city, "")
        for name in names:
            match = _NAME.fullmatch(name)
            if match and match["city"] == city and match["kind"] in found:
                found[match["kind"]][match["video"], int(match["number"])] = place + name
            elif name.lower().endswith(".png"):
                bad.add(place + name, f"a file name here is {city}_000000_000019_{kinds[0]}.png")
    return list(found.values())
