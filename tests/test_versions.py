"""The versions that the project asks for, against what it says and what is installed."""

import platform
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-dev.txt")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lines(name: str) -> list[str]:
    """The requirements of a file, without comments and without the files that it includes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


LINES = [line for name in FILES for line in lines(name)]


def bounds(line: str) -> tuple[str, str, str]:
    """(package, lowest version, first version that is too new). Fails for a requirement of another form."""
    match = re.fullmatch(r"([a-z0-9-]+)>=([\d.]+),<([\d.]+)", line)
    assert match, f"{line}: must be NAME>=LOWEST,<TOO_NEW, which .ci/run reads"
    return match.groups()


@pytest.mark.parametrize("line", LINES)
def test_a_requirement_has_a_lower_and_an_upper_bound(line):
    _, lowest, too_new = bounds(line)
    assert Version(lowest) < Version(too_new)


def test_a_package_is_asked_for_once():
    names = [bounds(line)[0] for line in LINES]
    assert len(names) == len(set(names))


def test_ci_reads_the_lowest_versions_from_the_same_files():
    script = re.search(r"sed -E '([^']+)' requirements", (ROOT / ".ci" / "run").read_text())[1]
    command = ["sed", "-E", script, *(str(ROOT / name) for name in FILES)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [line for line in shown.splitlines() if not line.startswith("#")]
    assert found == [f"{name}=={lowest}" for name, lowest, _ in map(bounds, LINES)]


@pytest.mark.parametrize("line", LINES)
def test_what_is_installed_lies_within_the_bounds(line):
    requirement = Requirement(line)
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        assert line not in lines("requirements.txt"), f"{requirement.name} is not installed"
        pytest.skip(f"{requirement.name} is not installed")
    assert requirement.specifier.contains(installed)


def test_tensorboard_goes_with_tensorflow():
    """A release of TensorFlow takes the TensorBoard of its own minor version and no other."""
    found = {name: (lowest.split(".")[:2], too_new) for name, lowest, too_new in map(bounds, LINES)}
    assert found["tensorboard"] == found["tensorflow"]


def test_the_readme_says_which_pythons_pip_takes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"Python (3\.\d+)", readme)[1]
    too_new = re.search(r"there is no TensorFlow for (3\.\d+)", readme)[1]
    assert PYPROJECT["project"]["requires-python"] == f">={first},<{too_new}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{first.replace('.', '')}"


def test_this_python_is_one_of_them():
    asked = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert asked.contains(platform.python_version())
