"""The worked examples of CONTRIBUTING.md: a copy of the code follows them, step by step."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = ("Add a data set", "Add a model", "Add a study")
COPIED = ("taf_keras", "flags", "tests", "docs", "train.py", "evaluate.py", "README.md", "pyproject.toml")


@dataclass(frozen=True)
class Step:
    """A block of the page: a new file (python), an edit of a file (diff) or commands (bash)."""

    kind: str
    path: str
    text: str

    def apply(self, root: Path) -> None:
        """Writes or edits the file below `root`."""
        file = root / self.path
        if self.kind == "python":
            assert not file.exists(), f"{self.path} is there already"
            file.write_text(self.text, encoding="utf-8")
            return
        before, after = (
            "".join(line[1:] for line in self.text.splitlines(keepends=True) if line[0] in marks)
            for marks in (" -", " +")
        )
        text = file.read_text(encoding="utf-8")
        found = text.count(before)
        assert found == 1, f"CONTRIBUTING.md edits what {self.path} has {found} times:\n{before}"
        file.write_text(text.replace(before, after), encoding="utf-8")


@cache
def steps() -> tuple[Step, ...]:
    """The blocks of the examples in their order; each is of the file that the text before it names last."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    found = []
    for title in EXAMPLES:
        path = ""
        for text, kind, block in re.findall(r"(.*?)^```(\w*)\n(.*?)^```$", sections[title], re.M | re.S):
            path = [path, *re.findall(r"`([\w/]+\.py)`", text)][-1]
            found.append(Step(kind, path, block))
    return tuple(found)


def commands() -> list[list[str]]:
    """The command lines of the examples as words, with this Python."""
    lines = [
        line
        for step in steps()
        if step.kind == "bash"
        for line in step.text.replace("\\\n", " ").splitlines()
    ]
    assert all(line.startswith("python ") for line in lines)
    return [[sys.executable, *shlex.split(line)[1:]] for line in lines]


def run(tree: Path, words: list[str]) -> str:
    """What a command that ends with 0 prints, started in `tree`."""
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """The code with the steps of all examples, and the clips that they read."""
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
        else:
            shutil.copy(ROOT / name, root / name)
    for step in steps():
        if step.kind != "bash":
            step.apply(root)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for video in ("pier", "quay"):
            folder = root / "my_clips" / split / video
            folder.mkdir(parents=True)
            for number in range(10, 15):
                pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
                assert cv2.imwrite(str(folder / f"{number:06d}.jpg"), pixels)
            ids = rng.integers(0, 3, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)
            assert cv2.imwrite(str(folder / "000012.png"), ids)
    return root


def test_the_page_has_the_steps():
    """Nothing is left out because it is written in another way."""
    assert [step.path for step in steps() if step.kind == "python"] == [
        "taf_keras/datasets/harbour.py",
        "my_model.py",
        "taf_keras/models/two_scales.py",
        "taf_keras/studies/stability.py",
        "tests/studies/test_study_stability.py",
    ]
    assert {step.path for step in steps() if step.kind == "diff"} == {
        "taf_keras/datasets/load.py",
        "taf_keras/models/build.py",
        "taf_keras/config.py",
        "taf_keras/studies/run.py",
        "flags/evaluation.py",
    }
    assert {step.kind for step in steps()} == {"python", "diff", "bash"}


def test_the_code_of_the_examples_is_in_the_projects_style(tree):
    files = sorted({step.path for step in steps() if step.kind != "bash"})
    for file in files:
        ast.parse((tree / file).read_text(encoding="utf-8"))
    for arguments in (["check"], ["format", "--check"]):
        run(tree, [sys.executable, "-m", "ruff", *arguments, "--no-cache", *files])


def test_the_new_data_set_is_read(tree):
    (check,) = [words for words in commands() if "taf_keras.check" in words]
    shown = run(tree, check)
    assert re.search(r"water .*\n.*ship ", shown), shown


def test_the_new_names_are_flags(tree):
    code = (
        "from flags import parse_config as p; p(['--dataset=harbour', '--data_dir=my_clips']); "
        "assert p(['--model=two_scales']).change_rates[0] == 1e-4"
    )
    run(tree, [sys.executable, "-c", code])


@pytest.mark.end_to_end
def test_the_commands_of_the_examples_run(tree):
    assert len(commands()) == 5
    for words in commands():
        run(tree, words)
    for name in ("harbour", "small", "two_scales"):
        assert (tree / "runs" / name / "metrics.json").is_file()
    table = (tree / "runs" / "two_scales" / "studies" / "stability.csv").read_text().splitlines()
    assert table[0] == "model,seed,interval_frames,same"
    assert table[1].endswith(",0,1.0")
    assert (tree / "runs" / "two_scales" / "studies" / "stability.png").is_file()


@pytest.mark.end_to_end
def test_the_code_of_the_examples_passes_the_tests_that_the_page_names(tree):
    pytest_here = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider"]
    run(tree, [*pytest_here, "tests/test_imports.py", "tests/studies/test_study_stability.py"])
    done = subprocess.run(
        [*pytest_here, "tests/test_options.py"], cwd=tree, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 1
    assert "train.py --dataset=harbour" in done.stdout
    assert "train.py --model=two_scales" in done.stdout


def test_what_the_page_says_of_tests_and_ci_is_there():
    markers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for marker in re.findall(r"pytest -m (\w+)", PAGE):
        assert f'"{marker}: ' in markers
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "pre-commit run --all-files",
        "tests/library",
        "pytest -m end_to_end",
        "python -m pytest\n",
    ):
        assert command in ci
    assert "\npre-commit>=" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
