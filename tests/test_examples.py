"""Every script of examples/ runs without data, and says δ, validation and where the model is."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
OTHERS = ("street_clips", "street_video")  # what scripts share; and what test_own_video.py runs
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in OTHERS)


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs(name, tmp_path):
    for package in ("keras_hub", "keras_cv"):
        if name.endswith(package) and find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shown = done.stdout.splitlines()
    for figure in ("delta/", "over_slack/", "loss", "val_loss", "taf"):
        assert any(line.startswith(figure) for line in shown), figure
    assert f"runs/{name}" in shown[-1]
    assert list((tmp_path / "runs").glob(f"{name}*"))
