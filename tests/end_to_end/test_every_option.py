"""Executes the command lines of tests/options.py, each once: what every one leaves, and what some must show."""

import contextlib
import io
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from clips.test_video import SIZE, index_of, picture, write_video
from evaluation.stub_trainer import write_trainer
from options import (
    CHECK,
    CLUSTER,
    EVALUATE,
    EXTRACT,
    LINES,
    PACK,
    PREDICT,
    RECIPES,
    REPORT,
    SHEET,
    SWEEP,
    TABLE1,
    TRAIN,
    flag_values,
    has_real_backbone,
    run_command,
    split,
)
from taf_examples import pyramid
from training.test_run import weights

from flags import config_from_flags, evaluation
from taf_keras import config as settings
from taf_keras.clips import check_command
from taf_keras.config import DataConfig
from taf_keras.errors import UserError
from taf_keras.evaluation import runs
from taf_keras.evaluation.run import evaluate
from taf_keras.evaluation.studies.run import run_study
from taf_keras.models import build
from taf_keras.training import session
from taf_keras.training.run import train

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning"),  # of runpy
]
# train.py with the small backbone, for commands that start it.
SMALL_TRAINER = Path(__file__).parents[1] / "training" / "cluster_run.py"
CONTEXT = 3


@dataclass(frozen=True)
class Done:
    """What became of a line: the folder that it wrote to, what it returned, and what it printed."""

    folder: Path
    result: object
    printed: str

    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text())

    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "history.csv")


# --- Files that lines read --------------------------------------------------------------------------


def label(number: int, classes: int = 3) -> np.ndarray:
    """Stripes of 16 px that move as the scene of `picture` does: ids, uint8."""
    columns = (np.arange(SIZE[1]) + 2 * number) // 16 % classes
    return np.repeat(columns[None], SIZE[0], axis=0).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_videos(root: Path) -> None:
    root.mkdir()
    write_video(root / "street.avi", map(picture, range(60)))


def write_stills(root: Path) -> None:
    """CamVid: key frames of which the first video has frames around them, once they are extracted."""
    for split_name, video in (("train", "0001TP"), ("val", "0016E5"), ("test", "Seq05VD")):
        for number in (10, 25, 40, 50):
            name = f"{video}_{number:06d}.png"
            save(root / split_name / name, picture(number))
            save(root / f"{split_name}annot" / name, label(number))


def write_lists(root: Path) -> None:
    """A manifest. Its training list names a file outside the folder, and a damaged one."""
    classes = [{"name": f"class {i}", "colour": [80 * i, 0, 0]} for i in range(3)]
    for name, video in (("train", "avenue"), ("val", "street")):
        rows = ["clip,frame,image,label"]
        for number in range(8, 45):
            labelled, image = number in (10, 20, 30, 40), Path(name) / f"{number}.png"
            if name == "val" and not labelled:
                continue  # its frames are still to be extracted
            if (name, number) == ("train", 11):
                image = Path("..") / f"{root.name}_outside.png"
            save(root / image, picture(number))
            if labelled:
                save(root / "labels" / image.name, label(number))
            rows.append(f"{video},{number},{image}," + f"labels/{image.name}" * labelled)
        (root / f"{name}.csv").write_text("\n".join(rows))
    (root / "train" / "12.png").write_bytes(b"")
    (root / "classes.json").write_text(json.dumps({"classes": classes}))


def write_city(root: Path) -> None:
    for split_name, city in (("train", "aachen"), ("val", "munster")):
        for sequence in range(4):
            for number in range(19 - CONTEXT, 20 + CONTEXT):
                stem = f"{split_name}/{city}/{city}_{sequence:06d}_{number:06d}"
                shown = picture(number + 10 * sequence)
                save(root / "leftImg8bit_sequence" / f"{stem}_leftImg8bit.png", shown)
                if number == 19:
                    save(root / "gtFine" / f"{stem}_gtFine_labelIds.png", 7 + label(number + 10 * sequence))


def write_weights(root: Path) -> None:
    root.mkdir()
    model = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=0.35
    )
    model.save_weights(root / "mobilenetv2.weights.h5")


FILES = {
    "videos": write_videos,
    "cityscapes": write_city,
    "weights": write_weights,
    "images": lambda root: save(root / "a.png", picture(5)),
    "clips": Path.mkdir,
    # What lies in a line's own folder before it begins.
    "camvid": write_stills,
    "manifest": write_lists,
}


# --- Executing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FewClips(DataConfig):
    """For commands that take the default number of synthetic clips, which need minutes to be made."""

    train_clips: int = 2
    val_clips: int = 2
    test_clips: int = 2


def execute(name: str, words: list[str], folder: Path):
    """Runs a line in this process, as its program would. Returns: what the program's function returns."""
    program, *words = words
    with pytest.MonkeyPatch.context() as patch:
        if not has_real_backbone(words):
            patch.setattr(build, "build_backbone", pyramid)
        if name in RECIPES:
            patch.setattr(session, "export_model", lambda *_: None)
            pass
        if program == TRAIN:
            return train(config_from_flags(flag_values(program, words)))
        if program == EVALUATE:
            values = flag_values(program, words)
            if evaluation.is_study(values):
                return run_study(**evaluation.study_arguments(values))
            return evaluate(**evaluation.arguments(values))
        if name.startswith(("sweep", "table1")):
            patch.setattr(runs, "TRAIN", (sys.executable, str(write_trainer(folder.parent))))
        else:
            patch.setattr(runs, "TRAIN", (sys.executable, str(SMALL_TRAINER)))
        for module in (settings, check_command):
            patch.setattr(module, "DataConfig", FewClips if "camvid" not in name else DataConfig)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        try:
            run_command(program, words)
        except SystemExit as ended:
            assert not ended.code, f"exit code {ended.code}"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """done(NAME) executes the line once, after those whose folders it reads."""
    place, known = tmp_path_factory.mktemp("lines"), {}

    def folder_of(name: str) -> Path:
        return done(name).folder if name in LINES else files(name)

    def files(name: str) -> Path:
        if not (place / name).exists():
            FILES.get(name, Path.mkdir)(place / name)
        return place / name

    def done(name: str) -> Done:
        if name not in known:
            folders = {other: None for other in (*LINES, *FILES) if f"{{{other}}}" in LINES[name]}
            folders = {other: folder_of(other) for other in folders} | {"out": files(name)}
            printed = io.TextIOWrapper(io.BytesIO(), "utf-8")
            try:
                with contextlib.redirect_stdout(printed):
                    result = execute(name, split(LINES[name], **folders), folders["out"])
            finally:
                printed.flush()
                text = printed.buffer.getvalue().decode()
                print(text)  # pytest shows it where the test fails
            known[name] = Done(folders["out"], result, text)
        return known[name]

    return done


# --- What each leaves -------------------------------------------------------------------------------

# Program -> files in the line's folder, as patterns. Where a program has none it prints its result.
LEFT = {
    TRAIN: ["metrics.json", "config.json", "history.csv", "checkpoints/step-*", "export/saved_model.pb"],
    EVALUATE: ["*.png"],
    EXTRACT: ["frames/*/extraction.csv"],
    PACK: ["index.json", "train-*.tfrecord"],
    PREDICT: ["a_labels.png", "a_overlay.png"],
    REPORT: ["report.html"],
    SHEET: ["clips.jpg"],
    SWEEP: ["results.csv", "runs.csv", "miou.png", "tensorboard/*"],
    CLUSTER: ["metrics.json", "export/saved_model.pb"],
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_runs_to_its_result(name, done):
    line = done(name)
    program = split(LINES[name])[0]
    for pattern in LEFT.get(program, []):
        files = list(line.folder.glob(pattern))
        assert files, f"no {pattern}"
        assert all(path.is_dir() or path.stat().st_size for path in files)
    if program == CHECK:
        assert line.printed.rstrip().endswith("training would start")
    if program in (TRAIN, CLUSTER) or (program == EVALUATE and "--study" not in LINES[name]):
        metrics = line.metrics()
        assert 0 <= metrics["miou"] <= 1
        assert 0 <= metrics["pixel_accuracy"] <= 1
        assert metrics["frames"] > 0
    if program == TRAIN:
        assert np.isfinite(line.history()["loss"]).all()
        model = tf.saved_model.load(str(line.folder / "export"))
        outputs = model.serve(picture(0)[None])
        np.testing.assert_allclose(np.sum(outputs["probabilities"], axis=-1), 1, atol=1e-3)
