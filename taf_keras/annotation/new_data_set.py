"""Labels and the videos they belong to -> a data set that trains.

    classes.json                names and colours; a label map holds the position of a class, or 255 for void
    labels/VIDEO/NNNNNN.png     the label maps
    frames/VIDEO/NNNNNN.jpg     the labelled frames and those around them
    train.csv, val.csv          the lists, val apart from train in time
    import.json                 the settings that all labels and frames have in common

The lists come last: what a killed run leaves is no data set yet, and the same command completes it. A second
export is added: classes keep their ids, and labels that it does not have stay as they are. A list that a user
has changed is kept as train.csv.before; frames of a user's test.csv are in no other list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taf_keras.annotation.class_merge import as_json, existing_classes, merged
from taf_keras.annotation.footage import Footage, FrameFolder
from taf_keras.annotation.frame_names import Place
from taf_keras.annotation.import_files import frame_path, label_counts, labels_there, window, write_labels
from taf_keras.annotation.import_lists import (
    divided,
    has_partners,
    listed_for_test,
    lists,
    trained_on,
    write_list,
)
from taf_keras.annotation.import_record import forget_frames, new_record, read_record, require_same
from taf_keras.annotation.labelled_frames import LabelledFrames, labelled_frames
from taf_keras.clips.clip import ClassTable
from taf_keras.clips.hold_out import Keys
from taf_keras.config import OWN_TEMPORAL_CONTEXT
from taf_keras.errors import BadFileError, UserError
from taf_keras.files import write_json, writes
from taf_keras.label_formats.export import Export
from taf_keras.sizes import Size


@dataclass(frozen=True)
class Settings:
    """How labels become a data set.

    Attributes:
        temporal_context: frames on each side of a labelled one.
        image_size: (height, width) of frames and label maps, px; None is each video's own.
        val_share: of the labelled frames, set aside for validation; 0 for none.
        background: the class of what nobody has labelled; None is void.
    """

    temporal_context: int
    image_size: Size | None
    val_share: float
    background: str | None


@dataclass(eq=False)
class NewDataSet:
    """What was made.

    Attributes:
        classes: its classes.
        pixels: labelled frames -> int64 (256,), how many pixels have each id.
        train, val: numbers of the labelled frames of each video.
        tested: how many labelled frames test.csv has, which train and val have not.
        reach: a temporal context within which labelled frames of train.csv have others, frames: the one that
            a training begins with, else that of the import; None where there is none.
        unlabelled_share: of the pixels of this export, those that nobody has labelled.
        left_out: labels that could not be used.
        notes: sentences for the user.
    """

    classes: ClassTable
    pixels: dict[Place, np.ndarray]
    train: Keys
    val: Keys
    tested: int
    reach: int | None
    unlabelled_share: float
    left_out: list[BadFileError]
    notes: list[str]


def make_data_set(
    export: Export,
    videos: Mapping[str, Footage],
    index: Mapping[str, Place],
    stills: Mapping[Place, Path],
    table: ClassTable | None,
    output_dir: Path,
    settings: Settings,
) -> NewDataSet:
    """Writes the data set, or adds to the one that is there.

    Args:
        videos: by their names.
        index: of index.csv, or empty.
        stills: images of labelled frames that lie elsewhere, to compare with the video.
        table: of `--classes`, or None.
    Raises: UserError, before anything is written, where nothing can be used or what is there would change.
    """
    before, tested = read_record(output_dir), listed_for_test(output_dir)
    classes, ids, dropped = merged(export, table, settings.background, existing_classes(output_dir))
    trained = trained_on(output_dir)
    frames = labelled_frames(export, videos, index, ids, settings.image_size)
    notes = [f"class {name}: not in --classes, void" for name in dropped]
    notes += [f"{count} × label map {what}" for what, count in frames.said.items()]
    _require_some(frames)
    for name, footage in videos.items():
        footage.offset = before.videos.get(name, {}).get("index_offset", 0)
        notes += _compare(frames, footage, stills)
    labelled = {video for video, _ in frames.maps}  # of another, no image needs to be one that can be used
    recorded = {name: footage for name, footage in videos.items() if name in labelled}
    record = new_record(settings.background, recorded, settings.image_size, before.lists)
    old = labels_there(output_dir)
    if all(place in frames.maps for place in old):  # all labels are made anew
        kept: dict[Place, np.ndarray] = {}
    else:
        require_same(before, record, output_dir)
        kept = {place: label_counts(path) for place, path in old.items()}
        _drop_other_labels(frames, old, output_dir)
        _require_some(frames)
        record.videos = before.videos | record.videos
    _require_several_classes(classes, {**kept, **frames.pixels}, settings)
    divided({**kept, **frames.pixels}, settings.val_share, settings.temporal_context, tested)

    with writes(output_dir):
        output_dir.mkdir(parents=True, exist_ok=True)
        forget_frames(before, record, output_dir)
        record.save(output_dir)
        write_json(output_dir / "classes.json", as_json(classes))
    notes += _write_frames(frames, videos, output_dir, settings, is_anew=not kept)
    write_labels(frames.maps, output_dir)
    pixels = {**kept, **frames.pixels}
    train, val = divided(pixels, settings.val_share, settings.temporal_context, tested)
    if moved := sum((video, number) in trained for video, numbers in val.items() for number in numbers):
        notes.append(
            f"{moved} × labelled frame that was for training and is for validation now: judge models trained "
            "before by other frames"
        )
    rows = lists(output_dir, train, val, settings.temporal_context, tested)
    for name in rows:
        record.lists[name], mine = write_list(output_dir / name, rows[name], record.lists.get(name))
        if mine:
            notes.append(
                f"{output_dir / name}: changed by hand, or of an older version: kept as {mine.name}, and "
                "written anew"
            )
    with writes(output_dir):
        record.save(output_dir)
    contexts = (OWN_TEMPORAL_CONTEXT, settings.temporal_context)
    reach = next((context for context in contexts if has_partners(rows["train.csv"], context)), None)
    if reach is None:
        notes.append("no frame beside a labelled one: TAF has no partners, --method=baseline trains without")
    share = frames.unlabelled / max(1, frames.total)
    for_test = len(tested & set(pixels))
    return NewDataSet(classes, pixels, train, val, for_test, reach, share, frames.left_out, notes)


def _compare(frames: LabelledFrames, footage: Footage, stills: Mapping[Place, Path]) -> list[str]:
    """Drops labels whose image is not the frame that its name tells. Returns: sentences for the user."""
    images = {n: path for (video, n), path in {**stills, **frames.pictures}.items() if video == footage.name}
    said, wrong = footage.check({n: path for n, path in images.items() if (footage.name, n) in frames.maps})
    for number, reason in wrong.items():
        frames.drop((footage.name, number), reason)
    _require_some(frames)
    return said


def _require_some(frames: LabelledFrames) -> None:
    if not frames.maps:
        first = f"; the first of {len(frames.left_out)}: {frames.left_out[0]}" if frames.left_out else ""
        raise UserError(f"no label can be used{first}")


def _require_several_classes(
    classes: ClassTable, pixels: Mapping[Place, np.ndarray], settings: Settings
) -> None:
    """Of one class alone there is nothing to learn: most often the rest is meant to be background."""
    counts = sum(pixels.values())[: len(classes)]
    present = [name for name, count in zip(classes.names, counts, strict=True) if count]
    if len(present) < 2:
        text = f"the labels show the class {present[0]} alone, and nothing to tell it from"
        if settings.background is None:
            text += ": --background=background makes a class of what nobody has labelled"
        raise UserError(text)


def _drop_other_labels(frames: LabelledFrames, old: Mapping[Place, Path], output_dir: Path) -> None:
    """A label that is there stays. The same one once more is no matter."""
    for place in sorted(set(old) & set(frames.maps)):
        if old[place].read_bytes() != frames.maps[place]:
            path = old[place].relative_to(output_dir)
            reason = f"has another label in {output_dir} already, which stays; remove {path} to replace it"
            frames.drop(place, reason)


def _write_frames(
    frames: LabelledFrames,
    videos: Mapping[str, Footage],
    output_dir: Path,
    settings: Settings,
    is_anew: bool,
) -> list[str]:
    """The frames around labels that are not there yet; labels whose own frame the video lacks are dropped.

    The images of a folder may be others than at an earlier import: all are taken again. Frames that it lacks
    go where all labels are made anew; else another folder may have brought them.

    Returns: sentences on images that cannot be used, and leave no label out.
    """
    said: list[str] = []
    for name, footage in videos.items():
        bad: dict[int, BadFileError] = {}
        is_folder = isinstance(footage, FrameFolder)
        numbers = [number for video, number in frames.maps if video == name]
        paths = {n: frame_path(output_dir, (name, n)) for n in window(numbers, settings.temporal_context)}
        targets = {n: path for n, path in paths.items() if is_folder or not path.exists()}
        if targets:
            with writes(output_dir):
                (output_dir / "frames" / name).mkdir(parents=True, exist_ok=True)
            bad = footage.write(targets, settings.image_size or footage.size)
        if is_folder and is_anew:
            with writes(output_dir):
                for number in (paths.keys() - footage.files.keys()) | bad.keys():
                    paths[number].unlink(missing_ok=True)
        for number in numbers:
            if not paths[number].exists():
                frames.drop((name, number), str(bad.pop(number, f"{footage.source} has no such frame")))
        for number, error in bad.items():
            stays = paths[number].exists()
            said.append(f"frame {'of an earlier import stays' if stays else 'left out'}: {error}")
    _require_some(frames)
    return said
