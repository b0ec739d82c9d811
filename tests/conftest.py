"""What several tests need: small trees of files, a tiny configuration, a tiny trained run."""

import errno
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import pytest

from taf_keras import errors

errors.speaks_of_flags = True  # messages are those of the command line

CAMVID = Path(__file__).resolve().parents[2] / "shared" / "data" / "camvid"


# Files that take minutes come first: a worker that gets one at the end lets the others wait.
LONG = (
    "test_every_option",
    "test_own_video",
    "test_notebooks",
    "test_contributing",
    "test_xla",
    "test_examples",
    "test_wheel",
    "test_local_cluster",
    "test_interruption",
    "test_ray_executor",
)


def pytest_collection_modifyitems(items) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture
def real_camvid() -> str:
    """The folder of the real CamVid key frames; skips where it is absent."""
    if not CAMVID.is_dir():
        pytest.skip(f"the real CamVid key frames are not at {CAMVID}")
    return str(CAMVID)


def write_camvid(root: Path, splits: dict[str, list[str]], size=(48, 64), seed: int = 0) -> Path:
    """Writes SegNet's layout with random pictures and label ids 0–11."""
    rng = np.random.default_rng(seed)
    for split, names in splits.items():
        for folder in (root / split, root / f"{split}annot"):
            folder.mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(root / split / f"{name}.png"), rng.integers(0, 256, (*size, 3), np.uint8))
            label = rng.integers(0, 12, (size[0] // 8, size[1] // 8), np.uint8).repeat(8, 0).repeat(8, 1)
            cv2.imwrite(str(root / f"{split}annot" / f"{name}.png"), label)
    return root


@pytest.fixture
def camvid(tmp_path) -> Path:
    """Five training stills of two videos, 30 frames apart, and two validation stills."""
    names = [f"0001TP_{number:06d}" for number in (6690, 6720, 6750)] + ["Seq05VD_f00000", "Seq05VD_f00030"]
    return write_camvid(tmp_path / "camvid", {"train": names, "val": ["0016E5_07959", "0016E5_07961"]})


@pytest.fixture(autouse=True)
def policy_as_before():
    """A test that leaves Keras another dtype policy would change the networks of the tests after it."""
    import keras

    before = keras.config.dtype_policy()
    yield
    after = keras.config.dtype_policy()
    keras.config.set_dtype_policy(before)
    assert after == before, f"the dtype policy is {after.name} after this test"


@pytest.fixture(scope="session", autouse=True)
def shared(tmp_path_factory) -> Path:
    """A folder that all workers of xdist have in common; the processes that tests start know it too."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ["TAF_TESTS_SHARED"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def small_backbone():
    """`pyramid` in place of every backbone, in the whole file: it is traced in a third of the time."""
    from taf_examples import pyramid

    from taf_keras.models import build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_backbone", pyramid)
        yield


@pytest.fixture
def untraced(monkeypatch):
    """Operation by operation, and without an export: half of the time of a run of a few steps."""
    import tensorflow as tf

    from taf_keras.serving import export

    monkeypatch.setattr(export, "export_model", lambda *_: None)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def deny_access(monkeypatch, look: str) -> None:
    """`Path.LOOK` fails as in a folder that may not be searched or listed; root may do both."""

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, look, refuse)


def tiny_config(folder: Path, **groups):
    """A run of seconds: 32×48 px synthetic clips, a narrow DeepLabV3+/MobileNetV2, 2 steps an epoch.

    The clips lie in `shared`, since making them takes longer than many a test.
    """
    from taf_keras.config import (
        Config,
        DataConfig,
        ModelConfig,
        PartnerLabelConfig,
        RuntimeConfig,
        TAFConfig,
        TrainingConfig,
    )

    clips = os.path.join(os.environ["TAF_TESTS_SHARED"], "clips")
    settings = {
        "data": {"data_dir": clips, "image_size": (32, 48), "temporal_context": 3},
        "model": {"backbone_width": 0.35, "head_channels": 8},
        "training": {"epochs": 2, "batch_size": 4},
        "runtime": {"model_dir": str(folder / "run"), "validations": 2, "log_every": 1},
    }
    settings["data"] |= {"train_clips": 4, "val_clips": 2, "test_clips": 3}
    for group, values in groups.items():
        settings[group] = settings.get(group, {}) | values
    return Config(
        DataConfig(**settings["data"]),
        ModelConfig(**settings["model"]),
        TAFConfig(**settings.get("taf", {})),
        TrainingConfig(**settings["training"]),
        RuntimeConfig(**settings["runtime"]),
        PartnerLabelConfig(**settings.get("partner_labels", {})),
    )


@pytest.fixture(scope="module")
def finished_run(shared, small_backbone):
    """(config, metrics) of a tiny run from beginning to end: 4 epochs of 3 steps, with `small_backbone`.

    It is made once, by the worker that comes first. Who writes into its folder copies it first.
    """
    from taf_keras.storage.run import Run
    from taf_keras.training.run import train

    folder = shared / "finished"
    config = tiny_config(folder, data={"train_clips": 6}, training={"epochs": 4})
    ended = folder / "ended"
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 600
        while not ended.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    else:
        try:
            train(config)
        finally:
            ended.touch()
    return config, Run(config.runtime.model_dir).metrics
