"""What CONTRIBUTING, CHANGELOG, SECURITY and the forms of issues name is there."""

import re
from functools import cache
from pathlib import Path

import pytest
from options import EVALUATE, TRAIN, commands, documented

import taf_keras

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PAGES = [*(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY"))]
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
FILES = [*PAGES, *FORMS, GITHUB / "PULL_REQUEST_TEMPLATE.md"]
OTHERS = {"no-deps", "all-files", "strict"}  # of pip, pre-commit and mkdocs


@cache
def options() -> set[str]:
    """Every flag of the scripts and option of the commands."""
    return {option for program in (TRAIN, EVALUATE, *commands()) for option in documented(program)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_options_commands_and_files_that_it_names_are_there(file):
    text = file.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--([a-z][\w-]*\w)", text))
    assert not named - options() - OTHERS
    assert set(re.findall(r"python -m (taf_keras\.\w+)", text)) <= commands()
    paths = re.findall(r"\b((?:docs|tests|flags|taf_keras|benchmarks|examples)/[\w./]*\w)", text)
    paths += [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    paths += re.findall(r"\b[A-Z]+\.md\b", text)
    of_the_example = {"harbour", "two_scales", "stability", "test_harbour", "test_study_stability"}
    missing = [path for path in paths if not (ROOT / path).exists() and Path(path).stem not in of_the_example]
    assert not missing


def test_commands_and_functions_that_the_pages_name_are_there():
    known = commands() | {"taf_keras.flags"}  # which the wheel alone has
    known |= {f"taf_keras.{name}" for name in taf_keras.__all__}
    for text in (file.read_text(encoding="utf-8") for file in PAGES):
        assert set(re.findall(r"`(taf_keras\.\w+)`", text)) <= known


def test_the_changelog_begins_with_the_version_that_is_built():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## ([\d.]+)", text, re.MULTILINE)[0] == version
    groups = re.findall(r"^### (.+)", text, re.MULTILINE)
    assert groups == [g for g in ("Added", "Changed", "Deprecated", "Removed", "Fixed") if g in groups]


def test_security_says_of_each_file_which_tests_hold_it():
    rows = re.findall(r"^\| (?!file|---)(.+) \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(rows) >= 7
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.rsplit("|", 1)[1])
        assert tests, row
        for test in tests:
            assert "\ndef test_" in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_is_one_that_github_shows(form):
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert content.keys() >= {"name", "description", "body"}
    assert len(content["description"]) > 3
    asked = [part for part in content["body"] if part["type"] != "markdown"]
    assert asked
    assert {part["type"] for part in asked} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(part["attributes"]["label"] for part in asked)
    ids = [part["id"] for part in asked]
    assert len(ids) == len(set(ids))
    assert any(part.get("validations", {}).get("required") for part in asked)
