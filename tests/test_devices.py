"""GPUs are made ready and missed; where there is none, TensorFlow's answers are made up."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf

from taf_keras import devices
from taf_keras.errors import UserError

GPUS = [SimpleNamespace(name=f"/physical_device:GPU:{i}") for i in range(2)]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(gpus, driver): a machine with so many GPUs for TensorFlow, with a driver or without."""

    def made(gpus: int, driver: bool) -> None:
        path = tmp_path / "version"
        if driver:
            path.write_text("NVRM version")
        monkeypatch.setattr(devices, "_DRIVER", path)
        monkeypatch.setattr(devices.shutil, "which", lambda name: None)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: GPUS[:gpus])

    return made


def test_gpus_take_memory_as_they_need_it(machine, monkeypatch, capsys):
    machine(gpus=2, driver=True)
    grown = []
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu.name, on))
    )
    assert devices.prepare() == GPUS
    assert grown == [(gpu.name, True) for gpu in GPUS]
    assert capsys.readouterr().out == ""


def test_what_has_started_stays_as_it_is(machine, monkeypatch):
    machine(gpus=1, driver=True)

    def refuse(gpu, on):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    assert devices.prepare() == GPUS[:1]


def test_a_driver_without_a_gpu_is_a_warning(machine, capsys):
    machine(gpus=0, driver=True)
    assert devices.prepare() == []
    assert 'pip install "tensorflow[and-cuda]"' in capsys.readouterr().out


@pytest.mark.parametrize(("driver", "hidden"), [(False, None), (True, ""), (True, "-1")])
def test_a_cpu_that_is_meant_is_none(machine, monkeypatch, capsys, driver, hidden):
    machine(gpus=0, driver=driver)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    devices.prepare()
    assert capsys.readouterr().out == ""


def test_devices_are_named(monkeypatch):
    monkeypatch.setattr(devices, "usable_cores", lambda: 8)
    assert devices.describe([], 1) == "CPU (8 cores)"
    assert devices.describe([], 2) == "CPU (8 cores, split into 2 devices)"
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA A100"}
    )
    assert devices.describe(GPUS, 1) == "1 GPU (NVIDIA A100)"
    assert devices.describe(GPUS, 2) == "2 GPUs (NVIDIA A100)"


def test_a_device_without_memory_is_one_line():
    """TensorFlow's own words, with and without XLA. A full disk has the same type and is something else."""
    texts = [
        "OOM when allocating tensor with shape[16,64,720,720] and type float on /device:GPU:0",
        "Out of memory while trying to allocate 17179869184 bytes.",
    ]
    for text in texts:
        expected = pytest.raises(UserError, match=r"^the device has no memory left: eat less$")
        with expected, devices.out_of_memory("eat less"):
            raise tf.errors.ResourceExhaustedError(None, None, text)
    with pytest.raises(tf.errors.ResourceExhaustedError), devices.out_of_memory("eat less"):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")


@pytest.mark.parametrize("by", ["variable", "file"])
def test_commands_say_that_they_run_on_tensorflow(by, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    devices.require_tensorflow()
    if by == "variable":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    else:
        (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    for refuses in (devices.require_tensorflow, devices.prepare):
        with pytest.raises(UserError, match=r"^KERAS_BACKEND=jax: commands run on TensorFlow; set "):
            refuses()


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_scripts_say_so_too(script, tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    command = [sys.executable, script, f"--model_dir={tmp_path}/run"]
    root = Path(__file__).parents[1]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith("error: KERAS_BACKEND=torch: commands run on TensorFlow; set ")
    assert not (tmp_path / "run").exists()
