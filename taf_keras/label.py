"""Picks key frames worth labelling out of videos, as stills for an annotation tool.

    python -m taf_keras.label street.mp4 --output_dir=to_label --frames=30
    python -m taf_keras.label street.mp4 park.mp4 --output_dir=to_label --frames=60 --seconds=10-95 --every=3
    python -m taf_keras.label street.mp4 --output_dir=to_label --frames=30 --model=runs/my_model

Spread over time: the time line is cut into as many parts as frames are wanted, and one is picked in each.
Sharp: the variance of the Laplacian, compared among the frames around. Different from each other: the
distance of small grey pictures of equal mean and contrast, √(2 − 2·NCC); below 0.1 frames are alike, and of
a scene that stands still fewer are picked. Before the last fifth, which import_labels sets aside for
validation, 30 frames are left out, so that no clip for training reaches into it; of five videos or more it
sets whole ones aside.

Results: to_label/images/VIDEO_NNNNNN.png (lossless; N is the 0-based index in the video), index.csv,
contact_sheet.jpg. A second call adds other frames and changes nothing that is there.

--model picks those sharp frames on which the model is least sure (uncertainty sampling by the mean entropy of
its softmax), and writes its predictions of the new stills to prelabels/, to be corrected instead of drawn:
cvat.zip (CVAT's Segmentation mask 1.1) and coco.json (COCO, masks as RLE).

Exit code: 0 all frames are there, 1 fewer are, 2 nothing could be done, 130 interrupted.
"""

from __future__ import annotations

import re
from pathlib import Path

from taf_keras import command
from taf_keras.annotation.key_frames import pick_key_frames
from taf_keras.sizes import size_option
from taf_keras.video.quiet import quiet_decoders

_INTERRUPTED = "interrupted; the stills that were written are whole and listed, and another call adds to them"


def main(arguments: list[str] | None = None) -> None:
    quiet_decoders()
    command.run(lambda: _main(arguments), interrupted=_INTERRUPTED)


def _main(arguments: list[str] | None) -> int:
    parser = command.Options("taf_keras.label", __doc__)
    add = parser.add_argument
    add("videos", nargs="+", type=Path, metavar="VIDEO", help="video files")
    add("--output_dir", type=Path, default=Path("to_label"), help="where the stills go (%(default)s)")
    add("--frames", type=int, default=30, help="to add, >= 1; videos share them by length (%(default)s)")
    add("--seconds", default="0-", help="BEGIN-END or BEGIN-, the part of each video to pick from (all)")
    add("--every", type=int, default=1, help="look at each Nth frame, >= 1, to be quicker (%(default)s)")
    add("--size", help="HEIGHTxWIDTH of the stills, px (the video's own)")
    add("--model", type=Path, help="a run or an exported model: pick what it is least sure of, and pre-label")
    options = vars(parser.parse_args(arguments))
    for name in ("frames", "every"):
        if not 1 <= options[name] <= 100_000:
            parser.error(f"--{name}={options[name]}: must be from 1 to 100000")
    number = r"(\d+(?:\.\d+)?)"
    match = re.fullmatch(f"{number}-{number}?", options["seconds"])
    begin, end = (float(match[1]), float(match[2] or "inf")) if match else (0.0, 0.0)
    if begin >= end:
        parser.error(f"--seconds={options['seconds']}: write BEGIN-END, such as 10-95.5, or BEGIN-")
    options["seconds"] = begin, end
    options["size"] = size_option("size", options["size"], parser.error)
    return 0 if pick_key_frames(**options) else 1


if __name__ == "__main__":
    main()
