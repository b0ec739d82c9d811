"""Which runs saw the same frames and clips."""

import json

import pytest

from taf_keras.command_line import parse_config
from taf_keras.experiments.comparison import results_of
from taf_keras.experiments.same_data import evaluated_on, uneven_frames, uneven_training
from taf_keras.storage.run import Run

MANIFEST = ("--dataset=manifest", "--data_dir=game")


@pytest.fixture
def run(tmp_path):
    """Writes a run that has ended, in a folder of its own."""

    def write(*flags: str, clips=None, split="test", frames=5, classes=("road", "car")) -> Run:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        trained = {"train_clips": clips and {"count": len(clips), "sha256": clips}}
        (folder / "config.json").write_text(json.dumps(parse_config(flags).to_dict() | trained))
        per_class = dict.fromkeys(classes, 0.5)
        metrics = {"miou": 0.5, "pixel_accuracy": 0.5, "split": split, "frames": frames}
        metrics |= {"per_class_iou": per_class, "per_class_accuracy": per_class}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        return Run(folder)

    return write


def test_what_decides_on_the_frames_is_named_where_it_differs(run):
    assert evaluated_on([run(), run("--method=baseline", "--label_fraction=0.5")]) == ["test, 5 frames"] * 2
    assert evaluated_on([run(), run(split="val"), run("--drift=0"), run("--test_clips=7", frames=7)]) == [
        "test, 5 frames, drift=1, test_clips=100",
        "val, 5 frames, drift=1",
        "test, 5 frames, drift=0, test_clips=100",
        "test, 7 frames, drift=1, test_clips=7",
    ]
    assert evaluated_on([run(*MANIFEST), run(*MANIFEST, classes=("road", "sky"))]) == [
        "test, 5 frames, classes=road,car",
        "test, 5 frames, classes=road,sky",
    ]
    sizes = (run(*MANIFEST, "--image_size=96x96"), run(*MANIFEST, "--image_size=192x192"))
    assert evaluated_on(sizes) == ["test, 5 frames, image_size=96x96", "test, 5 frames, image_size=192x192"]
    assert evaluated_on([]) == []


def test_a_folder_with_more_labels_may_have_the_same_frames(run):
    oracle = run("--method=baseline", "--dataset=manifest", "--data_dir=game_all", "--epochs=3")
    packed = run("--dataset=packed", "--data_dir=game_packed")
    assert evaluated_on([run(*MANIFEST), oracle, packed]) == ["test, 5 frames"] * 3


def test_the_first_two_on_other_frames_are_named(run):
    arms = [("a", run()), ("b", run()), ("b", run("--seed=3", frames=9)), ("c", run(split="val"))]
    assert uneven_frames(results_of(arms)) == (
        "warning: a, seed 0 was evaluated on test, 5 frames; b, seed 3 on test, 9 frames: between such runs "
        "differences are left out"
    )
    assert uneven_frames(results_of(arms[:2])) == uneven_frames(results_of([])) == ""


BASE = (*MANIFEST, "--method=baseline")


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (BASE, (*MANIFEST, "--seed=1")),
        (BASE, (*MANIFEST, "--color_jitter", "--eval_split=val")),
        ((*BASE, "--labels=all"), (*MANIFEST, "--labels=all")),
        ((*BASE, "--on_bad_file=skip"), (*BASE, "--on_bad_file=skip", "--epochs=3")),
    ],
)
def test_other_clips_by_the_same_settings_are_named(run, own, other):
    pair = [("base", run(*own, clips="ab")), ("taf", run(*other, clips="abc"))]
    seed = int("--seed=1" in other)
    assert uneven_training(pair) == (
        f"warning: taf, seed {seed} was trained on other clips (3) than base, seed 0 (2), with the same "
        "settings: the data have changed between them; in another folder both can be trained anew"
    )
    assert uneven_training([("base", run(*own, clips="ab")), ("taf", run(*other, clips="ab"))]) == ""


@pytest.mark.parametrize(
    "other",
    [
        ("--dataset=manifest", "--data_dir=game_all", "--method=baseline"),
        ("--dataset=packed", "--data_dir=game"),
        (*MANIFEST, "--labels=all"),
        (*MANIFEST, "--label_fraction=0.5"),
        (*MANIFEST, "--subset=0.5"),
        (*MANIFEST, "--temporal_context=30"),  # the distance to labels that are set aside for validation
        (*MANIFEST, "--on_bad_file=skip"),
    ],
)
def test_who_asks_for_other_clips_may_have_them(run, other):
    assert uneven_training([("base", run(*BASE, clips="ab")), ("other", run(*other, clips="abc"))]) == ""


def test_what_a_method_cannot_use_may_be_left_out(run):
    flags = (*MANIFEST, "--on_bad_file=skip")
    pair = [("base", run(*flags, "--method=baseline", clips="abc")), ("taf", run(*flags, clips="ab"))]
    assert uneven_training(pair) == ""


def test_runs_that_do_not_say_what_they_were_trained_on_are_left_alone(run):
    earlier, damaged = run(*BASE), run(*BASE)
    settings = json.loads(damaged.config_file.read_text())
    damaged.config_file.write_text(json.dumps(settings | {"train_clips": 3}))
    ended = [("a", earlier), ("b", damaged), ("c", run(*MANIFEST, clips="ab"))]
    assert uneven_training(ended) == ""
    assert "d, seed 0 was trained on other clips (1) than c, seed 0 (2)" in uneven_training(
        [*ended, ("d", run(*MANIFEST, clips="a"))]
    )
