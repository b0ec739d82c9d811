"""The picture of predictions on the front page: which frames it shows, and what stands in its cells."""

import numpy as np
import pytest

from docs import predictions
from taf_keras.storage.run import Run


def test_the_frames_are_those_at_the_quartiles_of_the_gain():
    gains = np.array([0.4, -0.2, 0.1, 0.0, 0.3])  # in order: -0.2, 0, 0.1, 0.3, 0.4
    assert predictions.chosen(gains) == {"lower quartile": 3, "median": 2, "upper quartile": 4}
    assert set(predictions.chosen(np.zeros(1)).values()) == {0}


def test_each_row_has_frame_truth_and_both_predictions(finished_run):
    run = Run(finished_run[0].runtime.model_dir)
    figure, lines = predictions.draw([run, run], ("one", "two"))
    cells = [axes for axes in figure.axes if axes.images]
    assert len(cells) == 3 * 4
    assert [axes.get_title() for axes in cells[:4]] == ["frame", "truth", "one", "two"]
    height, width = finished_run[0].data.image_size
    for axes in cells:
        assert axes.images[0].get_array().shape == (height, width, 3)
    for row in range(3):
        one, two = (cells[4 * row + column] for column in (2, 3))
        np.testing.assert_array_equal(one.images[0].get_array(), two.images[0].get_array())
        assert one.get_xlabel() == two.get_xlabel() != ""
    places = list(predictions.QUANTILES)
    assert [line.partition(":")[0] for line in lines] == places


def test_the_accuracies_are_those_of_the_run(finished_run):
    """The mean over frames of as many labelled pixels each is the pixel accuracy of metrics.json."""
    from taf_keras.studies.compared import common_data
    from taf_keras.studies.footage import load_footage

    config, metrics = finished_run
    run = Run(config.runtime.model_dir)
    footage = load_footage(*common_data([run], None, None), intervals=(0,))
    maps, accuracies = predictions.predict(run, footage)
    labels = footage.labels([clip.key_frame for clip in footage.split.clips])
    labelled = labels < len(footage.split.classes)
    right = (maps == labels) & labelled
    np.testing.assert_allclose(accuracies, right.sum((1, 2)) / labelled.sum((1, 2)))
    assert right.sum() / labelled.sum() == pytest.approx(metrics["pixel_accuracy"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "nowhere"], "error: nowhere: holds no run: config.json is missing\n"),
        (["a", "b", "--output=x.gif"], "error: --output=x.gif: must end in .jpg or .png\n"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        predictions.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == message
