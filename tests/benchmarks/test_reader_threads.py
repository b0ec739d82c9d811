"""Readers that are simulated do what readers do, but for reading and OpenCV's work."""

import shutil

import numpy as np
import pytest

from benchmarks.frame_files import Files, settings, write_files
from benchmarks.reader_threads import EXAMPLES, STAGES, Recorded, rate, replaced
from taf_keras.datasets.load import load_split
from taf_keras.pipeline.examples import TrainingExamples


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_simulated_readers_return_what_was_recorded_without_its_files(tmp_path, form):
    folder = tmp_path / "files"
    folder.mkdir()
    files = Files("tiny", 96, 128, 32, 2, 1, form=form, image_size=(48, 64), reduced=form == "jpg")
    write_files(files, folder)
    config = settings(files, "camvid", folder, threads=1)
    examples = TrainingExamples.of(load_split(config.data, "train"), config)
    expected = [examples(position) for position in range(EXAMPLES)]
    recorded = Recorded(examples)
    assert set(recorded.seconds) == {*STAGES.values(), "rest"}
    assert min(recorded.seconds.values()) >= 0
    shutil.rmtree(folder)
    with replaced(recorded.replaying):
        for position in (0, 3, EXAMPLES + 3):
            for name, value in recorded(position).items():
                np.testing.assert_array_equal(value, expected[position % EXAMPLES][name])
        assert rate(recorded, threads=2, count=1) > 0
    with pytest.raises(Exception, match="No such file"):
        examples(0)
