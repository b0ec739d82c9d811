"""How the library starts the command line, in both layouts: a checkout and an installed package."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taf_keras import command_line


@pytest.fixture(params=["checkout", "installed"])
def layout(request, tmp_path):
    """(folder in which taf_keras lies, its flags/, the names of command_line.py there)."""
    flags = tmp_path / ("flags" if request.param == "checkout" else "taf_keras/flags")
    for package in (tmp_path / "taf_keras", flags):
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
    (flags / "train_command.py").write_text("print('trains')")
    (tmp_path / "train.py").write_text("from flags import train_command")
    file = tmp_path / "taf_keras" / "command_line.py"
    file.parent.mkdir(exist_ok=True)
    shutil.copy(command_line.__file__, file)
    return tmp_path, flags, runpy.run_path(str(file))


def output(command, environment, folder: Path) -> str:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_training_is_started_and_flags_are_imported(layout, tmp_path_factory, monkeypatch):
    root, flags, names = layout
    empty = tmp_path_factory.mktemp("empty")
    if flags.parent != root:  # as pip's site-packages, known to every Python of the environment
        monkeypatch.setenv("PYTHONPATH", str(root))
    assert output(names["TRAIN"], os.environ, empty) == "trains\n"
    code = [sys.executable, "-c", f"import {names['FLAGS']} as flags; print(flags.__file__)"]
    assert Path(output(code, names["environment"](), empty).strip()).parent == flags
    assert names["RECIPES"] == flags / "recipes"


def test_the_users_own_paths_stay(layout, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["mine", "theirs"]))
    *_, names = layout
    assert names["environment"]()["PYTHONPATH"].split(os.pathsep)[-2:] == ["mine", "theirs"]


def test_this_checkout_is_one():
    assert Path(command_line.TRAIN[-1]).is_file()
    assert list(command_line.RECIPES.glob("*.flags"))
