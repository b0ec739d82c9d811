"""Segments images and videos with an exported model: what `taf_keras.predict` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taf_keras.clips.exported_classes import load_classes, load_trained_size
from taf_keras.errors import UserError
from taf_keras.serving.frame_source import OWN_SIZE, FrameSource, Selection
from taf_keras.serving.image_prediction import predict_images
from taf_keras.serving.outcome import Outcome
from taf_keras.serving.result_files import image_results, prepare_folders, result_names, video_results
from taf_keras.serving.runtimes import check_export, load_predictor
from taf_keras.serving.sources import find_sources
from taf_keras.serving.video_prediction import predict_video
from taf_keras.serving.video_results import VideoResults
from taf_keras.sizes import size_text
from taf_keras.video.camera import open_camera
from taf_keras.video.pyav import INSTALL, pyav

ALL_FRAMES = Selection()
_OF_VIDEOS = ("batch_size", "every", "frames")


def predict_files(
    model: str,
    sources: Sequence[str],
    output_dir: str,
    *,
    runtime: str = "tensorflow",
    labels: str = "none",
    selection: Selection = ALL_FRAMES,
    smooth: int = 1,
) -> bool:
    """Writes the label map and the overlay of each image, and the results of each video.

    Prints what became of them: what cannot be read is named at the end.

    Args:
        model: folder of an exported model.
        sources: as `find_sources` takes them.
        output_dir: made if it does not exist.
        runtime: one of `RUNTIMES`.
        labels: which label maps of videos are written, one of `video_results.MAPS`.
        selection: of videos' frames; images have its size alone.
        smooth: how many label maps of a video vote on each pixel's class.
    Returns: whether everything could be read to its end.
    Raises: UserError, before the first file is written, for a folder without a model, a source that does
        not exist, or results that would replace each other or other files; UserError where a result
        cannot be written, or nothing can be read.
    """
    found = find_sources(sources)
    stems = [Path(output_dir) / name for name in result_names([*found.images, *found.videos])]
    image_stems, video_stems = stems[: len(found.images)], stems[len(found.images) :]
    video_stems += [Path(output_dir) / f"camera{number}" for number in found.cameras]
    if not video_stems:
        _refuse_video_options(labels, selection, smooth)
    check_export(Path(model), runtime)
    classes = load_classes(Path(model))
    prepare_folders(
        [
            *(path for stem in image_stems for path in image_results(stem)),
            *(path for stem in video_stems for path in video_results(stem, labels)),
        ]
    )
    for number in found.cameras:  # before the seconds that a runtime takes to start
        open_camera(number).release()
    predictor = load_predictor(Path(model), runtime)
    if predictor.size and selection.size in (None, OWN_SIZE):
        print(f"{model}: takes {size_text(predictor.size)} px alone, to which all is resized")
        selection = replace(selection, size=predictor.size)
    elif selection.size is None and (trained := load_trained_size(Path(model))):
        print(f"{model}: sees all as large as in its training, {size_text(trained)} px (or --size=own)")
        selection = replace(selection, trained=trained)

    outcome = Outcome()
    if found.images:
        predict_images(found.images, image_stems, predictor.labels, classes, selection, outcome)
    if video_stems and not pyav():
        print(
            "videos are written as MPEG-4 at a constant frame rate: "
            f"{INSTALL} (PyAV) writes H.264 and keeps the frames' times"
        )
    for video, stem in zip([*found.videos, *found.cameras], video_stems, strict=True):
        try:
            source = FrameSource(video, selection)
        except UserError as error:
            outcome.videos.append(str(error))
            continue
        results = VideoResults(stem, classes, labels, source.rate)
        predict_video(source, results, predictor.labels, smooth)
        outcome.written += results.written
        if damage := source.damage():
            (outcome.parts if results.written else outcome.videos).append(damage)
    return outcome.report(Path(output_dir), found.skipped)


def _refuse_video_options(labels: str, selection: Selection, smooth: int) -> None:
    """Raises: UserError for an option that has no effect on images."""
    given = {"labels": (labels, "none"), "smooth": (smooth, 1)}
    given |= {name: (getattr(selection, name), getattr(ALL_FRAMES, name)) for name in _OF_VIDEOS}
    for name, (value, default) in given.items():
        if value != default:
            raise UserError(f"--{name}={value}: is for videos and cameras, and none is given")
