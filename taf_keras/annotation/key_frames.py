"""Picks key frames of videos and adds them to a folder to label: what `taf_keras.label` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from taf_keras.annotation.contact_sheet import small, write_contact_sheet
from taf_keras.annotation.frame_choice import choose, in_margin, shares
from taf_keras.annotation.frame_measures import Measures, differences, measure, thumbnail
from taf_keras.annotation.label_folder import LabelFolder, caption, video_stems
from taf_keras.annotation.next_steps import report
from taf_keras.annotation.prelabels import write_prelabels
from taf_keras.annotation.uncertainty import Model, labels_of_size, uncertainties
from taf_keras.clips.decode import read_image
from taf_keras.clips.hold_out import LEAST
from taf_keras.config import usable_cores
from taf_keras.errors import UserError
from taf_keras.files import reads
from taf_keras.progress import Progress
from taf_keras.serving.overlay import Overlay
from taf_keras.sizes import Size
from taf_keras.video.frames import announced, image_size, save_frames

_ANOTHER = 0.3  # difference: a still does not show the frame of its number


@dataclass
class Video:
    """One video of a call.

    Attributes:
        measures, there: its frames that can be picked, and those picked in earlier calls.
        share: how many of --frames are its.
        picked: rows of the index by frame number.
    """

    path: Path
    name: str
    measures: Measures
    there: Measures
    share: int = 0
    picked: dict[int, dict] = field(default_factory=dict)


def pick_key_frames(
    videos: list[Path],
    output_dir: Path,
    frames: int = 30,
    seconds: tuple[float, float] = (0.0, float("inf")),
    every: int = 1,
    size: Size | None = None,
    model: Path | None = None,
) -> bool:
    """Adds stills of the videos to a folder, with an index and a contact sheet; see `taf_keras.label`.

    Args:
        frames: how many are added, in all.
        seconds: [begin, end) of the part of each video that is looked at.
        every: each Nth frame is looked at.
        size: (height, width) of the stills, px; None is the video's own.
        model: a run, or an exported model, whose least sure frames are picked, with its predictions.
    Returns: whether that many have been added.
    Raises: UserError for input that cannot be used, before a still is written.
    """
    paths = video_stems(videos)
    for path in paths.values():  # before the seconds that a model takes to load
        with reads(path), path.open("rb"):
            announced(path)
    network = Model(model, size) if model else None
    folder = LabelFolder(output_dir)
    before = folder.frames()
    folder.prepare()
    if network:
        network.load()
    stills = _thumbnails(folder)
    looked = [_look(path, name, stills.get(name, {}), every, seconds) for name, path in paths.items()]
    available = sum(len(video.measures) for video in looked)
    if frames > available:
        raise UserError(f"--frames={frames}: there are {available} frames to pick from, at --every={every}")
    lengths = {v.name: float(np.ptp(v.measures.seconds)) if len(v.measures) else 0.0 for v in looked}
    for name, share in shares(frames, lengths).items():
        next(video for video in looked if video.name == name).share = share
    has_margin = len(before.keys() | paths.keys()) < LEAST
    alike = [one for known in stills.values() for one in known.values()]
    for video in looked:
        _pick(video, alike, has_margin, network, folder.round)
    lost = in_margin(before, {video.name: list(video.picked) for video in looked})
    for video in looked:
        for number in lost[video.name]:
            del video.picked[number]
    new = _write(looked, folder, size)
    if network and new:
        _prelabel(folder, new, network)
    folder.draw(set(new))
    report(looked, folder, frames, new, has_prelabels=bool(network and new))
    return len(new) == frames


def _thumbnails(folder: LabelFolder) -> dict[str, dict[int, np.ndarray]]:
    """Those of the stills that are there: video -> frame -> thumbnail."""
    found: dict[str, dict[int, np.ndarray]] = {}
    with Progress("earlier stills") as progress:
        for done, (name, row) in enumerate(folder.rows.items(), 1):
            grey = cv2.cvtColor(read_image(str(folder.path(name))), cv2.COLOR_RGB2GRAY)
            found.setdefault(row["video"], {})[int(row["frame"])] = thumbnail(grey)
            progress(done, len(folder.rows))
    return found


def _look(path: Path, name: str, stills: Mapping[int, np.ndarray], every: int, seconds) -> Video:
    with Progress(f"{name}: looking") as progress:
        video = Video(path, name, *measure(path, stills.keys(), every, seconds, progress))
    for number, seen in zip(video.there.index.tolist(), video.there.thumbnails, strict=True):
        if differences(seen[None], stills[number])[0] > _ANOTHER:
            raise UserError(
                f"{path}: frame {number} is unlike {name}_{number:06d}.png, which is of another video: "
                "rename this one, or give another --output_dir"
            )
    return video


def _pick(video: Video, alike: list[np.ndarray], has_margin: bool, network: Model | None, turn: int) -> None:
    """Sets what is picked of a video, and adds its thumbnails to `alike`."""
    measures, uncertainty = video.measures, np.full(len(video.measures), np.nan)

    def ask(wanted: np.ndarray) -> np.ndarray:
        nonlocal uncertainty
        with Progress(f"{video.name}: asking the model") as progress:
            uncertainty = uncertainties(video.path, measures.index, wanted, network, progress)
        return uncertainty

    chosen = choose(
        measures,
        video.share,
        video.there,
        np.array(alike, np.float32),
        has_margin,
        ask if network else None,
    )
    for i, difference in chosen:
        number = int(measures.index[i])
        video.picked[number] = {
            "image": f"{video.name}_{number:06d}.png",
            "video": video.name,
            "frame": number,
            "seconds": f"{measures.seconds[i]:.3f}",
            "sharpness": f"{measures.sharpness[i]:.1f}",
            "difference": _number(difference, 3),
            "uncertainty": _number(uncertainty[i], 4),
            "round": str(turn),
        }
        alike.append(measures.thumbnails[i])


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _write(looked: list[Video], folder: LabelFolder, size: Size | None) -> list[str]:
    """Writes stills and lists those that are written, when it is interrupted too. Returns: their names."""
    rows = [video.picked[number] for video in looked for number in sorted(video.picked)]
    try:
        for video in looked:
            if video.picked:
                targets = {number: folder.path(row["image"]) for number, row in video.picked.items()}
                with Progress(f"{video.name}: writing") as progress:
                    save_frames(
                        video.path, targets, size or image_size(video.path), 100, usable_cores(), progress
                    )
    finally:
        new = folder.add(rows)
    return new


def _prelabel(folder: LabelFolder, names: list[str], network: Model) -> None:
    """Writes the model's predictions of stills, and a contact sheet that shows them."""
    overlay, painted = Overlay(network.classes), []
    with Progress("pre-labels") as progress:

        def maps():
            for done, name in enumerate(names, 1):
                image = read_image(str(folder.path(name)))
                labels = labels_of_size(network.probabilities(image), image.shape[:2])
                painted.append((small(overlay(image, labels)), caption(folder.rows[name]), False))
                yield name, labels
                progress(done, len(names))

        write_prelabels(folder.prelabels, maps(), network.classes)
    write_contact_sheet(folder.prelabels / "contact_sheet.jpg", painted, len(painted))
