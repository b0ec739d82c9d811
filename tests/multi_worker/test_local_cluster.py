"""Real clusters of processes: the same result, also when started again, and the end of a worker."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from taf_keras.local_cluster import free_addresses, main, start_worker

SCRIPT = (sys.executable, str(Path(__file__).with_name("cluster_run.py")))
# FCN8s, which is traced fastest. 6 key frames a step, and so 2 steps an epoch and 12 in all.
FLAGS = ["--model=fcn8s", "--image_size=64x64", "--temporal_context=3", "--batch_size=12", "--epochs=6"]
FLAGS += ["--train_clips=8", "--val_clips=5", "--test_clips=2", "--learning_rate=0.02", "--validations=2"]
ENDED_SECONDS = 60  # docs/distributed.md: when a worker is gone the others end within a minute


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TAF_FLOAT64": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TF_CONFIG", raising=False)


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
def flags(shared) -> list[str]:
    return [*FLAGS, f"--data_dir={shared / 'clips'}"]


@pytest.fixture(scope="module")
def alone(flags, tmp_path_factory):
    """The folder of the run in one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    environment = os.environ | {"TAF_FLOAT64": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*SCRIPT, *flags, f"--model_dir={folder}", "--strategy=single"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    return folder


@pytest.mark.end_to_end
@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cluster_gives_the_result_of_one_process(workers, flags, alone, tmp_path, capfd):
    """The network is float64, so that rounding does not part the two (see taf_examples.in_float64)."""
    main([f"--workers={workers}", "--", *flags, f"--model_dir={tmp_path}"], SCRIPT)
    output = capfd.readouterr().out
    assert f"12 of 6 key frames on {workers} replicas" in output
    assert "worker 0: mIoU" in output
    assert "worker 1: mIoU" not in output
    assert_same_run(tmp_path, alone)


def test_a_cluster_that_is_stopped_and_goes_on_gives_the_result_of_one_process(
    flags, alone, tmp_path, monkeypatch, capfd
):
    """A SIGTERM on the first worker, in the middle of the fourth epoch.

    It saves alone: nothing that it reads for it may wait for the others. Started again, all workers go on
    there, with weights, momentum, step and the sums of the epoch.
    """
    command = [*flags, f"--model_dir={tmp_path}"]
    with monkeypatch.context() as patch:
        patch.setenv("TAF_SIGNAL", f"0 7 {signal.SIGTERM}")
        with cluster(command, workers=2) as (chief, _):
            output, _ = chief.communicate(timeout=600)
    assert chief.returncode == 128 + signal.SIGTERM, output
    assert "interrupted (SIGTERM): step 7 is saved in" in output
    assert (tmp_path / "checkpoints" / "step-00000007.weights.h5").is_file()

    main(["--workers=2", "--", *command], SCRIPT)
    output = capfd.readouterr().out
    assert "12 of 6 key frames on 2 replicas" in output
    assert "resuming at step 7" in output
    assert "worker 0: mIoU" in output
    assert "worker 1: mIoU" not in output
    assert_same_run(tmp_path, alone)


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


def test_the_end_of_a_worker_ends_the_others_with_one_line(flags, tmp_path, monkeypatch):
    monkeypatch.setenv("TAF_SIGNAL", f"1 3 {signal.SIGKILL}")
    with cluster([*flags, f"--model_dir={tmp_path}"], workers=2) as (chief, other):
        assert other.wait(timeout=600) == -signal.SIGKILL
        output, _ = chief.communicate(timeout=ENDED_SECONDS)
        assert chief.returncode == 2, output
        (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
        assert re.search(
            r"worker 1 \(localhost:\d+\) is gone: .* the same command, and training goes on", line
        )
        assert "Traceback" not in output
