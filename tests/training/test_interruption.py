"""A run that is killed and started again ends as an undisturbed one does, bit for bit."""

import csv
import hashlib
import json
import signal
from dataclasses import replace
from pathlib import Path

import faults
import h5py
import numpy as np
import pytest
from conftest import tiny_config

from taf_keras.errors import UserError
from taf_keras.training.callbacks import WriteHistory

KILLED = -signal.SIGKILL
TIME_DEPENDENT = {"images_per_second", "seconds", "training_seconds"}
MIRRORED = {"strategy": "mirrored", "replicas": 2}


def interruptible_config(folder: Path, **runtime):
    """6 epochs of 4 steps; validations and checkpoints after epochs 2, 4 and 6."""
    return tiny_config(
        folder,
        data={"image_size": (32, 32), "train_clips": 8},
        training={"epochs": 6},
        runtime={"validations": 3, "model_dir": str(folder / "run")} | runtime,
    )


def outcome(folder: Path) -> dict:
    """What must be equal: name -> digest or figure."""
    found = {}
    last = max((folder / "checkpoints").glob("step-*.h5"))
    with h5py.File(last) as file:

        def add(name, item):
            if isinstance(item, h5py.Dataset):
                found[f"{last.name}/{name}"] = hashlib.sha256(item[()].tobytes()).hexdigest()

        file.visititems(add)
    with (folder / "history.csv").open() as file:
        for row in csv.DictReader(file):
            found |= {f"epoch {row['epoch']}: {k}": v for k, v in row.items() if k not in TIME_DEPENDENT}
    metrics = json.loads((folder / "metrics.json").read_text())
    return found | {k: v for k, v in metrics.items() if k not in TIME_DEPENDENT}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of a strategy's settings: the outcome of a run that nothing disturbs, and the folder of its clips."""
    known = {}

    def of(**runtime):
        key = runtime.get("strategy")
        if key not in known:
            folder = tmp_path_factory.mktemp("undisturbed")
            config = interruptible_config(folder, **runtime)
            assert faults.train(config, folder / "log") == 0, (folder / "log").read_text()
            known[key] = outcome(folder / "run"), config
        return known[key]

    return of


def disturb(config, kills, tmp_path) -> dict:
    """Starts one run again and again. Returns: its outcome."""
    config = replace(config, runtime=replace(config.runtime, model_dir=str(tmp_path / "run")))
    log = tmp_path / "log"
    for number, fault in enumerate(kills):
        code = faults.train(config, log, fault, seed=number)
        expected = {KILLED} if fault not in ("SIGTERM", "anywhere") else {128 + signal.SIGTERM, KILLED, 0}
        assert code in expected, f"{number} {fault}: {code}\n{log.read_text()}"
    assert faults.train(config, log) == 0, log.read_text()
    left = [path for path in (tmp_path / "run").rglob("*") if "tmp" in path.name or "unfinished" in path.name]
    assert left == []
    return outcome(tmp_path / "run")


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert any("optimizer" in name for name in one)
    assert "epoch 5: val_miou" in one


def test_four_kills_and_a_sigterm(undisturbed, tmp_path):
    expected, config = undisturbed()
    kills = ["SIGTERM", "step", "checkpoint", "validation", "export"]
    assert_equal(disturb(config, kills, tmp_path), expected)
    log = (tmp_path / "log").read_text()
    # The signal came in the first epoch's third step, or in the second's first.
    assert "interrupted (SIGTERM): step 3 is saved in" in log or "step 5 is saved in" in log


def test_a_sigterm_on_two_replicas(undisturbed, tmp_path):
    expected, config = undisturbed(**MIRRORED)
    assert_equal(disturb(config, ["SIGTERM"], tmp_path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [{}, MIRRORED], ids=["single", "mirrored"])
def test_twenty_kills(undisturbed, tmp_path, runtime):
    expected, config = undisturbed(**runtime)
    rng = np.random.default_rng(20)
    training = ["step", "SIGTERM", "checkpoint", "before rename", "after rename", "history", "validation"]
    ending = ["evaluation", "export", "exported", "metrics"]
    kills = [
        *rng.permutation(training),
        *rng.permutation(training),
        *rng.permutation(ending),
        "anywhere",
        "anywhere",
    ]
    assert len(kills) == 20
    assert_equal(disturb(config, kills, tmp_path), expected)


def test_rows_of_the_history_come_back_as_they_were(tmp_path):
    """pandas' fast parser misses the last bit of numbers like these; 300 of them are enough to notice."""
    path = tmp_path / "history.csv"
    written = WriteHistory(path, 0)
    values = np.random.default_rng(0).random(300) * 1e-3
    for epoch, value in enumerate(values):
        written.on_epoch_end(epoch, {"loss": value} | ({"val_miou": value / 3} if epoch % 2 else {}))
    before = path.read_bytes()
    resumed = WriteHistory(path, 299)
    resumed.on_epoch_end(299, {"loss": values[299], "val_miou": values[299] / 3})
    assert path.read_bytes() == before

    path.write_text("epoch,loss\n0,abc\n")
    with pytest.raises(UserError, match=r"history.csv: damaged: .*; delete it to go on without its rows"):
        WriteHistory(path, 1)
