"""One clip of each split with its labels, as a picture: `python -m taf_keras.evaluation.contact_sheet`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.config import DataConfig, require
from taf_keras.datasets.load import load_split
from taf_keras.errors import UserError
from taf_keras.evaluation.pictures import colourise
from taf_keras.video.frames import write

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
    try:
        _write_sheet(Path(options.output), options.clip)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"wrote {options.output}: offsets {', '.join(map(str, _OFFSETS))}; rows train, val, test")


def _write_sheet(output: Path, index: int) -> None:
    data = DataConfig()
    least = min(data.train_clips, data.val_clips, data.test_clips)
    require(0 <= index < least, f"--clip={index}: allowed are 0 to {least - 1}, which every split has")
    require(output.suffix in (".jpg", ".png"), f"--output={output}: must end in .jpg or .png")
    splits = [load_split(data, name) for name in ("train", "val", "test")]
    sheet = np.vstack([clip_rows(split.clips[index], split) for split in splits])
    pixels = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(output.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}") from None
    write(output, encoded.tobytes())


if __name__ == "__main__":
    main()
