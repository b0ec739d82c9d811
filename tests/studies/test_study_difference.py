import numpy as np
import pandas as pd
import pytest
from study_examples import CLASSES, clip_of, footage_of

from taf_keras.evaluation.confusion import summarise
from taf_keras.studies.bootstrap import RESAMPLES, ious, resampled
from taf_keras.studies.difference import MEAN, compare, counted_classes, describe, plot

# Two frames of two groups, 16 pixels each; class 0 is in 8 of them, and class 1 in the others.
# IoU of each class:         6/8, 8/10          8/8, 8/8
BASE = np.array([[[6, 2], [0, 8]], [[8, 0], [0, 8]]])
# IoU of each class:         8/8, 8/8           4/8, 8/12
TAF = np.array([[[8, 0], [0, 8]], [[4, 4], [0, 8]]])
NAMES = ("road", "car")
LESS, MORE = {}, {}  # differences where the second, or the first, group is drawn twice
LESS["road"], MORE["road"] = 4 / 8 - 1, 1 - 6 / 8
LESS["car"], MORE["car"] = 8 / 12 - 1, 1 - 8 / 10
LESS[MEAN], MORE[MEAN] = (np.mean([ends["road"], ends["car"]]) for ends in (LESS, MORE))


def compared(*results, groups=("a", "b"), names=NAMES) -> pd.DataFrame:
    """The table, by model and class."""
    return compare(results, names, groups).set_index(["model", "class"])


def test_differences_are_those_of_the_summed_matrices():
    """Base [[14, 2], [0, 16]]: 14/16 and 16/18. TAF [[12, 4], [0, 16]]: 12/16 and 16/20."""
    table = compared(("base", 0, BASE), ("taf", 0, TAF))
    base, taf = {"road": 14 / 16, "car": 16 / 18}, {"road": 12 / 16, "car": 16 / 20}
    base[MEAN], taf[MEAN] = sum(base.values()) / 2, sum(taf.values()) / 2
    for name in (MEAN, *NAMES):
        assert table.loc[("base", name), "iou"] == pytest.approx(base[name])
        assert table.loc[("taf", name), "iou"] == pytest.approx(taf[name])
        assert table.loc[("taf", name), "difference"] == pytest.approx(taf[name] - base[name])
    assert table.loc["base", ["difference", "difference_low"]].isna().all(axis=None)
    assert (table.groups == 2).all()


def test_the_interval_is_that_of_the_draws():
    """A quarter of the draws has the first group twice, a quarter the second: so the ends are of these."""
    table = compared(("base", 0, BASE), ("taf", 0, TAF)).loc["taf"]
    for name in (MEAN, *NAMES):
        assert table.loc[name, "difference_low"] == pytest.approx(LESS[name])
        assert table.loc[name, "difference_high"] == pytest.approx(MORE[name])


def test_frames_of_a_group_are_drawn_together():
    """Two frames in one group are as good as one with the sum of their pixels, wherever they come."""

    def halves(matrices):
        return np.stack([matrices[0] - 2 * np.eye(2, dtype=int), matrices[1], 2 * np.eye(2, dtype=int)])

    table = compared(("base", 0, halves(BASE)), ("taf", 0, halves(TAF)), groups=("a", "b", "a"))
    pd.testing.assert_frame_equal(table, compared(("base", 0, BASE), ("taf", 0, TAF)))


def test_all_models_and_seeds_get_the_same_draws():
    """The seeds' differences are opposites in every draw: their mean is 0, and its error is not."""
    table = compared(("base", 0, BASE), ("base", 1, TAF), ("taf", 0, TAF), ("taf", 1, BASE)).loc["taf"]
    np.testing.assert_allclose(table[["difference", "difference_low", "difference_high"]], 0, atol=1e-12)
    # Differences ±d have the standard deviation √2·d, and of two the mean has the error d.
    np.testing.assert_allclose(table.loc["road", "difference_se"], 14 / 16 - 12 / 16)


def test_differences_are_paired_by_seed():
    results = [("base", 0, BASE), ("base", 1, BASE), ("taf", 1, TAF), ("taf", 2, 0 * TAF), ("x", 5, TAF)]
    table = compared(*results)
    assert table.loc[("taf", MEAN), ["seeds", "pairs"]].tolist() == [2, 1]
    assert table.loc[("taf", MEAN), "difference_high"] == pytest.approx(MORE[MEAN])
    assert table.loc[("x", MEAN), ["seeds", "pairs"]].tolist() == [1, 0]
    assert table.loc["x", ["difference", "difference_low"]].isna().all(axis=None)
    base, taf, other = describe(table.reset_index()).splitlines()[1:]
    assert base.split()[:2] == ["base", "2"]
    assert "(1 of 2 seeds)" in taf
    assert "no seed in common" in other


def test_classes_with_an_iou_are_counted():
    """Class 2 is predicted once, by the second model, and class 3 nowhere."""
    base, taf = np.zeros((2, 2, 4, 4), int)
    base[:, :2, :2] = BASE
    taf[:] = base
    taf[1, 0, 2] = 1
    counted = counted_classes([("base", 0, base), ("taf", 3, taf)])
    assert counted.to_dict("list") == {"arm": ["base", "taf"], "seed": [0, 3], "classes": [2, 3]}


def test_a_class_counts_where_it_occurs():
    """Class 2 is in the second group alone, where half of it is found, and by the base all. 3 is nowhere."""
    base, taf = (np.pad(matrices, ((0, 0), (0, 2), (0, 2))) for matrices in (BASE, TAF))
    base[1, 2, 2], taf[1, 2, 2], taf[1, 2, 0] = 4, 2, 2
    table = compared(("base", 0, base), ("taf", 0, taf), names=(*NAMES, "sky", "tree")).loc["taf"]
    assert table.loc["sky", ["difference", "difference_low", "difference_high"]].tolist() == [-0.5] * 3
    assert table.loc["tree", ["iou", "difference", "difference_low"]].isna().all()
    # Where the first group is drawn twice, mIoU is the mean of the two classes that it has.
    assert table.loc[MEAN, "difference_high"] == pytest.approx(MORE[MEAN])


def test_one_group_has_no_interval(capsys):
    table = compare([("base", 0, BASE), ("taf", 0, TAF)], NAMES, ("a", "a"))
    assert table[["difference_low", "difference_high"]].isna().all(axis=None)
    assert table.difference.notna().sum() == 3
    assert "no interval: 1 group" in describe(table)
    assert "95 % over 2 groups" in describe(compare([("base", 0, BASE), ("taf", 0, TAF)], NAMES, ("a", "b")))


def test_draws_are_always_the_same_and_of_as_many_groups():
    draws = resampled(5)
    assert draws.shape == (RESAMPLES, 5)
    assert (draws.sum(axis=1) == 5).all()
    np.testing.assert_array_equal(draws, resampled(5))
    # Each is drawn once on average; its number has the variance 5 · 1/5 · 4/5.
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=5 * np.sqrt(0.8 / RESAMPLES))


def test_figures_are_those_of_the_evaluation():
    counts = np.random.default_rng(0).integers(0, 9, (4, 3, 3))
    counts[0, 1], counts[0, :, 1] = 0, 0  # a class in neither
    hits = np.diagonal(counts, axis1=1, axis2=2)
    found = ious(hits, counts.sum(axis=1) + counts.sum(axis=2) - hits)
    for matrix, figures in zip(counts, found, strict=True):
        values = summarise(matrix)
        np.testing.assert_allclose(figures, [values["miou"], *values["per_class_iou"]])


def test_the_chart_says_what_its_bars_are():
    footage = footage_of(clip_of("a", {0: [0]}))
    several = [np.pad(matrices, ((0, 0), (0, 1), (0, 1))) for matrices in (BASE, TAF)]
    for groups, words in ((("a", "b"), "95 % interval over 2 groups"), (("a", "a"), "error over seeds")):
        results = [("base", 0, several[0]), ("taf", 0, several[1]), ("other", 0, several[1])]
        figure = plot(compare(results, CLASSES.names, groups), footage)
        above, below = figure.axes
        assert words in above.get_title()
        assert above.get_legend_handles_labels()[1] == ["taf", "other"]
        assert [tick.get_text() for tick in below.get_xticklabels()] == list(CLASSES.names)
