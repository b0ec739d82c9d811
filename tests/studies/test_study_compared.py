import re
from pathlib import Path

import pytest
from conftest import tiny_config

from taf_keras.errors import UserError
from taf_keras.storage.run import Run
from taf_keras.studies.compared import common_data, read_arms


def write(folder, seed=0, **groups) -> str:
    training = {"seed": seed} | groups.pop("training", {})
    config = tiny_config(folder.parents[1], training=training, **groups)
    Run(folder).claim(config)
    (folder / "metrics.json").write_text("{}")
    return str(folder)


def names(*folders) -> list[tuple[str, int]]:
    return [(arm.name, run.seed) for arm in read_arms([str(f) for f in folders]) for run in arm.runs]


def runs_of(folders: list[str]) -> list[Run]:
    return [run for arm in read_arms(folders) for run in arm.runs]


BASELINE = {"taf": {"method": "baseline"}}


def test_a_run_is_named_after_its_folder_and_its_parent_where_names_collide(tmp_path):
    a = write(tmp_path / "baseline" / "seed-0", **BASELINE)
    b = write(tmp_path / "taf" / "seed-0")
    c = write(tmp_path / "x" / "other", seed=1, model={"head_channels": 16})
    assert names(b) == [("seed-0", 0)]
    assert names(a, b) == [("baseline/seed-0", 0), ("taf/seed-0", 0)]
    assert names(b, c) == [("seed-0", 0), ("other", 1)]


def test_runs_that_differ_by_their_seed_alone_are_one_model(tmp_path):
    folders = [write(tmp_path / "taf" / f"seed-{seed}", seed) for seed in range(3)]
    folders += [write(tmp_path / "baseline" / f"seed-{seed}", seed, **BASELINE) for seed in range(2)]
    expected = [("taf", 0), ("taf", 1), ("taf", 2), ("baseline", 0), ("baseline", 1)]
    assert names(*folders) == expected
    assert names(tmp_path / "taf", tmp_path / "baseline") == expected  # folders of runs


def test_another_setting_is_another_model_even_in_the_same_folder(tmp_path):
    folders = [write(tmp_path / "runs" / f"a{seed}", seed) for seed in range(2)]
    folders += [write(tmp_path / "runs" / "b", taf={"weight": 2.0})]
    assert names(*folders) == [("a0", 0), ("a0", 1), ("b", 0)]


def test_the_same_seed_again_is_another_model(tmp_path):
    """Two versions of a program, say: their runs have equal settings and must not be averaged."""
    folders = [write(tmp_path / old / f"seed-{seed}", seed) for old in ("old", "new") for seed in (0, 1)]
    assert names(*folders) == [("old", 0), ("old", 1), ("new", 0), ("new", 1)]


def test_runs_of_one_folder_stay_together_where_another_has_their_seeds(tmp_path):
    """The new version has a seed that the old one has not: it is no seed of the old one."""
    seeds = {"old": (0, 1), "new": (0, 1, 2)}
    folders = [write(tmp_path / name / f"seed-{n}", n) for name, own in seeds.items() for n in own]
    new = [("new", 0), ("new", 1), ("new", 2)]
    assert names(*folders) == [("old", 0), ("old", 1), *new]
    assert names(*reversed(folders)) == [*reversed(new), ("old", 1), ("old", 0)]
    mixed = [folders[i] for i in (2, 0, 3, 1, 4)]
    assert names(*mixed) == [*new, ("old", 0), ("old", 1)]


def test_seeds_that_are_spread_over_folders_are_one_model(tmp_path):
    folders = [write(tmp_path / f"day{seed // 3}" / f"seed-{seed}", seed) for seed in range(5)]
    assert names(*folders) == [("seed-0", seed) for seed in range(5)]  # named after its first run


def test_the_same_seed_again_in_the_same_folder_is_another_model(tmp_path):
    folders = [write(tmp_path / "runs" / name, seed) for name, seed in (("a", 0), ("b", 1), ("c", 0))]
    assert names(*folders) == [("a", 0), ("a", 1), ("c", 0)]


def test_seeds_with_teachers_of_their_own_are_one_model(tmp_path):
    folders = [
        write(
            tmp_path / "pseudo" / f"seed-{seed}",
            seed,
            taf={"method": "pseudo"},
            partner_labels={"teacher": f"runs/baseline/seed-{seed}"},
        )
        for seed in range(2)
    ]
    assert names(*folders) == [("pseudo", 0), ("pseudo", 1)]


def test_where_a_run_executes_makes_no_difference(tmp_path):
    a = write(tmp_path / "taf" / "seed-0")
    b = write(tmp_path / "taf" / "seed-1", seed=1, runtime={"reader_threads": 5})
    assert names(a, b) == [("taf", 0), ("taf", 1)]


def test_runs_that_have_not_ended_are_left_out_of_their_folder(tmp_path, capsys):
    folders = [Path(write(tmp_path / "taf" / f"seed-{seed}", seed)) for seed in range(3)]
    (folders[1] / "metrics.json").unlink()
    assert names(tmp_path / "taf") == [("taf", 0), ("taf", 2)]
    assert capsys.readouterr().out == f"left out  {folders[1]}: has not ended\n"
    assert names(folders[1]) == [("seed-1", 1)]  # named by itself, it is meant
    for folder in folders[::2]:
        (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match="none of its 3 runs has ended"):
        names(tmp_path / "taf")


def test_what_is_no_comparison_is_refused(tmp_path):
    folder = write(tmp_path / "taf" / "seed-0")
    with pytest.raises(UserError, match="seed-0: is given twice"):
        runs_of([folder, str(tmp_path / "taf")])
    with pytest.raises(UserError, match="holds no run"):
        runs_of([folder, str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="--model_dir: must not be empty"):
        runs_of([])


@pytest.mark.parametrize(
    ("setting", "value"), [("scene_seed", 7), ("drift", 0.5), ("image_size", (64, 96)), ("test_clips", 9)]
)
def test_runs_on_other_frames_are_refused(tmp_path, setting, value):
    folders = [write(tmp_path / "a" / "run"), write(tmp_path / "b" / "run", data={setting: value})]
    with pytest.raises(UserError, match=re.escape(f"has {setting}={value}, ")):
        common_data(runs_of(folders), "test", None)


def test_packed_clips_have_no_frames_beyond_those_that_were_packed(tmp_path):
    packed = {"dataset": "packed", "data_dir": "shards", "temporal_context": 4}
    files = packed | {"dataset": "manifest"}
    for data, reach in ((packed, 4), (files, 15)):
        runs = runs_of([write(tmp_path / data["dataset"] / "run", data=data)])
        assert common_data(runs, "test", None)[0].temporal_context == reach


def test_what_training_alone_sees_may_differ_unless_the_split_is_train(tmp_path):
    few = {"data": {"subset": 0.5, "flip": False, "val_clips": 3}}
    runs = runs_of([write(tmp_path / "a" / "run"), write(tmp_path / "b" / "run", **few)])
    assert common_data(runs, "test", None)[1] == "test"
    with pytest.raises(UserError, match=r"subset=0\.5"):
        common_data(runs, "train", None)


def test_the_data_has_the_largest_context_and_lies_where_it_is_said_to(tmp_path):
    clips = {"dataset": "manifest", "data_dir": "clips", "eval_split": "test"}
    far = write(tmp_path / "b" / "run", data=clips | {"temporal_context": 20, "data_dir": "elsewhere"})
    runs = runs_of([write(tmp_path / "a" / "run", data=clips), far])
    with pytest.raises(UserError, match="data_dir=elsewhere"):
        common_data(runs, None, None)
    data, split = common_data(runs, None, "here")
    assert (data.data_dir, data.temporal_context, split) == ("here", 20, "test")
    assert common_data(runs[:1], "val", None)[0].temporal_context == 15  # the paper's intervals lie within
