"""Studies from the folders of runs to their files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from taf_keras.errors import UserError
from taf_keras.evaluation.network import load_network
from taf_keras.studies.panels import new_panels, over_seeds
from taf_keras.studies.run import STUDIES, run_study

MODULE = "taf_keras.studies.run"


@pytest.fixture(scope="module")
def runs(finished_run, tmp_path_factory):
    """Folders of two runs that differ by their seed alone, as far as their settings say."""
    folder = tmp_path_factory.mktemp("studied") / "taf"
    for seed in (0, 1):
        copy = folder / f"seed-{seed}"
        shutil.copytree(finished_run[0].runtime.model_dir, copy)
        config = json.loads((copy / "config.json").read_text())
        config["training"]["seed"] = seed
        (copy / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module", autouse=True)
def networks():
    """Loads the network of a checkpoint once for all tests."""
    known = {}

    def load_once(config, names, checkpoint):
        if checkpoint not in known:
            known[checkpoint] = load_network(config, names, checkpoint)
        return known[checkpoint]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{MODULE}.load_network", load_once)
        yield


@pytest.mark.parametrize("study", [name for name, study in STUDIES.items() if study.measure])
def test_a_study_writes_its_table_its_figure_and_to_tensorboard(study, runs, tmp_path):
    first = runs / "seed-0"
    table = run_study(study, [str(first)], max_clips=2, output_dir=str(tmp_path))
    written = pd.read_csv(tmp_path / f"{study}.csv")
    pd.testing.assert_frame_equal(
        written, table.drop(columns="prediction", errors="ignore"), check_dtype=False
    )
    assert list(written.columns[:2]) == ["model", "seed"]
    assert set(written.model) == {"seed-0"}
    assert (tmp_path / f"{study}.png").stat().st_size > 5000
    events = EventAccumulator(str(first / "tensorboard" / "studies")).Reload()
    assert f"studies/{study}" in events.Tags()["tensors"]


def test_seeds_are_rows_of_one_model_and_one_curve(runs, monkeypatch, capsys):
    plotted = []
    monkeypatch.setattr(f"{MODULE}.save_chart", lambda figure, path: plotted.append(figure) or path)
    monkeypatch.setattr(f"{MODULE}.log_picture", lambda *args: None)
    monkeypatch.setattr(f"{MODULE}.read_image", lambda path: None)
    table = run_study("swap_interval", [str(runs)], branch="atrous6", max_clips=1)
    assert set(zip(table.model, table.seed, strict=True)) == {("taf", 0), ("taf", 1)}
    assert set(table.branch) == {"atrous6"}
    (axes,) = plotted[0].axes
    assert axes.get_legend_handles_labels()[1] == ["taf"]
    assert (runs / "seed-0" / "studies" / "swap_interval.csv").is_file()  # the default folder
    assert "2/2" in capsys.readouterr().out


def test_differences_between_models_over_clips_and_seeds(runs, finished_run, tmp_path, capsys):
    """Beside the two seeds of one model, those of another, at an earlier checkpoint."""
    for seed in (0, 1):
        folder = tmp_path / "other" / f"seed-{seed}"
        shutil.copytree(runs / f"seed-{seed}", folder)
        config = json.loads((folder / "config.json").read_text())
        config["taf"]["weight"] = 0.5
        (folder / "config.json").write_text(json.dumps(config))
        max((folder / "checkpoints").iterdir()).unlink()
    models = [str(tmp_path / "other"), str(runs)]
    table = run_study("difference", models, output_dir=str(tmp_path))
    printed = capsys.readouterr().out
    assert "95 % over 3 groups" in printed  # each synthetic clip is a video of its own
    assert "kept    1 of" not in printed
    means = table[table["class"] == "mean"].set_index("model")
    assert (means.seeds == 2).all()
    assert means.iou["taf"] == pytest.approx(finished_run[1]["miou"], abs=1e-12)
    assert means.difference["taf"] == pytest.approx(means.iou["taf"] - means.iou["other"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "difference.csv"), table, check_dtype=False)
    assert (tmp_path / "difference.png").stat().st_size > 5000

    with pytest.MonkeyPatch.context() as patch:  # nothing is evaluated again
        patch.setattr("taf_keras.studies.confusions.load_network", None)
        again = run_study("difference", models, output_dir=str(tmp_path), group_by="^[a-z]+")
    assert "kept    4 of 4 runs" in capsys.readouterr().out
    assert (again.groups == 1).all()
    pd.testing.assert_series_equal(again.difference, table.difference)


def test_other_training_clips_are_named_and_so_is_memory_that_is_short(runs, tmp_path, monkeypatch, capsys):
    for name, clips in (("first", 2), ("second", 3)):
        folder = tmp_path / name / "seed-0"
        shutil.copytree(runs / "seed-0", folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"train_clips": {"count": clips, "sha256": str(clips)}}
        config["taf"]["weight"] = clips
        (folder / "config.json").write_text(json.dumps(config))

    def exhausted(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(f"{MODULE}.matrices_of_runs", exhausted)
    with pytest.raises(UserError, match=r"^the device has no memory left: smaller images need less$"):
        run_study("difference", [str(tmp_path / "first"), str(tmp_path / "second")])
    err = capsys.readouterr().err
    assert "second/seed-0, seed 0 was trained on other clips (3) than first/seed-0, seed 0 (2)" in err


def test_what_cannot_be_studied_is_refused_at_once(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.load_network", None)  # nothing is loaded
    folder = str(runs / "seed-0")
    with pytest.raises(UserError, match="--study=fig4: allowed are swap_interval, predictions"):
        run_study("fig4", [folder])
    with pytest.raises(UserError, match=r"--branch=stride32: deeplabv3plus .* has image_pool"):
        run_study("swap_interval", [folder], branch="stride32")
    with pytest.raises(UserError, match="--study=class_change changes no branch"):
        run_study("class_change", [folder], branch="image_pool")
    with pytest.raises(UserError, match=r"--study=difference: compares models .* one alone, seed-0"):
        run_study("difference", [folder])
    with pytest.raises(UserError, match=r"--group_by=\(: is no regular expression"):
        run_study("difference", [folder], group_by="(")
    with pytest.raises(UserError, match="--group_by=a: --study=class_change has no groups of clips"):
        run_study("class_change", [folder], group_by="a")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    shutil.copy(Path(folder) / "config.json", unfinished)
    with pytest.raises(UserError, match="unfinished: holds no checkpoint yet"):
        run_study("attenuation", [folder, str(unfinished)])


def test_a_folder_that_cannot_be_made_ends_a_study_before_it_begins(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.load_network", None)  # nothing is loaded
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"^{tmp_path}/file"):
        run_study("attenuation", [str(runs / "seed-0")], max_clips=1, output_dir=str(tmp_path / "file"))


def test_means_over_seeds_have_standard_errors():
    """1, 2, 3 have the standard deviation 1: 1/√3 is the error of their mean."""
    table = pd.DataFrame({"n": [0, 0, 0, 5], "miou": [1.0, 2.0, 3.0, 4.0]})
    result = over_seeds(table, "n", "miou")
    assert list(result["n"]) == [0, 5]
    assert list(result["mean"]) == [2, 4]
    np.testing.assert_allclose(result["error"], [1 / np.sqrt(3), np.nan])


def test_panels_are_as_many_as_their_titles():
    figure, panels = new_panels(list("abcd"), 3, "x", "y")
    assert [axes.get_title() for axes in panels] == list("abcd")
    assert len(figure.axes) == 4
    assert [axes.get_ylabel() for axes in panels] == ["y", "", "", "y"]
