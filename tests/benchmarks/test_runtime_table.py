"""What runtimes make of an export, in miniature."""

import shutil

import numpy as np
import pytest

from benchmarks import runtimes
from taf_keras.serving.runtimes import Predictor
from taf_keras.storage.run import Run


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch):
    """A run that has a second file: what runs it takes every pixel for the first class."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run[0].runtime.model_dir, folder)
    (folder / "export" / "model.onnx").write_bytes(bytes(20_000))
    load = runtimes.load_predictor

    def load_predictor(export, runtime):
        if runtime == "onnx":
            return Predictor(lambda images: np.zeros(images.shape[:3], np.uint8), None)
        return load(export, runtime)

    monkeypatch.setattr(runtimes, "load_predictor", load_predictor)
    return Run(folder)


def test_each_file_has_a_row_beside_the_saved_models(run, capsys):
    runtimes.main([str(run.folder)])
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    first, second = table[2:]
    assert table[0] == list(runtimes._HEAD)
    for row in (first, second):
        assert len(row) == len(runtimes._HEAD)
        assert float(row[3]) >= 0
    miou = 100 * run.metrics["miou"]
    variables = sum(path.stat().st_size for path in (run.export / "variables").iterdir())
    assert first[:2] == ["tensorflow", "saved_model.pb"]
    assert float(first[2]) > variables / 1e6
    assert float(first[4]) == pytest.approx(miou, abs=0.006)
    assert first[5:] == ["+0.00", "100.00"]
    assert second[:3] == ["onnx", "model.onnx", "0.02"]
    assert float(second[5]) == pytest.approx(float(second[4]) - miou, abs=0.02)
    assert float(second[6]) < 100


def test_a_folder_that_holds_no_run_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        runtimes.main([str(tmp_path)])
    assert capsys.readouterr().err == f"error: {tmp_path}: holds no run that has ended\n"
