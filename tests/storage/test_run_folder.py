import errno
import json
import math
import os
import tempfile
from dataclasses import replace

import pytest
from conftest import deny_access

from taf_keras.clips.clip import Clip, Frame
from taf_keras.config import Config, PartnerLabelConfig, RuntimeConfig, TAFConfig
from taf_keras.errors import UserError
from taf_keras.files import write_json
from taf_keras.storage.run import Run


def test_a_config_survives_the_round_trip_with_infinite_rates(tmp_path):
    config = Config(taf=TAFConfig(change_rates=(0.0, 1e-6, 1e-4, math.inf, math.inf)))
    run = Run(tmp_path / "run")
    run.claim(config)
    assert run.config == config
    versions = json.loads(run.config_file.read_text())["versions"]
    assert versions["keras"][0] == "3"


def test_only_the_same_settings_may_use_a_folder_again(tmp_path):
    config = Config()
    run = Run(tmp_path / "run")
    run.claim(config)
    run.check(replace(config, runtime=RuntimeConfig(log_every=3)))  # how it runs may differ
    with pytest.raises(UserError, match=r"training\.seed=0, now 1"):
        run.check(replace(config, training=replace(config.training, seed=1)))


def test_more_epochs_are_refused_with_the_reason(tmp_path):
    config = Config()
    run = Run(tmp_path / "run")
    run.claim(config)
    longer = replace(config, training=replace(config.training, epochs=config.training.epochs + 1))
    with pytest.raises(UserError, match=r"training\.epochs=300, now 301: --epochs sets the learning rate of"):
        run.check(longer)


def test_what_a_kill_left_unfinished_is_deleted(tmp_path):
    """A kill before config.json has its name leaves a folder that is still free for the run."""
    run = Run(tmp_path)
    (tmp_path / ".config.json.tmp").write_text("{")
    run.check(Config())
    run.claim(Config())
    run.checkpoints.mkdir()
    (run.checkpoints / "unfinished.weights.h5").write_text("")
    (run.checkpoints / "step-00000004.weights.h5").write_text("")
    (tmp_path / ".export.tmp" / "variables").mkdir(parents=True)
    (tmp_path / ".history.csv.tmp").write_text("")
    (tmp_path / ".metrics.json.tmp").write_text("")
    run.claim(Config())
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".lock", "config.json", "checkpoints/step-00000004.weights.h5"}
    assert not (tmp_path / ".export.tmp").exists()


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, begun):
    run = Run(tmp_path / "run")
    if begun:
        run.claim(Config())

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # permissions do not stop root
    with pytest.raises(UserError, match="run: cannot be written: Read-only file system"):
        run.claim(Config())


def test_a_folder_that_can_never_be_written_is_refused_before_the_data(tmp_path, monkeypatch):
    """Below a file, or where there is no permission; a run that has begun there may still be looked at."""
    run = Run(tmp_path / "run")
    run.claim(Config()).close()
    (tmp_path / "notes").write_text("")
    with pytest.raises(UserError, match=r"^--model_dir=.*/a/run: cannot be written: .*/notes is a file$"):
        Run(tmp_path / "notes" / "a" / "run").require_usable()
    Run(tmp_path / "new" / "run").require_usable()
    assert not (tmp_path / "new").exists()
    run.require_usable()

    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))  # nothing stops root
    for folder, there in ((run.folder, run.folder), (tmp_path / "new" / "run", tmp_path)):
        refusal = f"^--model_dir={folder}: cannot be written: no permission to write in {there}$"
        with pytest.raises(UserError, match=refusal):
            Run(folder).require_usable()
    assert asked == [(run.folder, os.W_OK | os.X_OK), (tmp_path, os.W_OK | os.X_OK)]
    run.check(run.as_begun(Config()))


@pytest.mark.parametrize(("look", "methods"), [("is_file", ["as_begun", "check"]), ("iterdir", ["check"])])
def test_a_folder_that_may_not_be_looked_at_is_refused(tmp_path, monkeypatch, look, methods):
    """The first below a folder that may not be searched, the second one that may not be listed."""
    deny_access(monkeypatch, look)
    for method in methods:
        with pytest.raises(UserError, match=f"={tmp_path}: cannot be written: Permission denied$"):
            getattr(Run(tmp_path), method)(Config())


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="not empty"):
        Run(tmp_path).check(Config())
    with pytest.raises(UserError, match="is a file"):
        Run(tmp_path / "thesis.tex").check(Config())


@pytest.mark.parametrize("text", ["", "{", '{"data": 3}', "[]", '{"data": {"dataset": []}}'])
def test_a_damaged_config_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config"):
        _ = Run(tmp_path).config


METRICS = {"miou": 0.5, "pixel_accuracy": None, "split": "test", "frames": 3}
METRICS |= {"per_class_iou": {"road": 1, "car": None}, "per_class_accuracy": {}, "steps": None}


def test_figures_are_numbers_and_nan_where_there_is_none(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(UserError, match=f"^{tmp_path}: has not ended$"):
        _ = run.metrics
    write_json(run.metrics_file, METRICS)
    assert (run.metrics["miou"], run.metrics["per_class_iou"]["road"]) == (0.5, 1.0)
    assert math.isnan(run.metrics["pixel_accuracy"])
    assert math.isnan(run.metrics["per_class_iou"]["car"])
    assert run.metrics["steps"] is None  # as the file has it


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("miou", "0.5", "miou is no number"),
        ("per_class_iou", [1], "per_class_iou is no table of numbers"),
        ("per_class_accuracy", {"road": "all"}, "road is no number"),
        ("split", "tests", "names no split with its number of frames"),
        ("frames", None, "names no split with its number of frames"),
    ],
)
def test_damaged_figures_are_named(tmp_path, name, value, reason):
    run = Run(tmp_path)
    write_json(run.metrics_file, METRICS | {name: value})
    with pytest.raises(UserError, match=f"metrics.json: damaged: {reason}$"):
        _ = run.metrics


def test_measured_rates_are_those_with_which_the_run_began(tmp_path):
    def config(rates, quantile=0.1):
        return Config(taf=TAFConfig(change_rates=rates, rates_from="base", rates_quantile=quantile))

    begun, asked = config((0.1, 0.2, 0.3, 0.4, 0.5)), config("auto")
    run = Run(tmp_path / "run")
    assert run.as_begun(asked) == asked
    run.claim(begun)
    assert run.as_begun(asked) == begun
    run.check(run.as_begun(asked))
    other = config("auto", 0.2)  # another question
    assert run.as_begun(other) == other
    with pytest.raises(UserError, match="holds another run"):
        run.check(run.as_begun(other))


def test_a_run_knows_whether_its_rates_were_measured(tmp_path):
    """Runs of earlier versions do not say: numbers beside `rates_from` are taken for measured ones."""
    given = TAFConfig(change_rates=(0.1, 0.2, 0.3, 0.4, 0.5), rates_from="base")
    for name, measured in (("measured", True), ("given", False)):
        run = Run(tmp_path / name)
        run.claim(Config(taf=given), measured_rates=measured).close()
        assert run.has_measured_rates == measured
        settings = json.loads(run.config_file.read_text())
        del settings["measured_rates"]
        run.config_file.write_text(json.dumps(settings))
        assert Run(run.folder).has_measured_rates
    run.config_file.write_text(json.dumps(Config(taf=replace(given, method="baseline")).to_dict()))
    assert not Run(run.folder).has_measured_rates  # which measures none


def test_json_is_strict(tmp_path):
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [math.inf, 1.5]})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "a": None,
        "b": ["inf", 1.5],
    }


@pytest.mark.parametrize(("method", "weight"), [("propagate", 0.0), ("pseudo", 0.0), ("taf", 6.0)])
def test_a_run_before_version_0_2_that_labels_partners_had_no_taf_term(tmp_path, method, weight):
    """Its config.json has a weight all the same, which had no effect."""
    labels = PartnerLabelConfig(teacher="teacher")
    settings = Config(taf=TAFConfig(method=method), partner_labels=labels).to_dict()
    settings["taf"]["weight"] = 6.0
    del settings["data"]["blur"], settings["data"]["cutmix"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    config = Run(tmp_path).config
    assert config.taf.weight == weight
    assert config.swaps == (method == "taf")


def test_a_run_knows_the_classes_that_it_was_trained_on(tmp_path):
    run = Run(tmp_path / "run")
    run.claim(Config(), ("road", "car", "sky")).close()
    assert Run(run.folder).config == Config()
    run.check_classes(("road", "car", "sky"))
    for other, said in [
        (("road", "sky", "car"), "class 1 is car there, and sky in this data set"),
        (("road", "car"), "class 2 is sky there, and none in this data set"),
    ]:
        with pytest.raises(UserError, match=f"run: was trained on other classes: {said}"):
            run.check_classes(other)


def test_a_run_knows_the_clips_that_it_was_trained_on(tmp_path):
    """By their names and key frames: the folder of the data may be another one."""

    def clips(*keys, folder="a"):
        return [Clip(f"quay_{n}", (Frame(n, f"{folder}/{n}.png", f"{folder}/{n}_ids.png"),), n) for n in keys]

    run = Run(tmp_path / "run")
    run.check_clips(clips(1))  # it has not begun
    run.claim(Config(), clips=clips(1, 2, 3)).close()
    assert Run(run.folder).config == Config()
    run.check_clips(clips(1, 2, 3, folder="b"))
    for other, count in ((clips(1, 2), 2), (clips(1, 2, 4), 3), (clips(2, 1, 3), 3)):
        with pytest.raises(UserError) as refused:
            run.check_clips(other)
        assert str(refused.value) == (
            f"--model_dir={run.folder}: its run began with other training clips (3 then, {count} now): bring "
            "those back, or give another --model_dir"
        )

    earlier = Run(tmp_path / "earlier")  # which does not say
    earlier.claim(Config()).close()
    settings = json.loads(earlier.config_file.read_text())
    assert settings.pop("train_clips") is None
    earlier.check_clips(clips(1))
    earlier.config_file.write_text(json.dumps(settings))
    earlier.check_clips(clips(1))


def test_the_classes_of_an_earlier_run_are_those_of_its_metrics(tmp_path):
    run = Run(tmp_path / "run")
    run.claim(Config()).close()
    run.check_classes(("anything",))
    per_class = {"per_class_iou": {"a": 1, "b": 1}, "per_class_accuracy": {"a": 1, "b": 1}}
    write_json(run.metrics_file, {"miou": 1, "pixel_accuracy": 1, "split": "val", "frames": 1} | per_class)
    Run(run.folder).check_classes(("a", "b"))
    with pytest.raises(UserError, match="class 0 is a there, and b in this data set"):
        Run(run.folder).check_classes(("b", "a"))
