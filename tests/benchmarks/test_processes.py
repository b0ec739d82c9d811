"""Measurements in fresh processes."""

import pytest

from benchmarks.processes import ROOT, run_fresh


def test_it_runs_in_the_projects_folder():
    assert run_fresh("-c", "import os; print(os.getcwd())").strip() == str(ROOT)


def test_a_process_that_fails_is_an_error_with_its_message():
    with pytest.raises(RuntimeError, match=r"exit code 1(.|\n)*ZeroDivisionError"):
        run_fresh("-c", "1 / 0")
