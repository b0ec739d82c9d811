"""Segments images and videos with an exported model.

    python -m taf_keras.predict --model=RUN/export SOURCE… --output_dir=predictions

SOURCE is an image or a video, a folder of them (folders within it are not searched), a pattern such as
'*.mp4', or the number of a camera, 0 for the first. Images are taken as training takes them: 8-bit RGB or
grey, turned as their Exif orientation says, without an alpha channel if that is the same everywhere. Videos
are turned as they say, and deinterlaced where PyAV is installed (pip install av).

Each image STEM.SUFFIX has two results: STEM_labels.png (train ids, 8 bit) and STEM_overlay.png (the classes'
colours over the image). Each video has these, all of the video's size:

    STEM_overlay.mp4        H.264 with the frames' times, also where their rate varies; without PyAV MPEG-4 at
                            a constant rate. Without sound; odd sides get one more row or column
    STEM_classes.csv        frame,seconds,share of CLASS,…: the frame's number, from 0, its time, and the
                            share of its pixels, 0–1, of each class
    STEM_labels/NNNNNN.png  the label map of each frame, on request (--labels=png)
    STEM_labels.npz         the same in one file (--labels=npz): numpy.load(FILE)["000012"] is frame 12

A camera has the results camera0_overlay.mp4, …, of what it sees until Ctrl-C, or for --frames.

Results of several folders keep their folders below the one that all share, as in VIDEO1/000001_labels.png.
Files of one folder that differ in the suffix alone keep it: a.jpg_labels.png. Results carry a mark: they
replace nothing but earlier results, and are never taken for images or videos. A video has those of its last
prediction alone: earlier label maps go.

Exit code: 0 all is segmented, 1 something is not, or not to its end, and is named, 2 nothing could be done,
130 interrupted: what was written until then stays, and plays.
"""

from __future__ import annotations

from taf_keras import command
from taf_keras.serving.frame_source import OWN_SIZE, Selection
from taf_keras.serving.prediction import predict_files
from taf_keras.serving.runtimes import RUNTIMES
from taf_keras.serving.video_results import MAPS
from taf_keras.sizes import size_option
from taf_keras.video.quiet import quiet_decoders


def main(arguments: list[str] | None = None) -> None:
    quiet_decoders()
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> int:
    parser = command.Options("taf_keras.predict", __doc__)
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="images, videos, folders, patterns, a camera's number")
    add("--model", required=True, help="folder of an exported model (MODEL_DIR/export)")
    add("--output_dir", default="predictions", help="where the results go (%(default)s)")
    add(
        "--runtime",
        choices=RUNTIMES,
        default="tensorflow",
        help="what runs the model: tensorflow its SavedModel, onnx its model.onnx, litert its model.tflite, "
        "litert_int8 its model_int8.tflite, which train.py --export_formats=onnx,litert,litert_int8 writes "
        "(%(default)s)",
    )
    add(
        "--size",
        help="HEIGHTxWIDTH at which the network sees images and frames, px, or own for their own "
        "(that of the training, as far as their aspect ratio allows)",
    )
    add = parser.add_argument_group("videos and cameras").add_argument
    add(
        "--labels",
        choices=MAPS,
        default="none",
        help="label maps of the frames: a PNG for each, or one .npz (%(default)s)",
    )
    add("--batch_size", type=int, default=1, help="frames that the network sees at once, >= 1 (%(default)s)")
    add("--every", type=int, default=1, help="segment only each Nth frame, >= 1 (%(default)s)")
    add("--frames", type=int, help="end after so many segmented frames, >= 1 (all)")
    add(
        "--smooth",
        type=int,
        default=1,
        help="give each pixel the most frequent class of the last N label maps, of equally frequent ones the "
        "latest, 1-99: a video gets calmer, and what moves lags behind. The model itself sees single frames "
        "(%(default)s: off)",
    )
    options = parser.parse_args(arguments)
    for name, highest in (("batch_size", 1000), ("every", 100_000), ("frames", 10**9), ("smooth", 99)):
        value = getattr(options, name)
        if value is not None and not 1 <= value <= highest:
            parser.error(f"--{name}={value}: must be from 1 to {highest}")
    own = options.size == OWN_SIZE
    size = OWN_SIZE if own else size_option("size", options.size, parser.error)
    selection = Selection(options.batch_size, options.every, options.frames, size)
    done = predict_files(
        options.model,
        options.sources,
        options.output_dir,
        runtime=options.runtime,
        labels=options.labels,
        selection=selection,
        smooth=options.smooth,
    )
    return 0 if done else 1


if __name__ == "__main__":
    main()
