import numpy as np
import pytest
from matplotlib.container import BarContainer
from study_examples import clip_of, footage_of, linear_network

from taf_keras.studies.attenuation import MEAN, REPLACEMENTS, measure, plot

CLIPS = {"a": [0, 1, 1, 1], "b": [2, 2, 2, 1]}


@pytest.fixture(scope="module")
def footage():
    return footage_of(*(clip_of(name, {0: shown}) for name, shown in CLIPS.items()))


@pytest.fixture(scope="module")
def table(footage):
    return measure(linear_network(), footage)


def column(table, branch, replacement, name):
    rows = table[(table.branch == branch) & (table.replacement == replacement)]
    return list(rows[name])


def test_replacing_a_branch_that_is_not_used_changes_nothing(table):
    for replacement in REPLACEMENTS:
        assert column(table, "unused", replacement, "accuracy") == [1, 1, 1, 1]
        assert column(table, "unused", replacement, "iou") == [1, 1, 1, 1]


def test_without_its_only_branch_a_network_says_the_same_everywhere(table):
    """The truth is 0 once, 1 four times and 2 three times; the network says the class nearest to x.

    zeros: x = 0, all 8 pixels are called 0: IoU 1/8.
    sample_mean: x = 0.75 in clip a, called 1, and 1.75 in clip b, called 2. Of class 1 are found 3 of 4
        pixels, and 1 is called so wrongly: IoU 3/5. Of class 2 are found all 3, and 1 wrongly: IoU 3/4.
    split_mean: x = 1.25, all 8 pixels are called 1: IoU 4/8.
    """
    assert column(table, "used", "unmodified", "accuracy") == [1, 1, 1, 1]
    assert column(table, "used", "zeros", "accuracy") == pytest.approx([1, 0, 0, 1 / 3])
    assert column(table, "used", "zeros", "iou") == pytest.approx([1 / 8, 0, 0, 1 / 24])
    assert column(table, "used", "sample_mean", "accuracy") == pytest.approx([0, 3 / 4, 1, 1.75 / 3])
    assert column(table, "used", "sample_mean", "iou") == pytest.approx([0, 3 / 5, 3 / 4, 1.35 / 3])
    assert column(table, "used", "split_mean", "accuracy") == pytest.approx([0, 1, 0, 1 / 3])
    assert column(table, "used", "split_mean", "iou") == pytest.approx([0, 4 / 8, 0, 1 / 6])


def test_the_mean_of_the_split_does_not_depend_on_the_batches():
    """Nine clips are two batches, of eight and of one: the mean over clips is not that of batches.

    Eight clips show 2 and one shows 0: the mean is 16/9, called 2, while the mean of the batches' means
    would be 1, called 1.
    """
    clips = [clip_of(str(i), {0: [0, 0] if i == 8 else [2, 2]}) for i in range(9)]
    table = measure(linear_network(), footage_of(*clips))
    accuracy = column(table, "used", "split_mean", "accuracy")
    np.testing.assert_array_equal(accuracy, [0, np.nan, 1, 0.5])


def test_bars_have_the_heights_of_the_table(table, footage):
    two = table.assign(model="taf", seed=0)
    figure = plot(two, footage)
    assert [axes.get_title() for axes in figure.axes] == ["taf: used", "taf: unused"]
    groups = [group for group in figure.axes[0].containers if isinstance(group, BarContainer)]
    bars = [[bar.get_height() for bar in group] for group in groups]
    assert bars[REPLACEMENTS.index("sample_mean")] == pytest.approx([0, 75, 100, 175 / 3])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][-1] == MEAN
