"""One process at a time writes a folder, and a second one learns which holds it."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tiny_config

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.evaluation.run import evaluate
from taf_keras.storage.lock import Held, hold
from taf_keras.storage.run import Run
from taf_keras.training.run import train

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from taf_keras.storage.lock import hold
lock = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen:
    """A process that holds the folder until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_which_one_holds_the_folder(tmp_path):
    with start_holder(tmp_path) as holder:
        with pytest.raises(Held, match=f"^process {holder.pid} on {platform.node()}$"):
            hold(tmp_path)
        holder.kill()
        holder.wait()
    hold(tmp_path).close()  # a killed process leaves no lock behind


def test_a_folder_is_free_again_when_the_file_is_closed(tmp_path):
    with hold(tmp_path), pytest.raises(Held, match=f"process {os.getpid()} on "):
        hold(tmp_path)
    hold(tmp_path).close()


def test_a_file_system_that_cannot_lock_gives_a_warning(tmp_path, monkeypatch, capsys):
    def refuse(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    hold(tmp_path).close()
    assert f"warning: {tmp_path} cannot be locked" in capsys.readouterr().out


def test_a_system_without_such_locks_gives_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    hold(tmp_path).close()
    assert "cannot be locked" in capsys.readouterr().out


def test_nothing_of_the_first_process_is_deleted(tmp_path):
    run = Run(tmp_path / "run")
    with run.claim(Config()):
        run.checkpoints.mkdir()
        unfinished = run.checkpoints / "unfinished.weights.h5"
        unfinished.write_text("being written")
        with pytest.raises(UserError, match=r"^--model_dir=.*run: process \d+ on .* is at work on this run"):
            run.claim(Config())
        assert unfinished.read_text() == "being written"
    run.claim(Config()).close()
    assert not unfinished.exists()


def test_a_second_training_is_refused_before_it_reads_data_and_an_evaluation_is_not(finished_run, tmp_path):
    """In a copy of a run that has not ended: its metrics are missing."""
    config, metrics = finished_run
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.json", "checkpoints"):
        (folder / name).symlink_to(Path(config.runtime.model_dir, name))
    other = tiny_config(
        tmp_path,
        data={"train_clips": config.data.train_clips},
        training={"epochs": 4},
        runtime={"model_dir": str(folder)},
    )
    with hold(folder):
        with pytest.raises(UserError, match="is at work on this run; choose another folder, or wait"):
            train(other)
        again = evaluate(str(folder), output_dir=str(tmp_path / "evaluation"))
    assert again["per_class_iou"] == pytest.approx(metrics["per_class_iou"], nan_ok=True)
