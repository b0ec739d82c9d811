import keras
import numpy as np
import pytest
from conftest import tiny_config
from study_examples import clip_of, footage_of, linear_network

from taf_keras.evaluation.branches import BranchedNetwork
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.models.build import build_model
from taf_keras.studies.footage import load_footage
from taf_keras.studies.swap_interval import measure


def test_interval_0_is_the_plain_evaluation_and_farther_ones_are_not(tmp_path):
    config = tiny_config(tmp_path, model={"batch_norm_momentum": 0.0})
    footage = load_footage(config.data, "test")
    keras.utils.set_random_seed(0)  # of other weights, a swap may leave the accuracy what it was
    network = build_model(config.model, len(footage.split.classes))
    # Random weights call everything the same. Once its features are normalised by their own statistics
    # and its logits are centred, they call it many things.
    images = footage.images([clip.key_frame for clip in footage.split.clips]).astype(np.float32)
    logits = network(images, training=True).numpy()
    network.get_layer("logits").bias.assign_sub(logits.mean(axis=(0, 1, 2)))
    metrics, _ = evaluate_split(network_predictor(network), footage.split, config.data.image_size)
    table = measure(BranchedNetwork(network, config.branch_layers), footage)
    assert list(table.branch.drop_duplicates()) == list(config.branches)
    at_once = table[table.interval_frames == 0]
    assert (at_once.miou == metrics["miou"]).all()
    assert (at_once.pixel_accuracy == metrics["pixel_accuracy"]).all()
    assert (at_once.frames == metrics["frames"]).all()
    later = table[table.interval_frames > 0]
    assert (later.frames == 2 * metrics["frames"]).all()
    changed = (later.pixel_accuracy != metrics["pixel_accuracy"]) | (later.miou != metrics["miou"])
    assert changed.all()


def test_the_curve_of_a_network_that_reads_one_branch_is_that_of_the_partners_pixels():
    """Swapping `used` makes the prediction what the partner shows.

    At |n| = 1 these are three, and in two of them one of the two pixels of class 0 is called 1: of class 0
    4 of 6 pixels are found, IoU 4/6, and 6 of class 1 with 2 that are none, IoU 6/8.
    """
    footage = footage_of(
        clip_of("before", {-1: [1, 1, 1, 0], 0: [1, 1, 0, 0]}),
        clip_of("both", {-1: [0, 0, 1, 1], 0: [0, 0, 1, 1], 1: [0, 1, 1, 1]}),
    )
    table = measure(linear_network(), footage).set_index(["branch", "interval_frames"])
    assert table.loc[("used", 0), "miou"] == 1
    assert table.loc[("used", 1), "miou"] == pytest.approx((4 / 6 + 6 / 8) / 2)
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
