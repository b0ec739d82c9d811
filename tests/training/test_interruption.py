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
from taf_keras.training.interruption import stop_requests

KILLED, TERMINATED = -signal.SIGKILL, 128 + signal.SIGTERM
TIME_DEPENDENT = {"images_per_second", "seconds", "training_seconds"}
MIRRORED = {"strategy": "mirrored", "replicas": 2}


def interruptible_config(folder: Path, epochs: int = 6, method: str = "taf", **runtime):
    """4 steps an epoch; validations and checkpoints after every second one. FCN8s is traced fastest."""
    return tiny_config(
        folder,
        data={"image_size": (64, 64), "train_clips": 8},
        model={"model": "fcn8s", "output_stride": 32},
        taf={"method": method},
        training={"epochs": epochs},
        runtime={"validations": epochs // 2, "model_dir": str(folder / "run")} | runtime,
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


def undisturbed(folder: Path, config):
    """The outcome of a run that nothing disturbs."""
    assert faults.train(config, folder / "log") == 0, (folder / "log").read_text()
    return outcome(folder / "run")


def disturbed(folder: Path, config, kills) -> tuple[dict, list[int]]:
    """Starts one run again and again. Returns: its outcome, and the exit codes before the last start."""
    config = replace(config, runtime=replace(config.runtime, model_dir=str(folder / "disturbed")))
    log = folder / "disturbed.log"
    codes = [faults.train(config, log, fault, seed=number) for number, fault in enumerate(kills)]
    assert faults.train(config, log) == 0, log.read_text()
    files = Path(config.runtime.model_dir).rglob("*")
    assert [path for path in files if "tmp" in path.name or "unfinished" in path.name] == []
    return outcome(folder / "disturbed"), codes


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert any("optimizer" in name for name in one)
    assert "epoch 5: val_miou" in one


MOMENTS = ["step", "checkpoint", "validation", "exported"]


@pytest.mark.parametrize(
    "kills", [["checkpoint", "exported"], pytest.param(MOMENTS, marks=pytest.mark.end_to_end)], ids=len
)
def test_a_sigterm_and_kills(tmp_path, kills):
    config = interruptible_config(tmp_path)
    expected = undisturbed(tmp_path, config)
    result, codes = disturbed(tmp_path, config, ["SIGTERM", *kills])
    assert codes == [TERMINATED] + len(kills) * [KILLED]
    assert_equal(result, expected)
    log = (tmp_path / "disturbed.log").read_text()
    # Both are in the middle of an epoch.
    assert "interrupted (SIGTERM): step 3 is saved in" in log or "step 5 is saved in" in log


@pytest.mark.parametrize("method", ["taf", "mean_teacher"])  # the latter has an average of its weights, too
def test_a_sigterm_on_two_replicas(tmp_path, method):
    config = interruptible_config(tmp_path, method=method, **MIRRORED)
    expected = undisturbed(tmp_path, config)
    result, codes = disturbed(tmp_path, config, ["SIGTERM"])
    assert codes == [TERMINATED]
    assert_equal(result, expected)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [{}, MIRRORED], ids=["single", "mirrored"])
def test_twenty_kills(tmp_path, runtime):
    config = interruptible_config(tmp_path, epochs=40, **runtime)
    expected = undisturbed(tmp_path, config)
    rng = np.random.default_rng(20)
    kills = [*rng.permutation([*faults.IN_TRAINING, *faults.IN_TRAINING, *["anywhere"] * 4])]
    kills += [*rng.permutation(faults.AT_THE_END)]
    result, codes = disturbed(tmp_path, config, kills)
    assert codes.count(KILLED) >= 20
    assert_equal(result, expected)


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


def test_a_signal_that_nobody_obeys_is_named_once(capfd):
    """On a worker that saves nothing; the second signal acts as before."""
    with stop_requests("worker 0 saves") as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "SIGINT: worker 0 saves\n"
