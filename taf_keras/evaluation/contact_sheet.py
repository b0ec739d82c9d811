"""One clip of each split with its labels, as a picture: `python -m taf_keras.evaluation.contact_sheet`."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.clips.load import load_split
from taf_keras.config import DataConfig
from taf_keras.evaluation.pictures import colourise

_OFFSETS = (-14, -7, -3, 0, 3, 7, 14)
_WIDTH_PX = 160  # of one frame


def clip_rows(clip: Clip, split: Split, offsets=_OFFSETS) -> np.ndarray:
    """Frames of one clip above their label maps, uint8 RGB; unlabelled frames have a grey one."""
    images, labels = [], []
    for n in offsets:
        frame = clip.at(n)
        image = read_image(frame.image)
        size = (_WIDTH_PX, round(_WIDTH_PX * image.shape[0] / image.shape[1]))
        images.append(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
        if frame.label is None:
            colours = np.full_like(image, 128)
        else:
            colours = colourise(read_label(frame.label, split.classes), split.classes)
        labels.append(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST))
    return np.vstack([np.hstack(images), np.hstack(labels)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="docs/clips.jpg", help="(%(default)s)")
    parser.add_argument("--clip", type=int, default=0, help="which clip of each split (%(default)s)")
    options = parser.parse_args()
    splits = [load_split(DataConfig(), name) for name in ("train", "val", "test")]
    sheet = np.vstack([clip_rows(split.clips[options.clip], split) for split in splits])
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(options.output, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"wrote {options.output}: offsets {', '.join(map(str, _OFFSETS))}; rows train, val, test")


if __name__ == "__main__":
    main()
