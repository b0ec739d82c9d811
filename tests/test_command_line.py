"""How the library starts the command line, in both layouts: a checkout and an installed package."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absl import logging
from absl.flags import FLAGS

from taf_keras import command_line
from taf_keras.config import PAPER_CHANGE_RATES


@pytest.fixture(params=["checkout", "installed"])
def layout(request, tmp_path, monkeypatch):
    """(its flags/, the names of command_line.py there); a Python that is started finds taf_keras there."""
    flags = tmp_path / ("flags" if request.param == "checkout" else "taf_keras/flags")
    for package in (tmp_path / "taf_keras", flags):
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("def parse_config(words): print('reads', *words)")
    (flags / "train_command.py").write_text("print('trains')")
    (tmp_path / "train.py").write_text("from flags import train_command")
    for name in ("command_line", "config", "settings", "errors", "files", "sizes"):
        shutil.copy(Path(command_line.__file__).with_name(f"{name}.py"), tmp_path / "taf_keras")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return flags, runpy.run_path(str(tmp_path / "taf_keras" / "command_line.py"))


def output(*command: str, folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_training_is_started_and_flags_are_read(layout, tmp_path_factory):
    flags, names = layout
    empty = tmp_path_factory.mktemp("empty")
    assert output(*names["TRAIN"], folder=empty) == "trains\n"
    code = "from taf_keras.command_line import parse_config; parse_config(['--epochs=3', '--flip'])"
    assert output(sys.executable, "-c", code, folder=empty) == "reads --epochs=3 --flip\n"
    assert names["RECIPES"] == flags / "recipes"


def test_parsed_flags_are_those_of_the_run_alone():
    """A process's own flags, those of absl too, are what they were."""
    before = logging.get_verbosity()
    arguments = ["--flagfile=camvid_fcn8s_resnet50_taf", "--data_dir=CAMVID", "--epochs=3", "--verbosity=2"]
    config = command_line.parse_config(arguments)
    assert (config.model.model, config.data.data_dir, config.training.epochs) == ("fcn8s", "CAMVID", 3)
    assert config.taf.change_rates == PAPER_CHANGE_RATES["fcn8s"]
    assert logging.get_verbosity() == before
    assert "epochs" not in FLAGS


def test_this_checkout_is_one():
    assert Path(command_line.TRAIN[-1]).is_file()
    assert list(command_line.RECIPES.glob("*.flags"))
