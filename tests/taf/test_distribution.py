"""One replica or two: the same weights and the same figures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from taf_keras.config import BRANCHES
from taf_keras.evaluation.confusion import summarise

SCRIPT = Path(__file__).with_name("two_replicas.py")


BACKBONES = ["pyramid", pytest.param("mobilenetv2", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=BACKBONES)
def outcomes(request, tmp_path_factory):
    """{name: array} of everything that the script saves."""
    output = tmp_path_factory.mktemp("replicas") / "outcomes.npz"
    root = SCRIPT.parents[2]
    command = [sys.executable, str(SCRIPT), request.param, str(output)]
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(np.load(output))


@pytest.fixture(params=[*BRANCHES, "mean_teacher"])
def outcome(outcomes, request):
    """(name, one replica's value, two replicas' value) of one case."""
    own = f"{request.param}/one/"
    names = [name.removeprefix(own) for name in outcomes if name.startswith(own)]
    return [(name, outcomes[f"{own}{name}"], outcomes[f"{request.param}/two/{name}"]) for name in names]


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def of_kind(outcome, kind: str):
    return [(name, one, two) for name, one, two in outcome if name.startswith(kind)]


def test_same_weights_after_three_steps(outcome):
    for name, one, two in of_kind(outcome, "weights/"):
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-7, err_msg=name)
    farthest = max(np.abs(one).max() for _, one, _ in of_kind(outcome, "moved/"))
    assert farthest > 0.1, "weights that stand still agree by themselves"


def test_same_training_metrics(outcome):
    """`loss`, `delta/<branch>` and the rest count the examples of both replicas."""
    metrics = of_kind(outcome, "fit/")
    assert {"fit/loss", "fit/cross_entropy", "fit/taf"} < {name for name, _, _ in metrics}
    assert any(one > 0 for name, one, _ in metrics if name.startswith("fit/delta/"))
    for name, one, two in metrics:
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-7, err_msg=name)


def test_same_evaluation(outcome):
    """Over five frames in batches of four, each frame once."""
    (_, one, two), *_ = of_kind(outcome, "counts")
    np.testing.assert_array_equal(two, one)
    expected = summarise(one)
    for name, *values in of_kind(outcome, "evaluate/"):
        name = name.removeprefix("evaluate/")
        if name.startswith("iou/"):
            value = expected["per_class_iou"]["abcd".index(name.removeprefix("iou/"))]
        else:
            value = expected[name]
        np.testing.assert_allclose(values, [value, value], rtol=1e-6, err_msg=name)
