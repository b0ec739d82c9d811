from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import tiny_config
from study_examples import CLASSES

from taf_keras.clips.clip import Clip, Frame, Split
from taf_keras.storage.run import Run
from taf_keras.studies import confusions
from taf_keras.studies.footage import Footage

FRAMES = 3


class Evaluations:
    """Stands in for the evaluation: gives other matrices each time, and lists whose they are."""

    def __init__(self):
        self.of = []

    def evaluate_split(self, checkpoint, split, *_):
        self.of.append(checkpoint.parents[1].name)
        size = (len(split.clips), len(split.classes), len(split.classes))
        return {}, np.full(size, len(self.of), np.int64)

    def since(self) -> list[str]:
        """The folders of the runs since the last call."""
        names, self.of[:] = list(self.of), []
        return names


@pytest.fixture
def evaluations(monkeypatch) -> Evaluations:
    made = Evaluations()
    monkeypatch.setattr(confusions, "load_network", lambda config, names, checkpoint: checkpoint)
    monkeypatch.setattr(confusions, "network_predictor", lambda network: network)
    monkeypatch.setattr(confusions, "padded", lambda predict, _: predict)
    monkeypatch.setattr(confusions, "evaluate_split", made.evaluate_split)
    return made


def run_in(folder: Path, **groups) -> tuple[Run, Path]:
    run = Run(folder)
    run.claim(tiny_config(folder, **groups)).close()
    run.checkpoints.mkdir()
    checkpoint = run.checkpoints / "step-1.weights.h5"
    checkpoint.write_text(folder.name)
    return run, checkpoint


def footage_in(folder: Path, frames: int = FRAMES, image_size=None) -> Footage:
    clips = []
    folder.mkdir(exist_ok=True)
    for number in range(frames):
        paths = [folder / f"{what}{number}.png" for what in ("image", "label")]
        for path, shape in zip(paths, ((4, 6, 3), (4, 6)), strict=True):
            if not path.exists():
                cv2.imwrite(str(path), np.full(shape, number % 3, np.uint8))
        clips.append(Clip(f"clip{number}", (Frame(0, *map(str, paths)),), 0))
    return Footage(Split("val", tuple(clips), CLASSES), image_size, (0,))


def test_what_was_evaluated_is_kept(evaluations, tmp_path, capsys):
    first, second = run_in(tmp_path / "a"), run_in(tmp_path / "b")
    footage, folder = footage_in(tmp_path / "data"), tmp_path / "kept"

    def matrices(*runs, footage=footage):
        return confusions.matrices_of_runs(*zip(*runs, strict=True), footage, folder)

    (once,) = matrices(first)
    assert once.shape == (FRAMES, 3, 3)
    assert capsys.readouterr().out.count("kept") == 0
    again, new = matrices(first, second)
    assert evaluations.since() == ["a", "b"]  # each once
    np.testing.assert_array_equal(again, once)
    assert (new == 2).all()
    assert "kept    1 of 2 runs were evaluated on these frames before" in capsys.readouterr().out
    with np.load(next(folder.iterdir())) as file:
        assert file["clips"].tolist() == ["clip0", "clip1", "clip2"]
        assert {"run", "checkpoint"} <= set(file)
    # The same data in another place is the same data; the run may have moved, too.
    matrices(first, second, footage=footage_in(tmp_path / "copy"))
    assert evaluations.since() == []


def test_other_weights_networks_and_data_are_evaluated_again(evaluations, tmp_path):
    run, checkpoint = run_in(tmp_path / "a")
    footage, folder = footage_in(tmp_path / "data"), tmp_path / "kept"

    def is_evaluated(run=run, checkpoint=checkpoint, footage=footage) -> bool:
        confusions.matrices_of_runs([run], [checkpoint], footage, folder)
        return bool(evaluations.since())

    assert is_evaluated()
    assert not is_evaluated()
    other = run_in(tmp_path / "b", model={"output_stride": 8})
    other[1].write_text("a")  # the same weights
    assert is_evaluated(*other)
    assert is_evaluated(footage=footage_in(tmp_path / "data", frames=2))
    assert is_evaluated(footage=footage_in(tmp_path / "data", image_size=(2, 3)))
    for name in ("image1", "label2"):
        assert not is_evaluated()
        path = str(tmp_path / "data" / f"{name}.png")
        cv2.imwrite(path, (cv2.imread(path, cv2.IMREAD_UNCHANGED) + 1) % 3)
        assert is_evaluated()
    checkpoint.write_text("trained further")
    assert is_evaluated()
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-30])
    assert is_evaluated()
    assert not is_evaluated()
