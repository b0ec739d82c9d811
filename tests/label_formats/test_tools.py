"""The export of each tool gives the label maps that were drawn in it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tool_exports as tools
from tool_exports import CLASSES, UNLABELLED, car_mask, compressed, label, still, uncompressed

from taf_keras import import_labels
from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.datasets import manifest
from taf_keras.label_formats.class_files import read_class_file
from taf_keras.label_formats.detect import detected, read_export
from taf_keras.label_formats.export import Export

NUMBERS = (3, 20, 31)


def read(place: Path, kind: str | None = None, classes: Path | None = None) -> Export:
    found = detected(place)
    assert kind in (None, found)
    return read_export(place, found, read_class_file(classes) if classes else None)


def maps(export: Export) -> dict[str, np.ndarray]:
    """Name without folder and suffix -> label map."""
    assert not export.left_out
    read = {Path(image.name).stem.partition("_png.rf")[0]: image.read() for image in export.images}
    return dict(sorted(read.items()))


def assert_drawn(export: Export, hole: bool = False) -> None:
    assert list(export.classes) == list(CLASSES)
    found = maps(export)
    assert list(found) == [still(number) for number in NUMBERS]
    for number in NUMBERS:
        np.testing.assert_array_equal(found[still(number)], label(number, hole))


@pytest.mark.parametrize(
    ("kind", "write", "hole"),
    [
        ("cvat_mask", tools.cvat_masks, False),
        ("camvid", tools.camvid, False),
        ("cvat_xml", tools.cvat_xml, False),
        ("cvat_xml", lambda folder, numbers: tools.cvat_xml(folder, numbers, masks=True), True),
        ("coco", tools.coco, False),
        ("coco", lambda folder, numbers: tools.coco(folder, numbers, uncompressed), True),
        ("coco", lambda folder, numbers: tools.coco(folder, numbers, compressed), True),
        ("labelme", tools.labelme, False),
        ("roboflow", tools.roboflow, False),
        ("supervisely", tools.supervisely, True),
    ],
)
def test_label_maps_are_what_was_drawn(tmp_path, kind, write, hole):
    write(tmp_path, NUMBERS)
    assert_drawn(read(tmp_path, kind), hole)


def test_a_file_is_read_as_its_folder_is(tmp_path):
    assert_drawn(read(tools.cvat_xml(tmp_path / "a", NUMBERS)))
    assert_drawn(read(tools.coco(tmp_path / "b", NUMBERS)))


def test_tracks_of_a_video_label_its_frames(tmp_path):
    export = read(tools.cvat_video_xml(tmp_path, NUMBERS), "cvat_xml")
    assert [image.name for image in export.images] == [f"frame_{number:06d}" for number in NUMBERS]
    for image, number in zip(export.images, NUMBERS, strict=True):
        np.testing.assert_array_equal(image.read(), label(number))


def test_the_indices_of_a_palette_are_classes_of_which_background_is_one(tmp_path):
    export = read(tools.voc(tmp_path, NUMBERS), "voc")
    assert list(export.classes) == ["_background_", *CLASSES]
    for number, found in zip(NUMBERS, maps(export).values(), strict=True):
        np.testing.assert_array_equal(found, np.where(label(number) == UNLABELLED, 0, label(number) + 1))


def test_ids_are_explained_by_a_list_of_classes(tmp_path):
    (tmp_path / "classes.txt").write_text("road:1,2,3\ncar\n")
    export = read(tools.plain(tmp_path / "masks", NUMBERS), "plain", tmp_path / "classes.txt")
    assert export.classes["road"] == (1, 2, 3)
    for number, found in zip(NUMBERS, maps(export).values(), strict=True):
        np.testing.assert_array_equal(found, np.where(label(number) == UNLABELLED, VOID, label(number)))


@pytest.mark.parametrize("classes", [None, "ground\nvehicle\n"])
def test_black_and_white_are_two_classes(tmp_path, classes):
    if classes:
        (tmp_path / "classes.txt").write_text(classes)
    for number in NUMBERS:
        tools.write(tmp_path / "masks" / f"{still(number)}.png", car_mask(number).astype(np.uint8) * 255)
    export = read(tmp_path / "masks", "plain", tmp_path / "classes.txt" if classes else None)
    assert list(export.classes) == (["ground", "vehicle"] if classes else ["background", "object"])
    for number, found in zip(NUMBERS, maps(export).values(), strict=True):
        np.testing.assert_array_equal(found, car_mask(number))


@pytest.mark.parametrize("write", [tools.label_studio, tools.label_studio_png])
def test_label_studio_sorts_its_classes_and_puts_a_code_before_names(tmp_path, write):
    write(tmp_path, NUMBERS)
    export = read(tmp_path, "label_studio")
    assert list(export.classes) == ["car", "road"]
    found = maps(export)
    assert list(found) == [f"1f2e3d4c-{still(number)}" for number in NUMBERS]
    for number, ids in zip(NUMBERS, found.values(), strict=True):
        truth = label(number)
        np.testing.assert_array_equal(ids, np.where(truth == UNLABELLED, truth, 1 - truth))


def test_json_min_says_the_same(tmp_path):
    one = read(tools.label_studio(tmp_path / "a", NUMBERS), "label_studio")
    other = read(tools.label_studio(tmp_path / "b", NUMBERS, smallest=True), "label_studio")
    for name, ids in maps(one).items():
        np.testing.assert_array_equal(ids, maps(other)[name])


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("cvat_mask", tools.cvat_masks),
        ("cvat_xml", tools.cvat_xml),
        ("cvat_xml", tools.cvat_video_xml),
        ("camvid", tools.camvid),
        ("coco", tools.coco),
        ("labelme", tools.labelme),
        ("label_studio", tools.label_studio),
        ("label_studio", tools.label_studio_png),
        ("roboflow", tools.roboflow),
        ("supervisely", tools.supervisely),
        ("voc", tools.voc),
        ("plain", tools.plain),
    ],
)
def test_every_export_becomes_a_data_set(tmp_path, kind, write):
    """With a video of its name, whatever the tool puts around the names of images."""
    rng = np.random.default_rng(0)
    codec = cv2.VideoWriter_fourcc(*"MJPG")
    video = cv2.VideoWriter(str(tmp_path / "street.avi"), cv2.CAP_FFMPEG, codec, 30, tools.SIZE[::-1])
    for _ in range(40):
        video.write(rng.integers(0, 256, (*tools.SIZE, 3), np.uint8))
    video.release()
    write(tmp_path / "export", NUMBERS)
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    options = [
        f"--video={tmp_path / 'street.avi'}",
        f"--output_dir={tmp_path / 'out'}",
        "--temporal_context=2",
    ]
    options += [f"--classes={tmp_path / 'classes.txt'}"] * (write is tools.plain)
    for picture in (tmp_path / "export").rglob("*.jpg"):
        picture.unlink()  # Roboflow's, which are not this video's
    import_labels.main([str(tmp_path / "export"), f"--format={kind}", *options])
    split = manifest.load_split(str(tmp_path / "out"), "train", 2)
    names = ["road", "car"]
    for clip, number in zip(split.clips, NUMBERS, strict=True):
        assert clip.key_number == number
        assert len(clip.frames) == 5
        ids = read_label(clip.key_frame.label, split.classes)
        for position, name in enumerate(names):
            found, truth = ids == split.classes.names.index(name), label(number) == position
            found[38:44, 50:58] = truth[38:44, 50:58]  # where some have a hole
            np.testing.assert_array_equal(found, truth)
