"""One step of TAF comes to the same on every backend: TensorFlow, JAX and PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from one_step import CASES

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "one_step.json").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What this backend comes to, in a process of its own: it computes in float64."""
    path = tmp_path_factory.mktemp("step") / "found.json"
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, str(HERE / "one_step.py"), str(path)]
    subprocess.run(command, env=environment, check=True, timeout=600)
    return json.loads(path.read_text())


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_step_is_that_of_tensorflow(case, found):
    """Losses, δ, and every weight, moving statistics too, behind the update, to 1e-4."""
    found, expected = found[" ".join(case)], EXPECTED[" ".join(case)]
    assert list(found) == list(expected)
    assert expected["taf"] > 1e-3, "the hinge must be at work"
    for what, value in expected.items():
        np.testing.assert_allclose(found[what], value, rtol=1e-4, atol=1e-4, err_msg=what)
