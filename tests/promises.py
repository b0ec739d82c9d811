"""What README and docs/ promise, and whether it is there: names, flags, commands, files, links."""

from __future__ import annotations

import importlib
import json
import posixpath
import re
from functools import cache
from pathlib import Path

from options import EVALUATE, TRAIN, documented

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*DOCS.rglob("*.md"), *DOCS.glob("*.ipynb")))
# Options of other programs, where a sentence names them without their command.
OTHER_OPTIONS = {"logdir", "no-deps", "num-gpus"}
_OTHER_PROGRAMS = ("#SBATCH", "curl", "docker", "mkdocs", "pip", "pre-commit", "ray", "srun", "tensorboard")
_OPTION = re.compile(r"(?<![\w-])--([a-z][\w-]*)")
_MODULE = re.compile(r"-m ((?:taf_keras|docs|benchmarks)[.\w]*\w)")
_SCRIPT = re.compile(r"\bpython ((?:benchmarks|examples|docs)/\w+\.py)")


def text_of(page: str) -> str:
    """A page by its path from the root; of a notebook what its cells say."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not page.endswith(".ipynb"):
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def section(text: str, title: str) -> str:
    """The text under the heading `## title`."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert title in texts, f"there is no section {title!r}"
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


# --- Flags and commands ---


def command_lines(text: str) -> list[str]:
    """The lines of a page; one that ends with a backslash goes on in the next."""
    return text.replace("\\\n", " ").splitlines()


@cache
def script_flags() -> frozenset[str]:
    """Every flag of train.py and evaluate.py; of a boolean one also the form --noNAME."""
    found = {name: values for script in (TRAIN, EVALUATE) for name, values in documented(script).items()}
    negated = {f"no{name}" for name, values in found.items() if values == ("true", "false")}
    return frozenset({*found, *negated, "help", "helpfull", "flagfile", "verbosity"})


@cache
def options_of(program: str) -> frozenset[str]:
    """The options of a module or script: of a command of the library as its parser has them."""
    if not files_of(program):
        return frozenset()
    if program.startswith("taf_keras"):
        return frozenset({*documented(program), "help"})
    (file,) = files_of(program)
    return frozenset({*re.findall(r'"--(\w+)"', file.read_text(encoding="utf-8")), "help"})


def programs(text: str) -> set[str]:
    """What `python -m` or `python FILE.py` runs, but for train.py and evaluate.py."""
    return {*_MODULE.findall(text), *_SCRIPT.findall(text)}


def files_of(program: str) -> list[Path]:
    """The file that is run; empty where there is none, or it is nothing to run."""
    place = ROOT / program.removesuffix(".py").replace(".", "/")
    file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    runs = file.is_file() and ('__name__ == "__main__"' in file.read_text() or program.endswith(".py"))
    return [file] if runs else []


def unknown_flags(text: str, also: frozenset[str] = frozenset()) -> tuple[int, list[str]]:
    """How many options a text names, and those that neither the scripts, their own line nor `also` have."""
    count, wrong = 0, []
    for line in command_lines(text):
        if line.strip(" `$").startswith(_OTHER_PROGRAMS):
            continue
        named = _OPTION.findall(re.sub(r"`(?:pip|ray|mkdocs|tensorboard|docker) [^`]*`", "", line))
        count += len(named)
        known = script_flags() | also | OTHER_OPTIONS
        for program in programs(line):
            known = known | options_of(program)
        wrong += [f"--{name} in: {line.strip()}" for name in named if name not in known]
    return count, wrong


# --- Files and links ---


def missing_files(text: str) -> list[str]:
    """Of `flags/recipes/…`, `taf_keras/…`, `docs/…` in backticks; capitals stand for the reader's choice."""
    names = re.findall(r"`((?:flags|taf_keras|docs|tests|benchmarks|examples)/[\w./*-]*)`", text)
    names = [name for name in names if not re.search(r"[A-Z]{3}", name)]
    return [name for name in names if not list(ROOT.glob(name.rstrip("/")))]


def without_blocks(text: str) -> str:
    """A page less its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Where links and pictures lead, but for other sites; not what stands in blocks of code."""
    prose = re.sub(r"`[^`\n]*`", "", without_blocks(text))
    found = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def broken_links(page: str) -> list[str]:
    """Of a page the links to files, and to headings, that are not there."""
    return [link for link in links(text_of(page)) if not _is_there(page, link)]


def _is_there(page: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if not (ROOT / target).exists():
        return False
    return not anchor or not target.endswith(".md") or anchor in anchors(target)


@cache
def anchors(page: str) -> frozenset[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    return frozenset(_parts(page))


def under(page: str, anchor: str) -> str:
    """The text under the heading of this anchor, up to the next heading, without blocks of code."""
    return _parts(page)[anchor]


def _parts(page: str) -> dict[str, str]:
    """{anchor of a heading: the text under it}."""
    parts = re.split(r"^#+ (.+)$", without_blocks(text_of(page)), flags=re.MULTILINE)
    plain = (re.sub(r"[`*]", "", heading).lower() for heading in parts[1::2])
    names = [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain]
    return dict(zip(names, parts[2::2], strict=True))
