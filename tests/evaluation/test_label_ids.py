from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.clips.decode import read_label
from taf_keras.config import DataConfig
from taf_keras.datasets import camvid, cityscapes
from taf_keras.datasets.load import class_table, load_split
from taf_keras.evaluation.confusion import summarise
from taf_keras.evaluation.evaluate import confusion_matrix, evaluate_split
from taf_keras.evaluation.label_ids import file_names, label_id_writer, label_ids
from taf_keras.evaluation.run import evaluate

RAW_IDS = ClassTable(("road", "sky", "car"), ((1, 0, 0), (2, 0, 0), (3, 0, 0)), {0: VOID, 7: 0, 23: 1, 26: 2})


def split_of_files(folder: Path, size=(20, 30), frames: int = 3) -> Split:
    """Frames whose red channel is 40 times the train id, with label files of raw ids."""
    rng, clips = np.random.default_rng(0), []
    raw = np.array([7, 23, 26, 0], np.uint8)
    for number in range(frames):
        ids = rng.integers(0, 4, size)
        image = np.stack([np.zeros(size), np.zeros(size), 40 * ids], axis=-1).astype(np.uint8)
        paths = [str(folder / f"{name}{number}.png") for name in ("image", "label")]
        for path, pixels in zip(paths, (image, raw[ids]), strict=True):
            assert cv2.imwrite(path, pixels)
        clips.append(Clip(f"clip{number}", (Frame(number, *paths),), number))
    return Split("val", tuple(clips), RAW_IDS)


def nearly(images) -> np.ndarray:
    """Train ids of the red channel; a third of the columns is wrong."""
    ids = np.rint(np.asarray(images)[..., 0] / 40).astype(int) % 3
    ids[:, :, ::3] = 1
    return ids


@pytest.mark.parametrize("image_size", [None, (10, 15), (13, 17)])
def test_label_maps_that_are_read_back_give_the_same_matrices(tmp_path, image_size):
    split = split_of_files(tmp_path)
    write = label_id_writer(tmp_path / "label_ids", split, split.classes)
    _, matrices = evaluate_split(nearly, split, image_size, batch_size=2, on_predictions=write)
    for clip, name, matrix in zip(split.clips, ("image0", "image1", "image2"), matrices, strict=True):
        file = tmp_path / "label_ids" / f"{name}.png"
        pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert (pixels.shape, pixels.dtype) == ((20, 30), np.uint8)
        assert set(np.unique(pixels)) <= {7, 23, 26}
        label, written = (
            read_label(source, RAW_IDS, image_size) for source in (clip.key_frame.label, str(file))
        )
        np.testing.assert_array_equal(confusion_matrix(label, written, 3), matrix)
    assert len(list((tmp_path / "label_ids").iterdir())) == 3


def test_the_ids_are_those_of_the_data_sets_label_files():
    """A label map of them is read as the train ids; Cityscapes' are those of its official table."""
    assert label_ids(cityscapes.CLASSES).tolist() == [
        *(7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    ]
    assert label_ids(camvid.CLASSES).tolist() == list(range(11))
    assert label_ids(ClassTable(("a", "b"), ((0, 0, 0), (1, 1, 1)))).tolist() == [0, 1]
    for table in (cityscapes.CLASSES, camvid.CLASSES, RAW_IDS):
        np.testing.assert_array_equal(table.lookup[label_ids(table)], range(len(table)))


def test_cityscapes_gets_label_ids_even_where_its_split_has_train_ids():
    data = DataConfig(dataset="cityscapes", data_dir="anywhere")
    assert label_ids(class_table(data))[0] == 7
    assert label_ids(cityscapes.TRAIN_ID_CLASSES)[0] == 0


def named(*frames: tuple[str, object]) -> list[str]:
    clips = [Clip(name, (Frame(0, image),), 0) for name, image in frames]
    return file_names(Split("val", tuple(clips), RAW_IDS))


def test_files_are_named_after_images_or_else_after_clips():
    image = "munster/munster_000000_000019_leftImg8bit.png"
    assert named(("munster_000000_000019", image)) == ["munster_000000_000019_leftImg8bit"]
    assert named(("x_1", "x/0.png"), ("y_1", "y/0.png")) == ["x_1", "y_1"]
    array = np.zeros((2, 2, 3), np.uint8)
    assert named(("val_0", array), ("val_1", array.copy())) == ["val_0", "val_1"]
    assert named(("../x_1", array), ("..%2Fx_1", array.copy())) == ["..%2Fx_1", "..%252Fx_1"]


def test_label_maps_of_a_run_have_the_figures_of_its_metrics(finished_run, tmp_path):
    config, _ = finished_run
    results = evaluate(config.runtime.model_dir, output_dir=str(tmp_path), save_label_ids=True)
    split = load_split(config.data, results["split"])
    matrices = [
        confusion_matrix(
            read_label(clip.key_frame.label, split.classes),
            read_label(str(tmp_path / "label_ids" / f"{clip.name}.png"), split.classes),
            len(split.classes),
        )
        for clip in split.clips
    ]
    values = summarise(np.sum(matrices, axis=0).astype(float))
    assert (values["miou"], values["pixel_accuracy"]) == (results["miou"], results["pixel_accuracy"])
