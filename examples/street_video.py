"""A small video to try the commands on, and labels of its frames as CVAT exports them.

    python examples/street_video.py street.mp4                                  20 seconds, 128×96 px
    python examples/street_video.py cvat.zip --frames=to_label/images           "Segmentation mask 1.1"

They stand in for your camera and for your annotation tool (docs/own_video.md). The street is a scene of the
project's synthetic clips, and so are its labels.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that a checkout need not be installed

import cv2
import numpy as np

from taf_keras.evaluation.pictures import colourise
from taf_keras.streets.config import CLASSES, SyntheticConfig
from taf_keras.streets.generate import make_clip

SCENE = SyntheticConfig(half_length=99, max_speed_m=0.6, still_share=0.0, drift=0.3)
FRAMES_PER_SECOND = 10


def write_video(path: Path, images: np.ndarray) -> None:
    size = images.shape[2], images.shape[1]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FRAMES_PER_SECOND, size)
    for image in images:
        video.write(image[..., ::-1])  # OpenCV has BGR
    video.release()


def write_cvat(path: Path, labels: np.ndarray, frames: list[str]) -> None:
    """The label maps of stills, in the colours of labelmap.txt."""
    rows = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(CLASSES.names, CLASSES.colours, strict=True)]
    with zipfile.ZipFile(path, "w") as export:
        export.writestr("labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *rows, ""]))
        export.writestr("ImageSets/Segmentation/default.txt", "\n".join([*frames, ""]))
        for name in frames:
            label = colourise(labels[int(name.rpartition("_")[2])], CLASSES)
            data = io.BytesIO(cv2.imencode(".png", label[..., ::-1])[1])
            export.writestr(f"SegmentationClass/{name}.png", data.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="the video (.mp4), or with --frames the labels (.zip)")
    parser.add_argument("--frames", type=Path, help="folder of stills of the video, VIDEO_NUMBER.png")
    options = parser.parse_args()
    images, labels = make_clip(SCENE, "train", 0)
    if options.frames:
        write_cvat(options.output, labels, sorted(still.stem for still in options.frames.glob("*.png")))
    else:
        write_video(options.output, images)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
