"""What the pages of docs/ promise is there: flags, commands, files, links, the API's names."""

import dataclasses
import re
import tomllib
from pathlib import PurePosixPath

import pytest
from options import commands
from promises import (
    DOCS,
    PAGES,
    ROOT,
    broken_links,
    files_of,
    links,
    missing_files,
    options_of,
    programs,
    resolve,
    section,
    text_of,
    unknown_flags,
)

import taf_keras
from taf_keras import config

# Files that a page tells its reader to write, or that stand for the reader's.
_READERS_OWN = {"train.py", "evaluate.py", "my_model.py", "FILE.py"}
_COMMAND = re.compile(r"python (-m (docs|taf_keras)\.\w+|evaluate\.py|benchmarks/\w+\.py)|drawn by hand")
PICTURES = [
    (page, link)
    for page in ("README.md", *PAGES)
    for link in links(text_of(page))
    if PurePosixPath(link).suffix in (".png", ".jpg", ".svg")
]


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_exists(page):
    """Those of the scripts, and of the commands that the page runs or names."""
    text = text_of(page)
    named = {f"taf_keras.{name}" for name in re.findall(r"`(?:taf_keras\.)?([a-z]\w+)`", text)} & commands()
    own = frozenset().union(*(options_of(program) for program in programs(text) | named))
    _, wrong = unknown_flags(text, own)
    assert not wrong, "\n".join([f"{page} names flags that do not exist:", *wrong])


@pytest.mark.parametrize("page", PAGES)
def test_every_program_that_is_run_exists(page):
    text = text_of(page)
    missing = [program for program in programs(text) if not files_of(program)]
    scripts = re.findall(r"\bpython ([\w./]+\.py)\b", text)
    missing += [name for name in scripts if name not in _READERS_OWN and not (ROOT / name).is_file()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_heading_exists(page):
    assert not broken_links(page)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_project_that_it_names_exists(page):
    assert not missing_files(text_of(page))


@pytest.mark.parametrize(("page", "picture"), PICTURES)
def test_each_picture_has_its_command_beside_it(page, picture):
    """In its section; or on the page, if the command names the file, or its program does."""
    text, name = text_of(page), PurePosixPath(picture).name
    (own, *_) = (part for part in re.split(r"^## ", text, flags=re.MULTILINE) if f"]({picture})" in part)
    makers = [files_of(program)[0].read_text() for program in programs(text) if program.startswith("docs.")]
    by_page = re.search(rf"--\w+=\S*{re.escape(name)}", text) or any(name in maker for maker in makers)
    assert _COMMAND.search(own) or by_page


def test_each_picture_is_shown():
    shown = {(ROOT / page).parent.joinpath(link).resolve() for page, link in PICTURES}
    stored = {path for kind in ("png", "jpg", "svg") for path in DOCS.rglob(f"*.{kind}")}
    assert not stored - shown


# --- The paper ---

PAPER = section(text_of("docs/reproduce.md"), "From the paper to the code")
TABLE = re.findall(r"`(taf_keras\.[\w.]+)`", PAPER)


@pytest.mark.parametrize("dotted", TABLE)
def test_the_paper_is_in_the_code_where_the_table_says(dotted):
    assert resolve(dotted) is not None


def test_the_table_has_every_equation():
    assert len(TABLE) >= 12
    for term in ("Eq. 3", "Eq. 4", "Eq. 6", "Φ_i", "Ω", "c_i"):
        assert term in PAPER


def test_each_dependency_says_what_it_is_for():
    reasons = section(text_of("docs/design.md"), "Dependencies")
    for name in re.findall(r"^([a-z0-9-]+)>=", (ROOT / "requirements.txt").read_text(), re.MULTILINE):
        assert f"`{name}`" in reasons, name


def test_the_extras_are_those_of_the_package():
    listed = re.findall(r"^\| `(\w+)` \|", section(text_of("docs/install.md"), "Extras"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(listed) == set(project["optional-dependencies"])


# --- The API ---

API = {page: re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE) for page in PAGES if "/api/" in page}


@pytest.mark.parametrize("dotted", [name for names in API.values() for name in names])
def test_each_name_of_the_api_is_there_and_described(dotted):
    assert resolve(dotted).__doc__


def test_each_public_name_is_on_a_page_of_the_api():
    listed = set(API["docs/api/library.md"])
    public = {f"{module}.{name}" for name, module in taf_keras._PUBLIC.items()}
    assert public == listed


def test_each_group_of_settings_is_on_a_page_of_the_api():
    listed = set(API["docs/api/settings.md"])
    groups = {
        f"taf_keras.config.{name}"
        for name, value in vars(config).items()
        if isinstance(value, type) and dataclasses.is_dataclass(value)
    }
    assert groups - {"taf_keras.config.Bound"} == listed


def test_the_run_from_python_is_one_that_can_be_trained(monkeypatch):
    from taf_keras.training import run

    trained = []
    monkeypatch.setattr(run, "train", trained.append)
    (block,) = re.findall(r"^```python\n(.*?)^```$", text_of("docs/api/runs.md"), re.DOTALL | re.MULTILINE)
    exec(block, {})
    assert [type(own) for own in trained] == [config.Config]


# --- The site ---


def test_each_page_is_in_the_navigation_of_the_site():
    yaml = pytest.importorskip("yaml")
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = set(_leaves(site["nav"]))
    assert {page.removeprefix("docs/") for page in PAGES} == {
        page for page in listed if "source/" not in page
    }
    for page in listed - {page.removeprefix("docs/") for page in PAGES}:
        assert (ROOT / page.removeprefix("source/")).is_file()


def _leaves(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [leaf for part in (entry.values() if isinstance(entry, dict) else entry) for leaf in _leaves(part)]
