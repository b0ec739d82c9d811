"""The wheel, installed with what it asks for, works from an empty folder without the checkout.

What it asks for is linked from the environment of the tests, which saves the minutes of a third TensorFlow.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from options import ROOT, commands
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.end_to_end
RECIPE = "camvid_deeplabv3plus_mobilenetv2_taf"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "taf_keras", "flags")
TINY = ["--model=fcn8s", "--image_size=64x64", "--temporal_context=3", "--batch_size=4", "--epochs=1"]
TINY += ["--validations=0", "--method=baseline", "--train_clips=3", "--val_clips=2", "--test_clips=2"]


class Installed:
    """An environment with the wheel, and an empty working directory."""

    def __init__(self, folder: Path):
        self.environment, self.empty = folder / "environment", folder / "empty"
        self.empty.mkdir()

    @property
    def site_packages(self) -> Path:
        (path,) = self.environment.glob("lib/python*/site-packages")
        return path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess:
        """Runs a program of the environment; it knows of the checkout neither by path nor by folder."""
        settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        settings |= {"XDG_CACHE_HOME": str(self.empty / "cache"), "CUDA_VISIBLE_DEVICES": ""}
        command = [str(self.environment / "bin" / program), *arguments]
        return subprocess.run(
            command, cwd=self.empty, env=settings, capture_output=True, text=True, timeout=600
        )

    def succeed(self, program: str, *arguments: str) -> str:
        """What a program that ends with 0 prints."""
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


def requirements(asked: list[str] | None) -> set[str]:
    """Names of the distributions that such lines ask for here, without extras."""
    lines = map(Requirement, asked or ())
    return {
        canonicalize_name(one.name) for one in lines if not one.marker or one.marker.evaluate({"extra": ""})
    }


def link_requirements(asked: list[str], site_packages: Path) -> None:
    """Links what such lines ask for, with all that that asks for, and nothing else."""
    left, known = requirements(asked), set()
    while left:
        distribution = metadata.distribution(left.pop())
        known.add(canonicalize_name(distribution.name))
        left |= requirements(distribution.requires) - known
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site_packages / top).exists():
                (site_packages / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="module")
def installed():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Installed(folder)
        (folder / "source").mkdir()
        for source in SOURCES:  # setuptools leaves build/ where it builds
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, folder / "source" / source)
        subprocess.run([sys.executable, "-m", "venv", str(place.environment)], check=True)
        pip = [str(place.environment / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", name, str(folder / "source")], check=True)
        before = {path.name for path in place.site_packages.iterdir()}
        (wheel,) = folder.glob("*.whl")
        subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True)
        place.own = {path.name for path in place.site_packages.iterdir()} - before
        (information,) = place.site_packages.glob("taf_keras-*.dist-info")
        link_requirements(metadata.PathDistribution(information).requires, place.site_packages)
        subprocess.run([*pip, "check"], check=True)
        yield place


@pytest.fixture(scope="module")
def trained(installed):
    """The folder of a short run."""
    installed.succeed("taf-train", "--model_dir=runs/tiny/base/seed-0", *TINY)
    return installed.empty / "runs" / "tiny" / "base" / "seed-0"


def test_it_is_one_package(installed):
    package, information = sorted(installed.own)
    assert package == "taf_keras"
    assert information.startswith("taf_keras-")
    assert information.endswith(".dist-info")


def test_it_is_imported_from_where_it_is_installed(installed):
    printed = installed.succeed("python", "-c", "import taf_keras; print(taf_keras.__file__)")
    assert Path(printed.strip()).is_relative_to(installed.site_packages)


@pytest.mark.parametrize("program", ["taf-train", "taf-evaluate"])
def test_a_console_script_shows_its_own_name_and_flags(program, installed):
    shown = installed.succeed(program, "--help")
    assert f"\n    {program} --" in shown or f"\n{program} --" in shown
    assert "--model_dir:" in shown
    assert ".py" not in re.split(r"\n\w+:\n", shown)[0]  # above the first group of flags


@pytest.mark.parametrize("module", sorted(commands()))
def test_every_command_starts(module, installed):
    assert "usage: " in installed.succeed("python", "-m", module, "--help")


@pytest.mark.parametrize("form", [RECIPE, f"{RECIPE}.flags", f"flags/recipes/{RECIPE}.flags"])
def test_a_recipe_is_found_by_its_name(form, installed):
    """Read, it asks for what it leaves to the user."""
    refused = installed.run("taf-train", f"--flagfile={form}")
    assert refused.returncode == 2
    assert refused.stderr == "error: --dataset=camvid needs --data_dir, the folder that holds it\n"


def test_table_1_finds_its_recipes(installed):
    words = ["--dataset=camvid", "--data_dir=CAMVID", "--output_dir=runs/table1", "--rows=4", "--dry_run"]
    printed = installed.succeed("python", "-m", "taf_keras.table1", *words, "--", "--backbone_weights=random")
    assert f" GPU hours  taf-train --flagfile={installed.site_packages}/taf_keras/flags/recipes/" in printed


def test_a_run_is_trained_and_evaluated(installed, trained):
    assert {"metrics.json", "export", "checkpoints"} <= {path.name for path in trained.iterdir()}
    printed = installed.succeed("taf-evaluate", f"--model_dir={trained}", "--split=val")
    assert "(2 frames of val)" in printed


def test_the_report_has_its_template(installed, trained):
    assert "1 runs" in installed.succeed("python", "-m", "taf_keras.report", str(trained))


def test_commands_start_the_training_of_the_package(installed, trained):
    """A sweep asks the trainer for the settings of its arms, and of runs that have ended."""
    words = ["--output_dir=runs/tiny", "--seeds=0", "--arm=base:", "--", *TINY]
    assert "| base | 1 |" in installed.succeed("python", "-m", "taf_keras.sweep", *words)
    other = installed.run("python", "-m", "taf_keras.sweep", *words, "--learning_rate=0.5")
    assert other.returncode == 2
    assert "learning_rate" in other.stderr
