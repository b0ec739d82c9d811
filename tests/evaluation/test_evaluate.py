import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.datasets.load import class_table
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import describe, evaluate_split, metrics
from taf_keras.evaluation.pictures import colourise, panel, write_pictures
from taf_keras.evaluation.run import evaluate
from taf_keras.storage.run import Run

pytestmark = pytest.mark.usefixtures("small_backbone")
CLASSES = ClassTable(("road", "sky", "car"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def split_of(labels) -> Split:
    """Frames whose red channel holds the label, so that a predictor can read it."""
    clips = []
    for i, label in enumerate(np.asarray(labels, np.uint8)):
        image = np.stack([label, label, label], axis=-1)
        clips.append(Clip(f"frame{i}", (Frame(0, image, label),), 0))
    return Split("val", tuple(clips), CLASSES)


def perfect(images):
    return np.asarray(images)[..., 0].astype(int) % 255


def test_known_counts_give_known_metrics():
    # 4 pixels: road twice, sky once, void once. Everything is called road:
    # IoU road 2/3, sky 0/1; car occurs nowhere and does not count. Accuracy 2 of 3.
    split = split_of([[[0, 0, 1, VOID]]])
    results, _ = evaluate_split(lambda images: np.zeros(images.shape[:3], int), split, None)
    assert results["miou"] == pytest.approx((2 / 3 + 0) / 2)
    assert results["pixel_accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(results["per_class_iou"]["car"])
    assert results["mean_class_accuracy"] == pytest.approx(0.5)
    # Both of the other classes count, and the screen says so.
    assert results["miou_classes"] == 2
    text = describe(results | {"untrained_classes": ["car"]})
    assert "mIoU 33.33% (mean of 2 of 3 classes)   pixel accuracy 66.67%" in text
    assert "neither in truth nor in prediction: car" in text
    assert "no pixel in the training labels: car" in text


def test_every_frame_counts_once_whatever_the_batches():
    labels = np.random.default_rng(0).integers(0, 3, (11, 4, 6))  # 11 frames in batches of 8
    results, matrices = evaluate_split(perfect, split_of(labels), None)
    assert results["miou"] == 1
    assert matrices.sum() == 11 * 4 * 6


def test_metrics_are_those_of_the_summed_matrix_not_means_of_frames():
    matrices = np.zeros((2, 3, 3), np.int64)
    matrices[0, 0, 0], matrices[1, 0, 1] = 9, 1
    assert metrics(matrices, split_of([[[0]]]))["pixel_accuracy"] == 0.9


@pytest.mark.parametrize("saved_model", [False, True])
def test_evaluating_again_repeats_the_numbers_exactly(finished_run, tmp_path, saved_model):
    config, first = finished_run
    folder = Path(config.runtime.model_dir)
    source = {"saved_model": str(folder / "export")} if saved_model else {}
    again = evaluate(str(folder), output_dir=str(tmp_path), **source)
    for name in ("miou", "pixel_accuracy", "per_class_accuracy", "frames", "split"):
        assert again[name] == first[name], name
    np.testing.assert_equal(again["per_class_iou"], first["per_class_iou"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.json",
        "best.png",
        "median.png",
        "worst.png",
    }


def test_what_cannot_be_evaluated_is_named(finished_run, tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        evaluate(str(tmp_path))
    folder = finished_run[0].runtime.model_dir
    with pytest.raises(UserError, match="no such checkpoint"):
        evaluate(folder, checkpoint=str(tmp_path / "x.weights.h5"))
    (tmp_path / "x.weights.h5").write_bytes(b"\0" * 100)
    with pytest.raises(UserError, match="not a checkpoint of this model, or damaged"):
        evaluate(folder, checkpoint=str(tmp_path / "x.weights.h5"))
    with pytest.raises(UserError, match="holds no exported model"):
        evaluate(folder, saved_model=str(tmp_path))


@pytest.mark.parametrize("spelling", ["as it is", "slash", "relative", "link", "of another run"])
def test_the_folder_of_a_run_is_no_output_folder(finished_run, tmp_path, monkeypatch, spelling):
    """metrics.json there is the run's own: it says that the run has ended, and how well."""
    monkeypatch.setattr("taf_keras.evaluation.run.prepare", None)  # nothing is loaded
    folder = finished_run[0].runtime.model_dir
    before = Run(folder).metrics_file.read_bytes()
    (tmp_path / "link").symlink_to(folder)
    Run(tmp_path / "other").claim(finished_run[0]).close()  # has not ended
    given = {
        "as it is": folder,
        "slash": f"{folder}/",
        "relative": os.path.relpath(folder),
        "link": str(tmp_path / "link"),
        "of another run": str(tmp_path / "other"),
    }[spelling]
    with pytest.raises(UserError, match=r"^--output_dir=[^:]*: holds a run, whose metrics"):
        evaluate(folder, output_dir=given)
    assert Run(folder).metrics_file.read_bytes() == before
    assert not Run(tmp_path / "other").has_ended


def test_colours_are_the_tables_and_void_is_black():
    assert colourise(np.array([[0, 2, VOID]]), CLASSES).tolist() == [[[255, 0, 0], [0, 0, 255], [0, 0, 0]]]


def test_a_panel_shows_image_truth_and_prediction_in_this_order():
    image = np.full((2, 3, 3), 7, np.uint8)
    picture = panel(image, np.zeros((2, 3), np.uint8), np.ones((2, 3), int), CLASSES)
    width = picture.shape[1]
    assert picture[0, 0].tolist() == [7, 7, 7]
    assert picture[0, width // 2].tolist() == [255, 0, 0]
    assert picture[0, -1].tolist() == [0, 255, 0]


def test_the_best_and_worst_frames_are_chosen_by_accuracy(tmp_path, monkeypatch):
    split = split_of(np.zeros((5, 8, 8)))
    matrices = np.zeros((5, 3, 3), np.int64)
    matrices[:, 0, 0] = [64, 10, 30, 50, 0]
    matrices[:, 0, 1] = [0, 54, 34, 14, 64]
    titles = []
    import matplotlib.axes

    monkeypatch.setattr(matplotlib.axes.Axes, "set_title", lambda self, text, **_: titles.append(text[:6]))
    write_pictures(tmp_path, perfect, split, matrices, None, count=1)
    assert titles == ["frame0", "frame2", "frame4"]
    assert cv2.imread(str(tmp_path / "best.png")).shape[2] == 3


def test_an_only_empty_frame_is_left_out(tmp_path):
    split = replace(split_of(np.full((1, 8, 8), VOID)))
    assert write_pictures(tmp_path, perfect, split, np.zeros((1, 3, 3), np.int64), None) == []


def test_names_of_classes_and_clips_are_no_formulas(tmp_path):
    split = split_of(np.zeros((1, 8, 8)))
    clips = (replace(split.clips[0], name="$x_$"),)
    split = replace(split, clips=clips, classes=replace(CLASSES, names=("road", "$sky_$", "car")))
    assert len(write_pictures(tmp_path, perfect, split, np.ones((1, 3, 3), np.int64), None)) == 3


@pytest.mark.parametrize("saved_model", [False, True])
def test_clips_of_other_classes_are_refused(finished_run, tmp_path, monkeypatch, saved_model):
    """As many of them, in another order: every figure of a class would be another one's."""
    folder = Path(finished_run[0].runtime.model_dir)

    def turned_round(data):
        classes = class_table(data)
        return ClassTable(classes.names[::-1], classes.colours[::-1])

    monkeypatch.setattr("taf_keras.evaluation.run.class_table", turned_round)
    first, last = (class_table(finished_run[0].data).names[i] for i in (0, -1))
    with pytest.raises(
        UserError, match=f"other classes: class 0 is {first} there, and {last} in this data set"
    ):
        evaluate(
            str(folder), saved_model=str(folder / "export") if saved_model else None, output_dir=tmp_path
        )
