import numpy as np
import pandas as pd
from study_examples import clip_of, footage_of, linear_network

from taf_keras.evaluation.pictures import colourise
from taf_keras.studies.predictions import measure, plot

FRAMES = {-3: [[2, 2, 2, 2]], 0: [[0, 0, 1, 1]], 3: [[0, 1, 1, 1]], 7: [[1, 1, 1, 1]]}


def example():
    """The second clip has a frame before its key frame alone."""
    return footage_of(clip_of("both", FRAMES), clip_of("before", {0: [[0, 0, 1, 1]], -3: [[2, 2, 1, 1]]}))


def test_predictions_are_those_of_the_frame_behind_or_else_before():
    table = measure(linear_network(), example())
    assert list(table.branch.unique()) == ["used"]
    shown = {(row.clip, row.interval_frames): row.prediction.tolist() for row in table.itertuples()}
    assert shown == {
        ("both", 0): FRAMES[0],
        ("both", 3): FRAMES[3],
        ("both", 7): FRAMES[7],
        ("before", 0): [[0, 0, 1, 1]],
        ("before", 3): [[2, 2, 1, 1]],
    }
    assert list(table.pixel_accuracy) == [1, 0.75, 0.5, 1, 0.5]


def test_the_picture_has_a_row_per_clip_and_model_with_what_was_predicted():
    footage = example()
    table = measure(linear_network(), footage)
    two = [table.assign(model=model, seed=0) for model in ("baseline", "taf")]
    later_seed = table.assign(model="taf", seed=1, prediction=[np.zeros((1, 4), np.uint8)] * len(table))
    figure = plot(pd.concat([*two, later_seed], ignore_index=True), footage)
    grid = np.array(figure.axes).reshape(4, 5)  # 2 clips × 2 models; image, truth, |n| = 0, 3, 7
    shown = [[axes.images[0].get_array() if axes.images else None for axes in row] for row in grid]
    image, truth = shown[0][:2]
    np.testing.assert_array_equal(image, footage.images([footage.split.clips[0].key_frame])[0])
    np.testing.assert_array_equal(truth, colourise(np.array(FRAMES[0]), footage.split.classes))
    for row in (0, 1):  # the first seed of each model
        for array, n in zip(shown[row][2:], (0, 3, 7), strict=True):
            np.testing.assert_array_equal(array, colourise(np.array(FRAMES[n]), footage.split.classes))
    assert [[array is None for array in row] for row in shown] == [
        [False] * 5,
        [True, True, False, False, False],
        [False, False, False, False, True],  # no frame at 7
        [True, True, False, False, True],
    ]
    assert [axes.get_title() for axes in grid[0]] == [
        "image",
        "ground truth",
        "|n| = 0",
        "|n| = 3",
        "|n| = 7",
    ]
    assert [row[2].get_ylabel() for row in grid] == ["baseline", "taf"] * 2
