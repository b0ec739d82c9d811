"""The map of experiments is in order, and its figure can be drawn."""

import re

import numpy as np
import pytest
from promises import anchors, under

from docs import gain_map
from taf_keras.advice.nearest import COLUMNS, read_map

CELLS = read_map()


def test_every_cell_has_what_the_map_is_made_of():
    assert tuple(CELLS.columns) == COLUMNS
    assert CELLS.cell.is_unique
    assert set(CELLS.places) <= {"same", "new"}
    numbers = CELLS.drop(columns=["cell", "data", "places", "source"])
    assert np.isfinite(numbers).all(axis=None)
    assert (numbers.drop(columns=["taf", "all"]) > 0).all(axis=None)
    assert (CELLS.label_share <= 1).all()
    assert (CELLS.seeds >= 3).all()


def test_motion_is_the_same_in_px_and_as_a_share():
    px = CELLS.motion_share_per_frame * CELLS.image_width
    np.testing.assert_allclose(px, CELLS.motion_px_per_frame, rtol=0.01)


@pytest.mark.parametrize("source", sorted(set(CELLS.source)))
def test_sources_are_places_of_the_docs(source):
    file, _, anchor = source.partition("#")
    assert anchor in anchors(file)


def test_figures_are_those_of_their_page():
    """Gains are in their arm's row of the section that is named, to the last digit."""
    for _, cell in CELLS.iterrows():
        file, _, anchor = cell.source.partition("#")
        for gain, arms in (("taf", "taf"), ("all", "upper|oracle")):
            figure = re.escape(f"{cell[gain]:+.2f} ± {cell[f'{gain}_se']:.2f}")
            row = rf"^\| ({arms})(_jitter)? \| {cell.seeds} \| [^|]+ \| {figure} \|"
            assert re.search(row, under(file, anchor), re.MULTILINE), (cell.cell, gain)


def test_the_figure_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gain_map, "PICTURE", tmp_path / "map.png")
    gain_map.main([])
    assert (tmp_path / "map.png").stat().st_size > 10_000
    figure = gain_map.figure(CELLS)
    assert {text.get_text() for text in figure.axes[0].texts} == set(CELLS.cell)
