"""Real clusters of processes: the same result, also when started again, and the end of a worker."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from taf_keras.local_cluster import free_addresses, main, start_worker

ROOT = Path(__file__).parents[2]
SCRIPT = (sys.executable, str(Path(__file__).with_name("cluster_run.py")))
# FCN8s, which is traced fastest; two steps an epoch, so that some end in its middle.
FLAGS = ["--model=fcn8s", "--image_size=64x64", "--temporal_context=3", "--batch_size=12"]
FLAGS += ["--train_clips=12", "--val_clips=5", "--test_clips=2", "--learning_rate=0.02", "--validations=2"]
ENDED_SECONDS = 60  # docs/distributed.md: when a worker is gone the others end within a minute


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TAF_FLOAT64": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TF_CONFIG", raising=False)


def flags(folder: Path, clips: Path, epochs: int = 20) -> list[str]:
    return [*FLAGS, f"--data_dir={clips}", f"--model_dir={folder}", f"--epochs={epochs}"]


def weights(folder: Path) -> dict[str, np.ndarray]:
    (*_, newest) = sorted((folder / "checkpoints").glob("step-*"))
    found = {}
    with h5py.File(newest) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None)
    return found


@contextmanager
def cluster(command: list[str], workers: int):
    """Processes of a cluster, which end with the test whatever happens."""
    addresses = free_addresses(workers)
    processes = [start_worker([*SCRIPT, *command], addresses, index) for index in range(workers)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """(folder of a run of 20 steps in one process, folder of its clips)."""
    folder = tmp_path_factory.mktemp("alone")
    environment = os.environ | {"TAF_FLOAT64": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*SCRIPT, *flags(folder / "run", folder / "clips"), "--strategy=single"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    return folder / "run", folder / "clips"


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cluster_gives_the_result_of_one_process(workers, alone, tmp_path, capfd):
    """The network is float64, so that rounding does not part the two (see taf_examples.in_float64)."""
    one, clips = alone
    main([f"--workers={workers}", "--", *flags(tmp_path / "run", clips)], SCRIPT)
    output = capfd.readouterr().out
    assert f"20 of 6 key frames on {workers} replicas" in output
    assert "worker 0: mIoU" in output
    assert "worker 1: mIoU" not in output
    assert_same_run(tmp_path / "run", one)


def test_a_cluster_that_starts_again_goes_on_at_the_checkpoint_on_all_workers(alone, tmp_path, capfd):
    """Two workers end as one process did what it left at step 10: with its weights, momentum and step."""
    one, clips = alone
    shutil.copytree(one, tmp_path / "run", ignore=shutil.ignore_patterns("step-00000020*", "metrics.json"))
    main(["--workers=2", "--", *flags(tmp_path / "run", clips)], SCRIPT)
    assert "resuming at step 10" in capfd.readouterr().out
    assert_same_run(tmp_path / "run", one)


def assert_same_run(folder: Path, one: Path) -> None:
    expected, found = weights(one), weights(folder)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    history = [pd.read_csv(each / "history.csv") for each in (one, folder)]
    assert history[0].columns.tolist() == history[1].columns.tolist()
    validated = [name for name in history[0] if name.startswith("val_")]
    assert len(validated) > 5
    for name in validated:
        np.testing.assert_array_equal(history[1][name], history[0][name], err_msg=name)
    np.testing.assert_allclose(history[1]["loss"], history[0]["loss"], rtol=1e-5)


def test_the_end_of_a_worker_ends_the_others_with_one_line(alone, tmp_path):
    _, clips = alone
    command = [*flags(tmp_path / "run", clips, epochs=5000), "--validations=500"]
    with cluster(command, workers=2) as (chief, other):
        wait_for_checkpoint(tmp_path / "run")
        other.send_signal(signal.SIGKILL)
        output, _ = chief.communicate(timeout=ENDED_SECONDS)
        assert chief.returncode == 2
        (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
        assert re.search(
            r"worker 1 \(localhost:\d+\) is gone: .* the same command, and training goes on", line
        )
        assert "Traceback" not in output


def test_a_sigterm_on_the_chief_saves_the_step(alone, tmp_path):
    """The first worker saves alone: nothing that it reads for it may wait for the others."""
    _, clips = alone
    # Three steps an epoch, so that most signals come in the middle of one.
    command = [*flags(tmp_path / "run", clips, epochs=5000), "--validations=500", "--batch_size=4"]
    with cluster(command, workers=2) as (chief, _):
        wait_for_checkpoint(tmp_path / "run")
        chief.send_signal(signal.SIGTERM)
        output, _ = chief.communicate(timeout=ENDED_SECONDS)
    assert chief.returncode == 128 + signal.SIGTERM
    step = int(re.search(r"interrupted \(SIGTERM\): step (\d+) is saved in", output)[1])
    assert (tmp_path / "run" / "checkpoints" / f"step-{step:08d}.weights.h5").is_file()


def wait_for_checkpoint(folder: Path, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not list((folder / "checkpoints").glob("step-*")):
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.2)
