"""Segments images with an exported model.

    python -m taf_keras.predict --model=RUN/export IMAGE… --output_dir=predictions

IMAGE is an image file, or a folder of them; folders within a folder are not searched. Images are taken as
training takes them: 8-bit RGB or grey, turned as their Exif orientation says, without an alpha channel if
that is the same everywhere.

Each image STEM.SUFFIX has two results: STEM_labels.png (train ids, 8 bit) and STEM_overlay.png (the classes'
colours over the image). Images of several folders keep their folders below the one that all share, as in
VIDEO1/000001_labels.png. Images of one folder that differ in the suffix alone keep it: a.jpg_labels.png.
Results carry a mark: they replace nothing but earlier results, and are never taken for images.

Exit code: 0 all images are segmented, 1 some are not and are named at the end, 2 nothing could be done,
130 interrupted.
"""

from __future__ import annotations

from taf_keras import command
from taf_keras.serving.prediction import predict_files


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> int:
    parser = command.Options("taf_keras.predict", __doc__)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--model", required=True, help="folder of an exported model (MODEL_DIR/export)")
    parser.add_argument("--output_dir", default="predictions", help="where the results go (%(default)s)")
    options = parser.parse_args(arguments)
    return 0 if predict_files(options.model, options.images, options.output_dir) else 1


if __name__ == "__main__":
    main()
