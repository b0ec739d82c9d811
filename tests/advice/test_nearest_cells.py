"""The map's cells by their distance from a user's clips."""

import math

import pandas as pd
import pytest

from taf_keras.advice.nearest import COLUMNS, nearest_cells, read_map

CELLS = pd.DataFrame(
    {
        "cell": ["slow", "fast", "fast_jitter", "new"],
        "motion_share_per_frame": [0.005, 0.02, 0.02, 0.02],
        "light_change_5": [10.0, 20.0, 20.0, 20.0],
        "places": ["same", "same", "same", "new"],
        "baseline": [50.0, 60.0, 65.0, 90.0],
    }
)


def names(*arguments) -> list[str]:
    return nearest_cells(CELLS, *arguments).cell.tolist()


def test_places_come_first():
    assert names(0.02, 20, "new") == ["new"]
    assert "new" not in names(0.02, 20, "same")
    assert names(0.02, 20, None)[0] == "new"  # all are there; of equal ones the best baseline is first


def test_then_the_distance_in_octaves():
    found = nearest_cells(CELLS, 0.01, 10.0, "same")
    assert found.cell[0] == "slow"
    assert found.distance.tolist() == pytest.approx([1, math.sqrt(2), math.sqrt(2)], abs=1e-5)


def test_of_one_experiment_the_better_baseline_is_first():
    assert names(0.03, 20, "same") == ["fast_jitter", "fast", "slow"]


def test_without_light_motion_alone_counts():
    assert nearest_cells(CELLS, 0.04, math.nan, "same").distance[0] == pytest.approx(1, abs=1e-5)


def test_clips_at_rest_are_nearest_to_the_slowest():
    assert names(0.0, 0.0, "same")[0] == "slow"


def test_the_map_has_what_is_read_of_it():
    assert tuple(read_map().columns) == COLUMNS
