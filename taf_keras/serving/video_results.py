"""What is written of one video: the overlay, the classes' shares, and label maps where they are wanted."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import resized_ids
from taf_keras.errors import UserError
from taf_keras.files import writes
from taf_keras.serving.overlay import Overlay
from taf_keras.serving.result_files import (
    ARCHIVE_MARK,
    SHARE,
    label_folder,
    remove_labels,
    video_results,
    write_result,
)
from taf_keras.video.frames import Decoded
from taf_keras.video.write import VideoWriter

MAPS = ("none", "png", "npz")


class VideoResults:
    """The files STEM_overlay.mp4, STEM_classes.csv, and STEM_labels/NNNNNN.png or STEM_labels.npz.

    A context: at its end, also where it is interrupted, the files get their names, with the frames that were
    written. Without any frame there is no file.

    Args:
        stem: the output folder and the video's name.
        labels: one of MAPS.
        rate: of `VideoWriter`.
    Attributes:
        frames: how many are written.
        written: the files, once they are whole.
    Raises: UserError where a file cannot be written.
    """

    def __init__(self, stem: Path, classes: ClassTable, labels: str, rate: float):
        self.stem, self.classes, self.labels = stem, classes, labels
        self.frames, self.written = 0, []
        # Hidden, and with their suffixes, by which writers know the format.
        files = video_results(stem, "npz" if labels == "npz" else "none")
        self.files = {path.with_name(f".unfinished.{path.name}"): path for path in files}
        video, table, *archive = self.files
        self._overlay = Overlay(classes, bgr=True)
        self._video = VideoWriter(video, rate)
        with writes(stem.parent):
            self._table = table.open("w", encoding="utf-8", newline="")
            self._rows = csv.writer(self._table, lineterminator="\n")
            self._rows.writerow(["frame", "seconds", *(SHARE + name for name in classes.names)])
            self._archive = zipfile.ZipFile(archive[0], "w", zipfile.ZIP_DEFLATED) if archive else None
            if self._archive:
                self._archive.comment = ARCHIVE_MARK
            if labels == "png":
                label_folder(stem).mkdir(exist_ok=True)

    def __enter__(self) -> VideoResults:
        return self

    def write(self, frames: Sequence[Decoded], labels: Sequence[np.ndarray]) -> None:
        """Appends frames with their train ids, uint8 of any size, which become the frames' own."""
        with writes(self.stem.with_name(f"{self.stem.name}_overlay.mp4"), cv2.error):
            for frame, own in zip(frames, labels, strict=True):
                self._write(frame, own)
                self.frames += 1

    def _write(self, frame: Decoded, labels: np.ndarray) -> None:
        counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()
        shares = counts[: len(self.classes)] / labels.size
        labels = resized_ids(labels, frame.image.shape[:2])
        self._video.write(self._overlay(frame.image, labels), frame.time_ms)
        self._rows.writerow([frame.index, f"{frame.time_ms / 1000:.6f}", *(f"{s:.6f}" for s in shares)])
        if self.labels == "png":
            write_result(path := label_folder(self.stem) / f"{frame.index:06d}.png", labels)
            self.written.append(path)
        if self._archive:
            with self._archive.open(f"{frame.index:06d}.npy", "w") as file:
                np.lib.format.write_array(file, labels)

    def summary(self) -> str:
        """For the terminal: what is written."""
        video = next(iter(self.files.values()))
        return f"{video} holds the first {self.frames} frames" if self.frames else "nothing was written"

    def __exit__(self, kind, error, trace) -> None:
        try:
            with writes(self.stem.parent):
                self._close()
        except UserError:
            if error is None:  # which may be the same full disk
                raise

    def _close(self) -> None:
        try:
            self._table.close()
            if self._archive:
                self._archive.close()
            self._video.close()
            if self.frames:
                for unfinished, path in self.files.items():
                    os.replace(unfinished, path)
                self.written += list(self.files.values())[::-1]
                remove_labels(self.stem, self.written)
        finally:
            for unfinished in self.files:
                unfinished.unlink(missing_ok=True)
