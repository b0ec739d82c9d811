"""The examples of the library in README.md and docs/any_model.md, as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]


def python_blocks(page: str, title: str) -> list[str]:
    section = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


UNET, TRAINING = python_blocks("docs/any_model.md", "A U-Net, from the beginning to the end")
(FRONT,) = python_blocks("README.md", "Your own Keras model")


@pytest.fixture
def my_clips(tmp_path, monkeypatch):
    """Those that docs/data_sets.md draws; weights, branches and order are the same each time."""
    keras.utils.set_random_seed(0)
    page = (ROOT / "docs" / "data_sets.md").read_text(encoding="utf-8")
    drawing = re.search(r"python - <<'END'\n(.*?)\nEND", page, re.DOTALL)[1]
    subprocess.run([sys.executable, "-c", drawing], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)


def test_a_model_of_ones_own_learns(my_clips):
    """In fewer epochs; it must be far better than a constant, whose mIoU is a sixth or a little more."""
    scope = {}
    for block in (UNET, TRAINING):
        exec(block.replace("epochs=30", "epochs=12"), scope)
    history = scope["model"].history.history
    assert set(history) >= {"loss", "taf", "delta/stride16", "miou", "val_miou"}
    assert max(history["miou"]) > 0.5
    assert history["loss"][-1] < history["loss"][0]
    keras.models.load_model("network.keras")


def test_the_lines_of_the_front_page_train_a_model_that_keras_has_saved(my_clips):
    assert len(FRONT.splitlines()) <= 12
    scope = {}
    exec(UNET, scope)
    scope["unet"](classes=3).save("unet.keras")
    exec(FRONT.replace("epochs=30", "epochs=4"), scope)
    history = scope["model"].history.history
    assert set(history) >= {"loss", "taf", "delta/stride16", "val_loss"}
    assert min(history["loss"][1:]) < history["loss"][0]  # single steps of three key frames go up and down
    trained = keras.models.load_model("trained.keras")
    assert [layer.name for layer in trained.layers] == [layer.name for layer in scope["network"].layers]
