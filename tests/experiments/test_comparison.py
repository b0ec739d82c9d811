import numpy as np
import pandas as pd
import pytest

from taf_keras.experiments.comparison import compare, markdown, student_t, uneven_classes, with_error


def results(**arms) -> pd.DataFrame:
    """{arm: {seed: mIoU}} as runs, whose pixel accuracy is 0.5 on the same frames."""
    rows = [(arm, seed, miou, 0.5) for arm, runs in arms.items() for seed, miou in runs.items()]
    table = pd.DataFrame(rows, columns=["arm", "seed", "miou", "pixel_accuracy"])
    return table.assign(evaluated_on="test, 9 frames")


# Printed tables of Student's t: rows of the degrees of freedom, two-sided 95 % and 99 %.
@pytest.mark.parametrize(
    ("freedom", "at_95", "at_99"),
    [(1, 12.706, 63.657), (2, 4.303, 9.925), (4, 2.776, 4.604), (9, 2.262, 3.250), (120, 1.980, 2.617)],
)
def test_quantiles_of_students_t(freedom, at_95, at_99):
    assert student_t(freedom) == pytest.approx(at_95, abs=6e-4)
    assert student_t(freedom, 0.99) == pytest.approx(at_99, abs=6e-4)


def test_figures_of_five_paired_seeds():
    base = {seed: 0.30 + 0.01 * seed for seed in range(5)}
    gains = [0.01, 0.03, 0.02, 0.05, 0.04]
    table = compare(results(a=base, b={seed: base[seed] + gains[seed] for seed in base}), "a").set_index(
        "arm"
    )
    # 30 … 34 %: mean 32, sample variance 10/4 = 2.5. The gains are 1 … 5 points: mean 3, variance 2.5.
    error = np.sqrt(2.5 / 5)
    assert table.loc["a", "miou"] == pytest.approx(32)
    assert table.loc["a", "miou_se"] == pytest.approx(error)
    assert table.loc["b", "miou_difference"] == pytest.approx(3)
    assert table.loc["b", "miou_difference_se"] == pytest.approx(error)
    assert table.loc["b", "miou_difference_ci95"] == pytest.approx(2.776 * error, rel=1e-3)
    assert list(table.seeds) == list(table.pairs) == [5, 5]


def test_a_single_seed_has_no_error():
    text = markdown(compare(results(a={0: 0.1}, b={0: 0.2}), "a"), "a")
    assert "| b | 1 | 20.00 | +10.00 | 50.00 | +0.00 |" in text


def test_unpaired_seeds_enter_no_difference():
    table = compare(results(a={0: 0.1, 1: 0.2}, b={1: 0.5, 2: 0.9}), "a")
    row = table.set_index("arm").loc["b"]
    assert (row.seeds, row.pairs) == (2, 1)
    assert row.miou_difference == pytest.approx(30)
    assert np.isnan(row.miou_difference_se)
    assert np.isnan(row.miou_difference_ci95)
    assert "| b | 2 | 70.00 ± 20.00 | +30.00 (1 pair) | 50.00 ± 0.00 | +0.00 (1 pair) |" in markdown(
        table, "a"
    )
    two = compare(results(a={0: 0.1, 1: 0.2}, b={0: 0.3, 1: 0.4, 2: 0.9}), "a")
    assert "| +20.00 ± 0.00 (2 pairs) |" in markdown(two, "a")


def test_runs_on_other_frames_are_no_pair():
    runs = results(a={0: 0.1, 1: 0.2}, b={0: 0.3, 1: 0.5}, c={0: 0.4, 1: 0.6})
    runs.evaluated_on = ["test, 5 frames", *["test, 9 frames"] * 3, *["val, 9 frames"] * 2]
    table = compare(runs, "a").set_index("arm")
    assert list(table.pairs) == [2, 1, 0]
    assert list(table.miou) == pytest.approx([15, 40, 50])
    assert table.loc["b", "miou_difference"] == pytest.approx(30)
    assert np.isnan(table.loc["b", "miou_difference_se"])
    assert np.isnan(table.loc["c", "miou_difference"])
    text = markdown(table.reset_index(), "a")
    assert "| b | 2 | 40.00 ± 10.00 | +30.00 (1 pair) | 50.00 ± 0.00 | +0.00 (1 pair) |" in text
    assert "| c | 2 | 50.00 ± 10.00 |  | 50.00 ± 0.00 |  |" in text


def test_a_mean_over_more_classes_than_the_others_is_named():
    """One pixel predicted as a class that no label has costs the mean of two classes a third."""
    table = results(base={0: 0.8, 1: 0.8}, taf={0: 0.8, 1: 0.8 * 2 / 3}).assign(classes=[2, 2, 2, 3])
    warning = uneven_classes(table)
    assert warning.startswith("warning: mIoU is the mean of 2 to 3 classes.")
    assert "as in taf, seed 1:" in warning
    assert uneven_classes(table[:3]) == ""
    assert uneven_classes(table[:0]) == ""


def test_without_the_reference_there_are_means_but_no_differences():
    table = compare(results(b={0: 0.1, 1: 0.3}), "a")
    assert table.miou.item() == pytest.approx(20)
    assert np.isnan(table.miou_difference.item())
    assert "| b | 2 | 20.00 ± 10.00 |  |" in markdown(table, "a")


def test_what_is_missing_leaves_its_cell_empty():
    assert with_error(float("nan"), float("nan")) == ""
    assert with_error(1.234, float("nan")) == "1.23"
    assert with_error(-1.234, 0.5, "+.1f") == "-1.2 ± 0.50"
