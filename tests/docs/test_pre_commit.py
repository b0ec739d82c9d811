"""The hooks of .pre-commit-config.yaml: they need no network, and refuse what they are for."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ".pre-commit-config.yaml"
yaml = pytest.importorskip("yaml")


def hooks() -> dict[str, dict]:
    (repo,) = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repos"]
    assert repo["repo"] == "local"  # any other is cloned
    return {hook["id"]: hook for hook in repo["hooks"]}


def test_every_hook_is_a_program_of_the_environment():
    """`system` makes no environment of its own, for which pip would be asked."""
    assert {hook["language"] for hook in hooks().values()} == {"system"}
    asked = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    for program in {hook["entry"].split()[0] for hook in hooks().values()}:
        package = program if program in ("ruff", "python") else "pre-commit-hooks"
        assert package == "python" or f"\n{package}>=" in asked


def test_generated_pages_are_looked_at_by_tests_that_exist():
    tests = [word for word in hooks()["generated-pages"]["entry"].split() if word.endswith(".py")]
    assert len(tests) == 2
    assert all((ROOT / test).is_file() for test in tests)


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A repository with the hooks and one file, and the programs of this environment first."""
    for package in ("pre-commit", "pre-commit-hooks"):
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} of requirements-dev.txt is not installed")
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}", prepend=":")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # what asks the network fails
    root = tmp_path / "checkout"
    root.mkdir()
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    (root / "good.py").write_text('"""Good."""\n\nnumber = 1\n')
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


def run(root: Path) -> dict[str, str]:
    """{name of a hook: how it ended}, over all files."""
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    words = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=120)
    ended = {
        line.split("..")[0]: line.rsplit(".", 1)[1]
        for line in done.stdout.splitlines()
        if line.endswith(("Passed", "Failed", "Skipped"))
    }
    assert len(ended) == len(hooks()), done.stdout + done.stderr
    assert (done.returncode != 0) == ("Failed" in ended.values())
    return ended


def test_a_good_tree_passes(checkout):
    assert "Failed" not in run(checkout).values()


@pytest.mark.parametrize(
    ("hook", "name", "text"),
    [
        ("ruff-check", "a.py", "print(undefined)\n"),
        ("ruff-format", "a.py", "number=1\n"),
        ("merge-markers", "a.md", "a\n<<<<<<< HEAD\nb\n"),
        ("large-files", "a.bin", "a" * 600_000),
        ("yaml", "a.yml", "a: [1\n"),
    ],
)
def test_what_a_hook_is_for_is_refused(hook, name, text, checkout):
    (checkout / name).write_text(text)
    failed = [name for name, ended in run(checkout).items() if ended == "Failed"]
    assert failed == [hooks()[hook]["name"].split("..")[0]]
