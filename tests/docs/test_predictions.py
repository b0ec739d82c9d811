"""The picture of predictions on the front page: which frames it shows, and what stands in its cells."""

import numpy as np
import pytest

from docs import predictions
from taf_keras.storage.run import Run
from taf_keras.streets.config import CLASSES


def test_the_frames_are_those_at_the_quartiles_of_the_gain():
    gains = np.array([0.4, -0.2, 0.1, 0.0, 0.3])  # in order: -0.2, 0, 0.1, 0.3, 0.4
    assert predictions.chosen(gains) == {"lower quartile": 3, "median": 2, "upper quartile": 4}
    assert set(predictions.chosen(np.zeros(1)).values()) == {0}


def test_each_row_has_frame_truth_and_both_predictions(finished_run, monkeypatch):
    """The first run's in the third column, the second's in the fourth, each with its own accuracy."""
    first, second = (Run(finished_run[0].runtime.model_dir) for _ in range(2))

    def predict(run, footage):
        number = [first, second].index(run)
        maps = np.full((len(footage.split.clips), *footage.image_size), number, np.uint8)
        return maps, np.full(len(maps), (0.25, 0.75)[number])

    monkeypatch.setattr(predictions, "predict", predict)
    figure, lines = predictions.draw([first, second], ("one", "two"))
    cells = [axes for axes in figure.axes if axes.images]
    assert len(cells) == 3 * 4
    assert [axes.get_title() for axes in cells[:4]] == ["frame", "truth", "one", "two"]
    height, width = finished_run[0].data.image_size
    for axes in cells:
        assert axes.images[0].get_array().shape == (height, width, 3)
    for row in range(3):
        for column, colour, accuracy in ((2, CLASSES.colours[0], "25.0%"), (3, CLASSES.colours[1], "75.0%")):
            cell = cells[4 * row + column]
            assert (cell.images[0].get_array() == colour).all()
            assert cell.get_xlabel() == f"{accuracy} of pixels right"
    places = list(predictions.QUANTILES)
    assert [line.partition(":")[0] for line in lines] == places
    assert all(line.endswith(", 25.0% -> 75.0%") for line in lines)


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
