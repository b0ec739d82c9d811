"""The command `python benchmarks/gpu.py`, without a GPU."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from benchmarks import gpu, gpu_steps
from benchmarks.gpu_backends import Backend, Step, choose, summed_up
from benchmarks.gpu_report import Report

ROOT = Path(__file__).parents[2]
SIZES = gpu.Sizes(miniature=True)
SIZES.networks = (("first", None, "bfloat16"), ("second", None, "float32"))


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


class Fake(Backend):
    """A compilation takes 30 s, a plain step 1 s, one of TAF 2 s.

    Args:
        fails: {position of a row: its error}.
        counts: of a step, as a function of its name.
    """

    def __init__(self, clock, fails, counts):
        self.clock, self.fails, self.counts, self.compiled = clock, fails, counts, 0

    def compile(self, model, batch) -> Step:
        step, position = list(gpu.STEPS)[self.compiled % 3], self.compiled
        self.compiled += 1
        if position in self.fails:
            raise self.fails[position]
        self.clock.now += 30.0

        def take(steps):
            self.clock.now += steps * (1.0 if step == "plain" else 2.0)
            return 0.5

        return Step(take, lambda before: 10**9 - before, [lambda: self.counts(step)])


@pytest.fixture
def measured(monkeypatch):
    """A function that measures a fake backend's steps and returns the report."""

    def measure(fails=(), counts=lambda step: {}, output=None):
        clock = Clock()
        monkeypatch.setattr(gpu, "time", clock)
        monkeypatch.setattr(gpu_steps, "compiled_model", lambda *_: None)
        report = Report(output, SIZES.rows())
        gpu.measure(report, Fake(clock, dict(fails), counts), SIZES)
        return report

    return measure


def test_plain_and_taf_take_turns(measured):
    report = measured()
    for begin in (0, 3):
        plain, both, one = report.rows[begin : begin + 3]
        assert plain.step_s == [1.0] * 3 * SIZES.rounds  # alone, and beside each of the others
        assert plain.ratios == []
        assert both.ratios == one.ratios == [2.0] * SIZES.rounds
        assert (plain.compile_s, plain.peak_bytes) == (30.0, 10**9)
    assert report.exit_code == 0
    assert report.rows[1].to_json()["images_per_second"] == SIZES.images / 2.0


def test_a_row_that_fails_costs_no_other_its_figures(measured, tmp_path):
    output = tmp_path / "gpu.json"
    error = RuntimeError("out of memory\nat all")
    report = measured({0: error, 5: error}, output=output)
    failed, *others, last = report.rows
    assert failed.state == last.state == "failed: RuntimeError: out of memory"
    assert json.loads(output.read_text())["rows"][5]["state"] == last.state
    assert {row.state for row in others} == {"measured"}
    assert report.rows[1].ratios == []  # there is nothing to compare with
    assert report.rows[4].ratios == [2.0] * SIZES.rounds
    assert report.exit_code == 1
    assert "| failed: RuntimeError: out of memory |" in output.with_suffix(".md").read_text()


def test_files_are_written_as_the_rows_come(measured, tmp_path):
    output, seen = tmp_path / "gpu.json", []

    def counts(step):
        seen.append([row["state"] for row in json.loads(output.read_text())["rows"]].count("measured"))
        return {}

    measured(counts=counts, output=output)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="the loss became nan"):
        gpu._turn(lambda steps: math.nan, 0.0)()


def test_what_a_step_does_stands_beside_the_plain_one(measured):
    report = measured(
        counts=lambda step: {"gflop": 4.0 if step == "plain" else 5.0, "kernels_ms": {"conv": 0.25}}
    )
    assert "| first | bfloat16 | symmetric | 2.00 | 5 (1.25×) |" in report.text()
    assert "\n- second, float32, one-sided: conv 0.25\n" in report.text()


def test_a_count_that_fails_costs_no_time(measured, capsys):
    def counts(step):
        raise RuntimeError("no profiler")

    report = measured(counts=counts)
    assert report.exit_code == 0
    assert {row.state for row in report.rows} == {"measured"}
    assert "second, float32, plain: of what it does not all is known: no profiler" in capsys.readouterr().out


def test_kernels_are_summed_up_by_name():
    found = summed_up([("fusion_12", 1.0), ("fusion.3", 2.0), ("conv", 0.5)])
    assert found == {"kernels": 3, "busy_ms": 3.5, "kernels_ms": {"fusion": 3.0, "conv": 0.5}}
    assert summed_up([]) == {}  # a profiler that sees nothing leaves what was counted otherwise


@pytest.fixture
def installed(monkeypatch):
    """A function: only these packages are installed."""

    def only(*names):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name in names or None)

    return only


def test_the_backend_is_the_one_that_is_asked_for_or_the_first_installed(monkeypatch, installed):
    installed("keras", "jax", "torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert choose() == "torch"
    monkeypatch.delenv("KERAS_BACKEND")
    assert choose() == os.environ["KERAS_BACKEND"] == "jax"


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        (["jax"], "error: Keras is not installed"),
        (["keras"], "error: no backend of Keras is installed; allowed are tensorflow, jax, torch"),
        (["keras", "jax"], "error: KERAS_BACKEND=torch: installed are jax"),
    ],
)
def test_what_is_not_installed_is_named(packages, message, installed, monkeypatch, capsys):
    installed(*packages)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(SystemExit):
        gpu.parse([])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--minutes=0", "--minutes=nan", "--minutes=inf", "--output=table.md"])
def test_options_that_cannot_be_used_are_named(option, capsys):
    with pytest.raises(SystemExit):
        gpu.parse([option])
    assert f"error: {option}: " in capsys.readouterr().err


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the suite's backend")
def test_without_a_gpu_a_miniature_runs(tmp_path, capsys):
    policy = keras.config.dtype_policy()
    output = tmp_path / "new folder" / "gpu.json"
    assert gpu.main([f"--output={output}"]) == 0
    assert keras.config.dtype_policy() == policy
    found = json.loads(output.read_text())
    assert (found["card"], "figures mean nothing" in found["MINIATURE"]) == ("no GPU", True)
    assert found["backend"].startswith("tensorflow ")
    assert [row["step"] for row in found["rows"]] == [*gpu.STEPS]
    for row in found["rows"]:
        assert row["state"] == "measured"
        assert 0 < row["ms_low"] <= row["ms"] <= row["ms_high"]
        assert row["compile_s"] > 0
        assert (row["ratio"] is None) == (row["step"] == "plain")
    text = output.with_suffix(".md").read_text()
    assert "not train.py's step" in text
    printed = capsys.readouterr().out
    assert " sees no GPU " in printed
    assert printed.endswith(text[text.index("\n") :] + "\n")  # but for the seconds in its heading


def test_a_limit_that_is_reached_keeps_what_there_is(tmp_path):
    output = tmp_path / "gpu.json"
    command = [sys.executable, "benchmarks/gpu.py", f"--output={output}", "--minutes=0.001"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert done.stdout.endswith("--minutes=0.001 are over\n")
    rows = json.loads(output.read_text())["rows"]
    assert {row["state"] for row in rows} == {"not reached"}
    assert [row["model"] for row in rows] == [model for model, *_ in gpu.NETWORKS for _ in gpu.STEPS]
    assert "| bfloat16 | plain | not reached |" in output.with_suffix(".md").read_text()
