"""One clip of each split with its labels: `python -m docs.contact_sheet` makes docs/clips.jpg."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from taf_keras import command
from taf_keras.clips.clip import Clip, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import require
from taf_keras.evaluation.pictures import colourise
from taf_keras.files import write_bytes, writes

OFFSETS = (-14, -7, -3, 0, 3, 7, 14)  # frames from the key frame
_WIDTH_PX = 160  # of one frame


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    parser = command.Options("docs.contact_sheet", __doc__)
    parser.add_argument("--output", default="docs/clips.jpg", type=Path, help="(%(default)s)")
    parser.add_argument("--clip", type=int, default=0, help="which clip of each split (%(default)s)")
    options = parser.parse_args(arguments)
    write_sheet(options.output, DataConfig(), options.clip)
    print(f"wrote {options.output}: offsets {', '.join(map(str, OFFSETS))}; rows train, val, test")


def write_sheet(output: Path, data: DataConfig, index: int) -> None:
    """Writes the clip number `index` of each split, one below the other.

    Raises: UserError for a clip that a split lacks, and a file that is no picture or cannot be written.
    """
    least = min(data.train_clips, data.val_clips, data.test_clips)
    require(0 <= index < least, f"--clip={index}: allowed are 0 to {least - 1}, which every split has")
    require(output.suffix in (".jpg", ".png"), f"--output={output}: must end in .jpg or .png")
    splits = [load_split(data, name) for name in ("train", "val", "test")]
    sheet = np.vstack([_rows(split.clips[index], split) for split in splits])
    pixels = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85] if output.suffix == ".jpg" else []
    _, encoded = cv2.imencode(output.suffix, pixels, quality)
    with writes(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(output, encoded.tobytes())


def _rows(clip: Clip, split: Split) -> np.ndarray:
    """Frames of one clip above their label maps, uint8 RGB; unlabelled frames have a grey one."""
    images, labels = [], []
    for n in OFFSETS:
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


if __name__ == "__main__":
    main()
