"""Others' networks on one replica or two: the same update."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foreign_networks import FOREIGN

pytestmark = pytest.mark.end_to_end
SCRIPT = Path(__file__).with_name("foreign_replicas.py")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, np.ndarray]:
    """{network/what: that of one replica, that of two}."""
    output = tmp_path_factory.mktemp("replicas") / "outcomes.npz"
    root = SCRIPT.parents[2]
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, str(SCRIPT), str(output)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(np.load(output))


@pytest.mark.parametrize("name", [*FOREIGN, "without sums"])
def test_two_replicas_make_the_update_of_one(outcomes, name):
    own = {what: values for what, values in outcomes.items() if what.startswith(f"{name}/")}
    if name in FOREIGN and not FOREIGN[name].installed:
        pytest.skip(f"{FOREIGN[name].package} is not installed")
    tolerance = 1e-4 if name == "cv_deeplab" else 1e-6  # float32
    for what, (one, two) in own.items():
        if "seed_generator" not in what:  # one for each replica
            np.testing.assert_allclose(two, one, rtol=tolerance, atol=tolerance, err_msg=what)
    moved = [np.abs(values).max() for what, values in own.items() if "/moved/" in what]
    assert max(moved) > 1e-3, "weights that stand still agree by themselves"
    assert own[f"{name}/fit/taf"][0] > 1e-4, "the term must take part"


def test_two_replicas_evaluate_as_the_network_does(outcomes):
    """A ratio of sums over all frames, and no mean of what each replica has."""
    network, taf, validation = outcomes["evaluated"]
    assert 0.05 < network < 0.95
    np.testing.assert_allclose([taf, validation], network, rtol=1e-6)
