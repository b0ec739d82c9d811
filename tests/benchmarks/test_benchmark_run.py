"""The command `python benchmarks/run.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.run import BENCHMARKS, chosen, main, parse
from benchmarks.timing import Row

ROOT = Path(__file__).parents[2]


def test_only_takes_beginnings_of_names():
    assert chosen("step,mem") == ["step_mobilenetv2", "step_fcn8s", "step_resnet50", "memory"]


def test_by_default_all_but_what_explains_them():
    assert set(BENCHMARKS) - set(chosen(None)) == {"profile", "reader_threads"}


@pytest.mark.parametrize("only", ["nothing", "step,", ""])
def test_an_unknown_name_is_refused_with_those_that_exist(only, capsys):
    with pytest.raises(SystemExit):
        parse([f"--only={only}"])
    assert "step_mobilenetv2, step_fcn8s" in capsys.readouterr().err


def test_a_benchmark_that_fails_costs_no_other_its_figures(tmp_path, monkeypatch, capsys):
    def fails(options):
        raise RuntimeError("no memory\nat all")

    monkeypatch.setattr("benchmarks.serving.evaluation", fails)
    monkeypatch.setattr("benchmarks.memory.rows", lambda options: [Row.of("a", "b", [1.0, 3.0, 2.0])])
    files = {name: tmp_path / "new folder" / f"table.{name}" for name in ("json", "markdown")}
    with pytest.raises(SystemExit) as ended:
        main(["--only=evaluation,memory", "--smoke", *(f"--{name}={file}" for name, file in files.items())])
    assert ended.value.code == 1
    failed, measured = json.loads(files["json"].read_text())
    assert (failed["verdict"], failed["ratio"], measured["ratio"]) == ("FAILED", None, 2.0)
    text = files["markdown"].read_text()
    assert "- evaluation: RuntimeError: no memory\n" in text
    assert "SMOKE RUN" in text
    assert text in capsys.readouterr().out


def test_every_benchmark_exists():
    for module, function, _ in BENCHMARKS.values():
        assert f"\ndef {function}(options: Options)" in (ROOT / f"benchmarks/{module}.py").read_text()


@pytest.mark.end_to_end
def test_a_benchmark_from_its_command_to_its_files(tmp_path):
    files = {name: tmp_path / f"table.{name}" for name in ("json", "markdown")}
    command = [sys.executable, "benchmarks/run.py", "--only=evaluation", "--smoke", "--rounds=2"]
    command += [f"--{name}={file}" for name, file in files.items()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    written = json.loads(files["json"].read_text())
    assert len(written) == 2
    for row in written:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
        assert (row["target"], row["sign"]) == (1.05, "≤")
    text = files["markdown"].read_text()
    assert "SMOKE RUN" in text
    assert text in done.stdout
