"""What pyproject.toml and CITATION.cff say of the package. end_to_end/test_wheel.py shows that it works."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def bounds(requirement: str) -> tuple[str, str]:
    """'tensorflow[and-cuda]>=2,<3' -> ('tensorflow', '>=2,<3')."""
    return re.fullmatch(r"([\w-]+)(?:\[[\w-]+\])?(\S+)", requirement).groups()


def test_every_folder_of_the_library_is_in_the_package():
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("taf_keras/**/*.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"taf_keras.flags"}
    assert SETUPTOOLS["packages"] == sorted(expected)


def test_flags_can_lie_inside_the_package():
    """There, `flags` is no name of a module: each names its neighbours relatively."""
    assert SETUPTOOLS["package-dir"] == {"taf_keras.flags": "flags"}
    wrong = []
    for path in (ROOT / "flags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            wrong += [f"{path.name} imports {name}" for name in names if name.split(".")[0] == "flags"]
    assert not wrong


def test_all_recipes_are_in_the_package():
    (pattern,) = SETUPTOOLS["package-data"]["taf_keras.flags"]
    assert set((ROOT / "flags").glob(pattern)) == set((ROOT / "flags" / "recipes").iterdir())


def test_all_files_that_are_no_modules_are_in_the_package():
    own = {p for p in ROOT.glob("taf_keras/**/*.*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    named = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert own
    assert own == named


def test_the_commands_exist():
    for command in PROJECT["scripts"].values():
        module, function = command.split(":")
        assert callable(getattr(importlib.import_module(module.removeprefix("taf_keras.")), function))


def test_extras_have_the_bounds_of_the_requirements():
    known = {}
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        known |= dict(bounds(line) for line in lines if re.match(r"\w", line))
    for requirements in PROJECT["optional-dependencies"].values():
        for package, found in map(bounds, requirements):
            assert found == known[package], package


def test_the_citation_is_of_this_version():
    assert f"\nversion: {PROJECT['version']}\n" in CITATION
    assert f"\nlicense: {PROJECT['license']}\n" in CITATION
    assert f"\n## {PROJECT['version']} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
