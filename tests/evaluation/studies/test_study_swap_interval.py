from pathlib import Path

import numpy as np
import pytest
from study_examples import clip_of, footage_of, linear_network

from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.evaluation.studies.branches import BranchedNetwork
from taf_keras.evaluation.studies.footage import load_footage
from taf_keras.evaluation.studies.swap_interval import measure
from taf_keras.storage.model_dir import ModelDir


def test_interval_0_is_the_plain_evaluation_and_farther_ones_are_not(finished_run):
    config, metrics = finished_run
    footage = load_footage(config.data, metrics["split"])
    checkpoint = latest_checkpoint(ModelDir(str(Path(config.runtime.model_dir))))
    network = load_network(config, footage.split.classes.names, checkpoint)
    table = measure(BranchedNetwork(network, config.model.branches), footage)
    assert list(table.branch.drop_duplicates()) == list(config.model.branches)
    at_once = table[table.interval_frames == 0]
    assert (at_once.miou == metrics["miou"]).all()
    assert (at_once.pixel_accuracy == metrics["pixel_accuracy"]).all()
    assert (at_once.frames == metrics["frames"]).all()
    later = table[table.interval_frames > 0]
    assert (later.frames == 2 * metrics["frames"]).all()
    assert (later.pixel_accuracy != metrics["pixel_accuracy"]).any()


def test_the_curve_of_a_network_that_reads_one_branch_is_that_of_the_partners_pixels():
    """Swapping `used` makes the prediction what the partner shows. In the three partners at |n| = 1

    0 1 1 1, 0 0 1 1 and 0 0 0 1, against the truth 0 0 1 1 of both clips, 1 pixel of 6 of class 0 is
    called 1 and 1 of 6 of class 1 is called 0: 5 hits of each, and a union of 6 + 6 − 5 = 7.
    """
    footage = footage_of(
        clip_of("both", {-1: [0, 0, 1, 1], 0: [0, 0, 1, 1], 1: [0, 1, 1, 1]}),
        clip_of("one", {-1: [0, 0, 0, 1], 0: [0, 0, 1, 1]}),
    )
    table = measure(linear_network(), footage).set_index(["branch", "interval_frames"])
    assert table.loc[("used", 0), "miou"] == 1
    assert table.loc[("used", 1), "miou"] == pytest.approx(5 / 7)
    assert table.loc[("used", 1), "pixel_accuracy"] == pytest.approx(10 / 12)
    assert list(table.frames) == [2, 3, 2, 3]
    assert (table.loc["unused"].miou == 1).all()


def test_the_labels_of_the_partners_play_no_part():
    frames = {0: [0, 0, 1, 1], 2: [0, 1, 1, 1]}
    with_labels = measure(linear_network(), footage_of(clip_of("a", frames)))
    without = measure(linear_network(), footage_of(clip_of("a", frames, {0: frames[0]})))
    assert with_labels.equals(without)


def test_equal_frames_give_a_flat_curve():
    """Also where the prediction is wrong: the label is not what the frames show."""
    shown, label = np.random.default_rng(0).integers(0, 3, (2, 4, 6))
    clip = clip_of("still", dict.fromkeys((-5, -2, 0, 2, 5), shown), {0: label})
    table = measure(linear_network(), footage_of(clip))
    assert len(table) == 2 * 3
    assert table.miou.nunique() == 1
    assert 0 < table.miou[0] < 1
