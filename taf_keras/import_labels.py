"""Turns what an annotation tool exports, and the video it was labelled on, into a data set that trains.

    python -m taf_keras.import_labels export.zip --video=street.mp4 --output_dir=my_data
    python -m taf_keras.import_labels masks/ --frames=stills/ --classes=classes.txt --output_dir=my_data

EXPORT is the folder, ZIP, JSON or XML as the tool writes it: CVAT (Segmentation mask 1.1, COCO 1.0, CVAT for
images or video 1.1, CamVid 1.0), LabelMe, Label Studio, Roboflow's semantic masks, Supervisely, COCO, Pascal
VOC's masks, or plain masks: PNG files of ids, of colours, or of 0 and 255.

The name of a labelled image tells the frame: VIDEO_NNNNNN, as `taf_keras.label` names stills, where VIDEO is
the name of the video's file and NNNNNN counts its frames from 0. Of one video, frame_NNNNNN or NNNNNN is
enough. Images that the export or --frames has are looked for in the video: one that is elsewhere is named.

my_data gets the frames within --temporal_context of each labelled one, label maps, classes.json, train.csv
and, apart from it in time, val.csv. Pixels without a label are void, or with --background=NAME a class. The
objects of a class become one area; attributes, tags, points and lines are not used.
The same command goes on where a killed one stopped, and a further export is added: classes keep their ids.
Exit code: 0; 1 where labels were left out, which are named; 2 nothing could be done.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from taf_keras import command
from taf_keras.annotation.footage import Footage, FrameFolder, VideoFile
from taf_keras.annotation.frame_names import Place, frames_in, read_index
from taf_keras.annotation.import_report import class_lines, commands, split_lines
from taf_keras.annotation.new_data_set import Settings, make_data_set
from taf_keras.clips.hold_out import SHARE
from taf_keras.config import TEMPORAL_CONTEXT
from taf_keras.errors import UserError, require
from taf_keras.label_formats.class_files import FORM, read_class_file
from taf_keras.label_formats.detect import FORMATS, detected, read_export
from taf_keras.label_formats.open_export import opened
from taf_keras.label_formats.pictures import composed
from taf_keras.sizes import size_option
from taf_keras.video.quiet import quiet_decoders


def main(arguments: list[str] | None = None) -> None:
    quiet_decoders()
    command.run(lambda: _main(arguments), interrupted="interrupted; the same command goes on")


def _main(arguments: list[str] | None) -> int:
    options = _options(arguments)
    videos, stills = _footage(options)
    table = read_class_file(options.classes) if options.classes else None
    settings = Settings(options.temporal_context, options.image_size, options.val_share, options.background)
    with opened(options.export) as place:
        kind = detected(place) if options.format == "auto" else options.format
        print(f"{options.export}: {FORMATS[kind]}")
        export = read_export(place, kind, table)
        print(f"{len(export.images)} labelled images, classes {', '.join(export.classes)}")
        for what, count in export.said.items():
            print(f"{count} × {what}")
        index = _index(options)
        made = make_data_set(export, videos, index, stills, table, options.output_dir, settings)
    print("\n".join([*made.notes, *split_lines(made), "", *class_lines(made), ""]))
    for error in made.left_out:
        print(f"left out: {error}", file=sys.stderr)
    if made.left_out:
        print(f"labels left out: {len(made.left_out)}, named above", file=sys.stderr)
    labelled = {video for video, _ in made.pixels}
    first = next(footage for name, footage in videos.items() if name in labelled)
    size = options.image_size or first.size
    print("\n".join(commands(options.output_dir, size, made.reach, first.source)))
    return 1 if made.left_out else 0


def _footage(options: Namespace) -> tuple[dict[str, Footage], dict[Place, Path]]:
    """The videos by their names, and images that can be compared with them."""
    folders = frames_in(options.frames) if options.frames else {}
    if not options.video:
        # `predict` takes a folder of images, and does not search those below it
        folder_of = {name: next(iter(files.values())).parent for name, files in folders.items()}
        return {name: FrameFolder(name, folder_of[name], files) for name, files in folders.items()}, {}
    videos: dict[str, Footage] = {}
    for path in options.video:
        if path.stem in videos:
            raise UserError(f"--video={path}: {videos[path.stem].source} has the same name: rename one")
        videos[path.stem] = VideoFile(path.stem, path)
        videos[path.stem].size  # noqa: B018, a file that is no video is refused at once
    named = {composed(name): name for name in videos}
    found = ((named.get(composed(video)), files) for video, files in folders.items())
    stills = {(video, n): path for video, files in found if video for n, path in files.items()}
    if folders and not stills:
        raise UserError(f"--frames={options.frames}: none of its images is named after {' or '.join(videos)}")
    return videos, stills


def _index(options: Namespace) -> dict[str, Place]:
    """index.csv of `taf_keras.label`, where it lies in the export or with the frames."""
    places = [options.export, *([options.frames, options.frames.parent] if options.frames else [])]
    path = next((place / "index.csv" for place in places if (place / "index.csv").is_file()), None)
    return read_index(path) if path else {}


def _options(arguments: list[str] | None) -> Namespace:
    usage = "%(prog)s EXPORT --video=FILE|--frames=FOLDER --output_dir=FOLDER [options]"
    parser = command.Options("taf_keras.import_labels", __doc__, usage=usage)
    add = parser.add_argument
    add("export", type=Path, metavar="EXPORT", help="folder, .zip, .json or .xml of the annotation tool")
    add("--video", type=Path, action="append", metavar="FILE", help="labelled video; repeat for several")
    frames = (
        "images VIDEO_NNNNNN or VIDEO/NNNNNN: the frames, without --video; with it, stills to compare with it"
    )
    add("--frames", type=Path, metavar="FOLDER", help=frames)
    add("--output_dir", type=Path, required=True, metavar="FOLDER", help="of the data set")
    add(
        "--temporal_context",
        type=int,
        default=TEMPORAL_CONTEXT,
        help="frames on each side, >= 0 (%(default)s)",
    )
    add("--image_size", help="HEIGHTxWIDTH of frames and labels, px (the video's own)")
    formats = f"of the export: auto, {', '.join(FORMATS)} (%(default)s)"
    add("--format", default="auto", choices=("auto", *FORMATS), metavar="FORMAT", help=formats)
    add(
        "--val_share", type=float, default=SHARE, help="of the labels, for validation, 0 to 0.9 (%(default)s)"
    )
    classes = f"classes.json, or text with {FORM}; classes that it lacks become void"
    add("--classes", type=Path, metavar="FILE", help=classes)
    add("--background", metavar="NAME", help="class of pixels without a label (they are void)")
    options = parser.parse_args(arguments)
    require(options.video or options.frames, "give --video=FILE, or --frames=FOLDER with the frames")
    context, share = options.temporal_context, options.val_share
    require(0 <= context <= 10_000, f"--temporal_context={context}: must be from 0 to 10000")
    require(0 <= share <= 0.9, f"--val_share={share}: must be from 0 to 0.9")
    require(
        options.background is None or options.background.strip(), "--background: give the name of a class"
    )
    if options.frames is not None:
        require(options.frames.is_dir(), f"--frames={options.frames}: is no folder")
    options.image_size = size_option("image_size", options.image_size, parser.error)
    return options


if __name__ == "__main__":
    main()
