"""Predictions as annotations: the files say what the model says, and what it is least sure of is picked."""

import csv
import json
import zipfile

import cv2
import numpy as np
import pytest

from taf_keras.annotation.prelabels import (
    coco_annotations,
    labelmap,
    run_lengths,
    told_apart,
    write_prelabels,
)
from taf_keras.annotation.uncertainty import Model, labels_of_size, mean_entropy
from taf_keras.clips.clip import ClassTable
from taf_keras.clips.exported_classes import write_classes
from taf_keras.errors import UserError

CLASSES = ClassTable(("road", "car", "sky"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)))
MASKS = {
    "mixed": np.random.default_rng(0).random((7, 5)) > 0.5,
    "full": np.ones((3, 4), bool),
    "empty": np.zeros((3, 4), bool),
    "first pixel": np.eye(4, dtype=bool),
    "last pixel": np.eye(4, dtype=bool)[::-1],
    "one column": np.array([[0, 1, 0]] * 4, bool),
}


def maps(count: int = 3, size=(12, 20)) -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [(f"street_{n:06d}.png", rng.integers(0, 3, size, np.uint8)) for n in range(count)]


# --- COCO -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKS)
def test_run_lengths_tell_the_mask(name):
    mask = MASKS[name]
    lengths = run_lengths(mask)
    values = np.arange(len(lengths)) % 2 == 1
    np.testing.assert_array_equal(np.repeat(values, lengths).reshape(mask.shape, order="F"), mask)
    assert all(lengths[1:])  # no empty run but the first


@pytest.mark.parametrize("name", MASKS)
def test_pycocotools_reads_run_lengths(name):
    coco_mask = pytest.importorskip("pycocotools.mask")
    mask = MASKS[name]
    rle = coco_mask.frPyObjects({"size": list(mask.shape), "counts": run_lengths(mask)}, *mask.shape)
    np.testing.assert_array_equal(coco_mask.decode(rle), mask)


def test_an_annotation_for_each_class_that_occurs():
    labels = np.zeros((6, 8), np.uint8)
    labels[2:4, 3:7] = 2
    road, sky = coco_annotations(labels, image_id=5, first_id=10)
    assert (road["category_id"], sky["category_id"]) == (1, 3)
    assert (sky["bbox"], sky["area"], sky["image_id"], sky["id"]) == ([3, 2, 4, 2], 8, 5, 11)
    assert road["area"] == 40


def test_pycocotools_reads_the_file(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    write_prelabels(tmp_path, iter(maps()), CLASSES)
    read = coco.COCO(str(tmp_path / "coco.json"))
    assert {image["file_name"] for image in read.loadImgs(read.getImgIds())} == {name for name, _ in maps()}
    assert [category["name"] for category in read.loadCats(read.getCatIds())] == list(CLASSES.names)
    for image, (_, labels) in zip(read.loadImgs(read.getImgIds()), maps(), strict=True):
        found = np.full(labels.shape, 255)
        for annotation in read.loadAnns(read.getAnnIds(image["id"])):
            found[read.annToMask(annotation) == 1] = annotation["category_id"] - 1
        np.testing.assert_array_equal(found, labels)


# --- CVAT -------------------------------------------------------------------------------------------


def test_cvats_archive_tells_the_maps(tmp_path):
    write_prelabels(tmp_path, iter(maps()), CLASSES)
    with zipfile.ZipFile(tmp_path / "cvat.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    lines = files["labelmap.txt"].decode().splitlines()
    assert lines[:2] == ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    names = {tuple(map(int, line.split(":")[1].split(","))): line.split(":")[0] for line in lines[1:]}
    listed = files["ImageSets/Segmentation/default.txt"].decode().split()
    assert listed == [name.removesuffix(".png") for name, _ in maps()]
    for name, labels in maps():
        picture = cv2.imdecode(
            np.frombuffer(files[f"SegmentationClass/{name}"], np.uint8), cv2.IMREAD_UNCHANGED
        )
        found = [[names[tuple(pixel)] for pixel in row] for row in picture[..., ::-1].tolist()]
        assert found == [[CLASSES.names[number] for number in row] for row in labels.tolist()]
    assert {p.relative_to(tmp_path / "cvat").as_posix() for p in (tmp_path / "cvat").rglob("*.*")} == set(
        files
    )


def test_a_new_round_takes_the_place_of_the_earlier_one(tmp_path):
    write_prelabels(tmp_path, iter(maps(3)), CLASSES)
    write_prelabels(tmp_path, iter(maps(1)), CLASSES)
    with zipfile.ZipFile(tmp_path / "cvat.zip") as archive:
        assert len(archive.namelist()) == 3
    assert len(json.loads((tmp_path / "coco.json").read_text())["images"]) == 1


def test_colours_that_masks_cannot_tell_apart_are_changed():
    classes = ClassTable(("road", "car", "sky", "tree"), ((9, 9, 9), (9, 9, 9), (0, 0, 0), (1, 2, 3)))
    colours = told_apart(classes)
    assert len(set(colours)) == 4
    assert (0, 0, 0) not in colours
    assert (colours[0], colours[3]) == ((9, 9, 9), (1, 2, 3))
    background = ClassTable(("background", "car"), ((0, 0, 0), (9, 9, 9)))
    assert told_apart(background) == [(0, 0, 0), (9, 9, 9)]
    assert labelmap(background.names, background.colours).count("background") == 1


# --- Uncertainty ------------------------------------------------------------------------------------


def test_entropy_is_that_of_information_theory():
    certain = np.eye(4, dtype=np.float32)[np.zeros((2, 3), int)]
    even = np.full((2, 3, 4), 0.25, np.float32)
    coins = np.broadcast_to(np.float32([0.5, 0.5, 0, 0]), (2, 3, 4))
    assert mean_entropy(certain) == 0
    assert mean_entropy(even) == pytest.approx(1)
    assert mean_entropy(coins) == pytest.approx(0.5)  # one bit of two
    assert mean_entropy(np.concatenate([certain, even])) == pytest.approx(0.5)


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="not finite"):
        mean_entropy(np.full((2, 2, 3), np.nan, np.float32))


def test_labels_are_those_of_all_classes_enlarged_together():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), (6, 9)).astype(np.float32)
    np.testing.assert_array_equal(labels_of_size(probabilities, (6, 9)), probabilities.argmax(axis=-1))
    together = cv2.resize(probabilities.copy(), (27, 20), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(labels_of_size(probabilities, (20, 27)), together.argmax(axis=-1))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """An exported model of 16×24 px that is sure of what is bright, and calls it a car."""
    import tensorflow as tf

    class Certain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 16, 24, 3), tf.uint8, name="images")])
        def serve(self, images):
            grey = tf.reduce_mean(tf.cast(images, tf.float32), axis=-1) / 255
            probabilities = tf.nn.softmax(tf.stack([grey * 0, grey * 5, grey * 0], axis=-1))
            return {"probabilities": probabilities, "labels": tf.argmax(probabilities, -1, tf.int32)}

    module, folder = Certain(), tmp_path_factory.mktemp("run")
    tf.saved_model.save(module, str(folder / "export"), signatures=module.serve)
    values = {"names": CLASSES.names, "colours": CLASSES.colours}
    (folder / "export" / "assets.extra").mkdir()
    (folder / "export" / "assets.extra" / "classes.json").write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize("place", [".", "export"])
def test_the_model_chooses_and_labels(run_folder, tmp_path, place, capsys):
    """Seconds 2 to 4 and 6 to 8 are dark: there it knows least."""
    from taf_keras import label

    rng = np.random.default_rng(0)
    walls = cv2.resize(rng.integers(150, 256, (8, 400, 3), np.uint8), (3200, 48))
    video = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 30, (72, 48))
    for index in range(240):
        frame = walls[:, 4 * index : 4 * index + 72]
        writer.write((frame * (0.6 if index // 60 % 2 else 1)).astype(np.uint8))
    writer.release()
    folder = tmp_path / "out"
    label.main([str(video), f"--output_dir={folder}", "--frames=4", f"--model={run_folder / place}"])
    with (folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["frame"]) // 60 % 2 for row in rows) >= 3
    assert all(0 < float(row["uncertainty"]) < 1 for row in rows)
    coco = json.loads((folder / "prelabels" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [row["image"] for row in rows]
    assert {(image["height"], image["width"]) for image in coco["images"]} == {(48, 72)}
    assert {annotation["category_id"] for annotation in coco["annotations"]} == {2}
    with zipfile.ZipFile(folder / "prelabels" / "cvat.zip") as archive:
        assert sum(name.startswith("SegmentationClass/") for name in archive.namelist()) == 4
    sheet = cv2.imread(str(folder / "prelabels" / "contact_sheet.jpg"))
    assert sheet.shape == cv2.imread(str(folder / "contact_sheet.jpg")).shape
    assert "cvat.zip as CVAT's" in capsys.readouterr().out


@pytest.mark.parametrize(("kept", "expected"), [((48, 72), (48, 72)), (None, (9, 9))])
def test_an_export_alone_sees_frames_as_large_as_in_its_training(tmp_path, kept, expected):
    """Without its run; the size that the caller gives is for exports that know none."""
    (tmp_path / "saved_model.pb").touch()
    write_classes(tmp_path, ClassTable(("a",), ((0, 0, 0),)), kept)
    assert Model(tmp_path, (9, 9)).size == expected
