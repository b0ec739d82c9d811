"""The README's example of the library, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def my_clips(tmp_path, monkeypatch):
    """Those that the README draws."""
    drawing = re.search(r"python - <<'END'\n(.*?)\nEND", README, re.DOTALL)[1]
    subprocess.run([sys.executable, "-c", drawing], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)


def test_a_model_of_ones_own_learns(my_clips):
    """In fewer epochs; it must be far better than a constant, whose mIoU is a sixth or a little more."""
    section = README.partition("\n## Any Keras model\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    scope = {}
    for block in blocks:
        exec(block.replace("epochs=30", "epochs=12"), scope)
    history = scope["model"].history.history
    assert set(history) >= {"loss", "taf", "delta/stride16", "miou", "val_miou"}
    assert max(history["miou"]) > 0.5
    assert history["loss"][-1] < history["loss"][0]
    keras.models.load_model("network.keras")
