"""What README.md says exists: functions, flags, files and the two commands."""

import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from absl import flags as absl_flags

from flags import CONFIG_MODULES, evaluation

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_ENVIRONMENT = "python3 -m venv .venv && . .venv/bin/activate && pip install -r "
COMMANDS = [
    _ENVIRONMENT + "requirements.txt && python train.py",
    _ENVIRONMENT + "requirements-dev.txt && python -m pytest",
]
# Options of tools that are run as modules, in sentences that do not name the module, and of TensorBoard; and
# pip's --no-deps.
ELSEWHERE = {"no", "output_dir", "arm", "seeds", "jobs", "logdir", "index_offset"}


def section(title: str) -> str:
    """The text under the heading `## title`."""
    parts = re.split(r"^## (.+)$", README, flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert title in texts, f"README.md has no section {title!r}"
    return texts[title]


def resolve(dotted: str):
    """The object that a dotted name means: as much of it as can be is a module, the rest attributes."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if not dotted.startswith(error.name or "?"):
                raise  # a module that is there, but cannot be imported
            continue
        for attribute in parts[end:]:
            found = getattr(found, attribute)
        return found
    raise ModuleNotFoundError(dotted)


def command_lines() -> list[str]:
    """The lines of the README; one that ends with a backslash goes on in the next."""
    return README.replace("\\\n", " ").splitlines()


def script_flags() -> set[str]:
    """Every flag of train.py and evaluate.py; of a boolean one also the form --noNAME."""
    names = set()
    for modules in (CONFIG_MODULES, (evaluation,)):
        values = absl_flags.FlagValues()
        for module in modules:
            module.define(values)
        names |= set(values)
        names |= {f"no{name}" for name in values if values[name].boolean}
    return names | {"help", "helpfull", "flagfile", "verbosity"}


@cache
def options_of(module: str) -> frozenset[str]:
    """The options that a module of taf_keras shows when it is asked for help."""
    command = [sys.executable, "-m", module, "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"--([a-z]\w*)", shown))


def module_options(line: str) -> set[str]:
    """The options of the taf_keras modules that `line` runs."""
    return {name for module in re.findall(r"-m (taf_keras[\w.]+)", line) for name in options_of(module)}


TABLE = re.findall(r"`(taf_keras\.[\w.]+)`", section("From the paper to the code"))


@pytest.mark.parametrize("dotted", TABLE)
def test_the_paper_is_in_the_code_where_the_readme_says(dotted):
    assert resolve(dotted) is not None


def test_the_table_has_every_equation():
    assert len(TABLE) >= 12
    rows = section("From the paper to the code")
    for term in ("Eq. 3", "Eq. 4", "Eq. 6", "Φ_i", "Ω", "c_i"):
        assert term in rows


def test_every_flag_exists():
    known, wrong = script_flags() | ELSEWHERE, []
    mentioned = 0
    for line in command_lines():
        named = re.findall(r"(?<![\w-])--([a-z]\w*)", line)
        mentioned += len(named)
        wrong += [
            f"--{name} in: {line.strip()}" for name in named if name not in known | module_options(line)
        ]
    assert mentioned > 20
    assert not wrong, "\n".join(["README.md names flags that do not exist:", *wrong])


def test_every_module_that_is_run_exists():
    for module in re.findall(r"-m (taf_keras[\w.]+)", README):
        place = ROOT / module.replace(".", "/")
        file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
        assert '__name__ == "__main__"' in file.read_text(), module


def test_every_link_and_picture_exists():
    links = re.findall(r"\]\(([^)\s]+)\)", README) + re.findall(r'(?:src|href)="([^"]+)"', README)
    local = [link.split("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert local
    missing = [link for link in local if not (ROOT / link).exists()]
    assert not missing, f"README.md links to what is not there: {missing}"


def test_every_file_of_the_project_that_it_names_exists():
    """`flags/recipes/…`, `taf_keras/…`, `docs/…` in backticks; capitals stand for the reader's choice."""
    names = re.findall(r"`((?:flags|taf_keras|docs|tests|benchmarks)/[\w./*-]*)`", README)
    names = [name for name in names if not re.search(r"[A-Z]{3}", name)]
    missing = [name for name in names if not list(ROOT.glob(name.rstrip("/")))]
    assert not missing, f"README.md names what is not there: {missing}"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_alone_in_a_line(command):
    assert command in section("Try it").splitlines()
