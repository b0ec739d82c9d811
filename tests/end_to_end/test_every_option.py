"""Executes the command lines of tests/options.py, each once: what all leave, and what some must show."""

import contextlib
import io
import json
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from experiments.stub_trainer import write_trainer
from options import (
    CHECK,
    CLUSTER,
    EVALUATE,
    EXTRACT,
    IMPORT,
    LABEL,
    LINES,
    PACK,
    PREDICT,
    RECIPES,
    REPORT,
    SWEEP,
    TRAIN,
    VIEW,
    flag_values,
    has_real_backbone,
    run_command,
    split,
)
from taf_examples import pyramid
from training.test_run import weights
from video.test_video import SIZE, index_of, picture, write_video

from flags import config_from_flags, evaluation
from taf_keras import command_line
from taf_keras import config as settings
from taf_keras.config import Config, DataConfig
from taf_keras.datasets import options as data_options
from taf_keras.errors import UserError
from taf_keras.evaluation.run import evaluate
from taf_keras.experiments import presets
from taf_keras.models import build
from taf_keras.serving import export
from taf_keras.studies.run import run_study
from taf_keras.training.run import train

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.xdist_group("lines"),  # they build on each other
    pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning"),  # of runpy
]
# train.py with the small backbone, for commands that start it.
SMALL_TRAINER = Path(__file__).parents[1] / "multi_worker" / "cluster_run.py"
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


def write_masks(root: Path) -> None:
    """What an annotation tool leaves of five frames: masks of ids, the stills, the names of the classes."""
    for number in (10, 20, 30, 40, 50):
        save(root / "masks" / f"street_{number:06d}.png", label(number))
        save(root / "frames" / f"street_{number:06d}.png", picture(number))
    (root / "classes.txt").write_text("sky\nroad\ncar\n")


def write_stills(root: Path) -> None:
    """CamVid: key frames of which the first video has frames around them, once they are extracted."""
    for split_name, video in (("train", "0001TP"), ("val", "0016E5"), ("test", "Seq05VD")):
        for number in (10, 25, 40, 50):
            name = f"{video}_{number:06d}.png"
            save(root / split_name / name, picture(number))
            save(root / f"{split_name}annot" / name, label(number))


def write_lists(root: Path) -> None:
    """A manifest. Its training list names a file outside the folder, and one damaged near each key frame."""
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
    for number in (12, 22, 32, 42):
        (root / "train" / f"{number}.png").write_bytes(b"")
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


def write_networks(root: Path) -> None:
    """A model of one's own, as a function and as Keras saves it; the clips have 10 classes."""
    root.mkdir()
    (root / "networks.py").write_text(NETWORKS)
    scope = {}
    exec(NETWORKS, scope)
    scope["two_levels"](10).save(root / "saved.keras")


NETWORKS = """
import keras


def two_levels(classes):
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    fine = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="fine")(x)
    coarse = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="coarse")(keras.layers.ReLU()(fine))
    coarse = keras.layers.Conv2DTranspose(8, 2, strides=2)(coarse)
    x = keras.layers.Concatenate()([fine, coarse])
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(x))
"""

FILES = {
    "networks": write_networks,
    "videos": write_videos,
    "masks": write_masks,
    "cityscapes": write_city,
    "weights": write_weights,
    "images": lambda root: save(root / "a.png", picture(5)),
    "clips": Path.mkdir,
    "moved": lambda root: shutil.copytree(root.with_name("clips"), root),
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
            with untraced(patch):
                return train(config_from_flags(flag_values(program, words)))
        if program == TRAIN:
            return train(config_from_flags(flag_values(program, words)))
        if program == EVALUATE:
            values = flag_values(program, words)
            if evaluation.is_study(values):
                return run_study(**evaluation.study_arguments(values))
            return evaluate(**evaluation.arguments(values))
        trainer = write_trainer(folder) if name.startswith(("sweep", "table1")) else SMALL_TRAINER
        patch.setattr(command_line, "TRAIN", (sys.executable, str(trainer)))
        for module in (settings, data_options):
            patch.setattr(module, "DataConfig", FewClips)
        patch.setenv("XDG_CACHE_HOME", str(folder.parent))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        run_command(program, words)
    return None


@contextlib.contextmanager
def untraced(patch):
    """Recipes differ in settings alone: what is traced and exported is that of other lines.

    Operation by operation, and without an export, a run takes a fifth of the time.
    """
    patch.setattr(export, "export_model", lambda *_: None)
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


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

# Program -> files in the line's folder, as patterns. What a program without any prints is its result.
LEFT = {
    TRAIN: ["metrics.json", "config.json", "history.csv", "checkpoints/step-*"],
    EVALUATE: ["*.png"],
    EXTRACT: ["frames/*/extraction.csv"],
    PACK: ["index.json", "train-*.tfrecord"],
    PREDICT: ["*_overlay.*"],
    REPORT: ["report.html"],
    IMPORT: ["classes.json", "train.csv", "val.csv", "frames/street/*.jpg", "labels/street/*.png"],
    LABEL: ["index.csv", "contact_sheet.jpg", "images/*.png"],
    VIEW: ["index.html", "pictures/*/0_*"],
    SWEEP: ["results.csv", "runs.csv", "miou.png", "tensorboard/*"],
    CLUSTER: ["metrics.json", "export/saved_model.pb"],
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_runs_to_its_result(name, done):
    line, program = done(name), split(LINES[name])[0]
    for pattern in LEFT.get(program, []):
        files = list(line.folder.glob(pattern))
        assert files, f"no {pattern}"
        assert all(path.is_dir() or path.stat().st_size for path in files)
    if program == CHECK:
        assert line.printed.splitlines()[-1].startswith("training would start")
    if program in (TRAIN, CLUSTER) or (program == EVALUATE and "--study" not in LINES[name]):
        metrics = line.metrics()
        assert 0 <= metrics["miou"] <= metrics["pixel_accuracy"] <= 1
        assert metrics["frames"] > 0
    if program == TRAIN:
        assert np.isfinite(line.history()["loss"]).all()
        if name not in RECIPES:
            model = tf.saved_model.load(str(line.folder / "export"))
            outputs = model.serve(picture(0)[None])
            np.testing.assert_allclose(np.sum(outputs["probabilities"], axis=-1), 1, atol=1e-3)


# --- What some options are for ------------------------------------------------------------------------


def test_the_best_weights_are_those_that_are_evaluated_and_exported(done):
    """Two steps an epoch."""
    metrics, best = done("baseline").metrics(), done("baseline").history()["val_miou"].idxmax()
    assert (metrics["weights"], metrics["weights_step"]) == ("best", 2 * (best + 1))
    again = done("an_export").metrics()
    assert (again["split"], again["miou"]) == ("test", metrics["miou"])
    np.testing.assert_equal(again["per_class_iou"], metrics["per_class_iou"])


def test_files_for_other_runtimes_give_the_probabilities_of_the_saved_model(done):
    import onnxruntime

    folder = done("baseline").folder / "export"
    frames = np.random.default_rng(0).uniform(0, 255, (1, 40, 56, 3)).astype(np.float32)
    model = tf.saved_model.load(str(folder))
    expected = model.serve(frames)["probabilities"]
    onnx = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    (found,) = onnx.run(["probabilities"], {onnx.get_inputs()[0].name: frames})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    litert = tf.lite.Interpreter(str(folder / "model.tflite")).get_signature_runner()
    (name,) = litert.get_input_details()
    np.testing.assert_allclose(litert(**{name: frames})["probabilities"], expected, atol=1e-4)


def test_all_labels_give_more_steps(done):
    """Two clips of 31 frames, 8 key frames a step; with the key frames' labels alone it is one step."""
    assert done("all_labels").metrics()["steps"] == math.ceil(2 * 31 / 8)
    assert done("auto").metrics()["steps"] == 1


def test_the_key_frame_as_its_own_partner_leaves_nothing_to_learn_from(done):
    history = done("slow").history()
    differences = [name for name in history if name.startswith("delta/")]
    assert len(differences) == 3
    assert (history[differences] == 0).all(axis=None)
    assert (done("all_labels").history().filter(like="delta/") > 0).any(axis=None)


def test_a_share_of_clips_and_labels_without_damaged_files_is_trained_on(done):
    """0.7 of 4 clips are 3, and half of their labels 2; each has a damaged file."""
    slow = done("slow")
    assert "manifest: 2 train, 4 val clips" in slow.printed
    assert slow.metrics()["files_left_out"] == {"train": 2, "val": 0}


def test_bad_and_outside_files_need_their_flags(done, tmp_path):
    words = split(LINES["slow"], manifest=done("manifest").folder, out=tmp_path, clips=tmp_path)[1:]
    for changed, file in (("--noallow_outside_files", "train.csv:5"), ("--allow_outside_files", "2.png")):
        with pytest.raises(UserError, match=file):
            train(config_from_flags(flag_values(TRAIN, [*words, changed, "--on_bad_file=refuse"])))


def test_a_checkpoint_at_every_step(done):
    """Four clips, two a step; the last two checkpoints stay."""
    names = {path.name for path in done("propagate").folder.glob("checkpoints/step-*")}
    assert names == {f"step-{step:08d}.weights.h5" for step in (1, 2)}


def test_the_split_that_is_asked_for_is_evaluated(done):
    lines = {
        "baseline": "test",
        "propagate": "train",
        "slow": "val",
        "pseudo": "test",
        "a_checkpoint": "train",
    }
    lines |= {name: "test" if name.startswith("camvid") else "val" for name in RECIPES}
    assert {name: done(name).metrics()["split"] for name in lines} == lines


def test_a_power_of_0_keeps_the_learning_rate(done):
    assert done("pseudo").history()["learning_rate"].tolist() == pytest.approx([0.02, 0.02])
    assert done("baseline").history()["learning_rate"].iloc[-1] == 0


def test_measured_change_rates_are_written(done):
    taf = json.loads((done("auto").folder / "config.json").read_text())["taf"]
    assert len(taf["change_rates"]) == 3
    assert all(rate > 0 for rate in taf["change_rates"])


def test_training_begins_with_the_weights_of_the_file(done):
    """A learning rate of 1e-9 leaves the convolutions what they were, but for the classifier's, unused."""
    (checkpoint,) = done("mobilenetv2").folder.glob("checkpoints/step-*")
    trained = list(weights(checkpoint).values())
    file = weights(done("mobilenetv2").folder.parent / "weights" / "mobilenetv2.weights.h5")
    kernels = [value for value in file.values() if value.ndim == 4 and value.shape[-1] != 1280]
    assert len(kernels) == 51
    for kernel in kernels:
        assert any(x.shape == kernel.shape and np.allclose(x, kernel, atol=1e-6) for x in trained)


def test_a_study_of_one_branch_has_that_branch_alone(done):
    table = pd.read_csv(done("study_swap_interval").folder / "swap_interval.csv")
    assert set(table.branch) == {"stride16"}


def test_models_are_compared_over_groups_of_clips(done):
    table = pd.read_csv(done("study_difference").folder / "difference.csv")
    assert list(table.model.unique()) == ["baseline", "pseudo"]
    assert (table.groups == 2).all()
    assert table[table.model == "pseudo"].difference_low.notna().any()
    assert "95 % over 2 groups" in done("study_difference").printed


def test_probabilities_are_averaged_and_label_maps_written(done):
    metrics = done("averaged").metrics()
    assert (metrics["scales"], metrics["flip"]) == ([0.5, 1, 1.5], True)
    files = sorted((done("averaged").folder / "label_ids").iterdir())
    assert len(files) == metrics["frames"]
    assert cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED).shape == (64, 64)


def test_frames_are_extracted_around_key_frames(done):
    frames = list(done("camvid").folder.glob("frames/0001TP/*.png"))
    assert {index_of(cv2.imread(str(path))) for path in frames} == {
        n for key in (10, 25, 40, 50) for n in range(key - CONTEXT, key + CONTEXT + 1)
    }
    manifest = done("manifest").folder
    rows = pd.read_csv(manifest / "longer.csv")
    assert len(rows) == 4 * 5
    assert cv2.imread(str(manifest / rows.image[0])).shape == (32, 48, 3)


def test_packs_hold_what_was_asked_for(done):
    indices = {n: json.loads((done(n).folder / "index.json").read_text()) for n in ("packed", "pack_again")}
    assert {name: (set(index["splits"]), index["temporal_context"]) for name, index in indices.items()} == {
        "packed": ({"train", "val", "test"}, CONTEXT),
        "pack_again": ({"train"}, 1),
    }


def test_figures_of_a_data_set_are_in_the_table(done):
    table = pd.read_csv(done("check_camvid").folder / "data.csv")
    assert table[table.kind == "verdict"].value.item() == 0
    assert set(table.split.dropna()) == {"train", "val"}


def test_sweeps_have_all_of_their_arms(done):
    def arms(name: str) -> set[str]:
        return set(pd.read_csv(done(name).folder / "results.csv").arm)

    assert arms("one_arm") == {"base"}
    assert arms("sweep_arms") == {"base", "taf_weight=1", "taf_weight=2"}
    for study, preset in presets.SWEEPS.items():
        assert arms(f"sweep_{study}") == {arm.name for arm in preset(Config()).arms}


def test_rows_of_table_1(done):
    table = pd.read_csv(done("table1_camvid").folder / "table1.csv")
    assert list(zip(table.row, table.seeds, strict=True)) == [(1, 2), (2, 2)]
    dry = done("table1_cityscapes")
    assert "at 5 sustained TFLOP/s" in dry.printed
    assert not list(dry.folder.glob("cityscapes*"))


def test_three_workers_share_the_steps(done):
    printed = done("three_workers").printed
    assert "of 3 key frames on 3 replicas" in printed
    assert "worker 0: mIoU" in printed


def test_pictures_and_pages(done):
    labels = cv2.imread(str(done("predict").folder / "a_labels.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == SIZE
    page = (done("report").folder / "report.html").read_text()
    assert all(name in page for name in ("baseline", "pseudo"))
