"""Shapes become the pixels whose centres they hold."""

import numpy as np
import pytest

from taf_keras.label_formats.brush import brush_mask
from taf_keras.label_formats.shapes import Mask, box, draw, ellipse, polygon, runs

SIZE = HEIGHT, WIDTH = 40, 60


def whole(mask: Mask, size=SIZE) -> np.ndarray:
    return draw(size, [(1, mask)]) == 1


def inside(ring, x: float, y: float) -> bool:
    """Whether a ray from the point to the right crosses an odd number of edges."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x
    return crossings % 2 == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_polygon_is_the_pixels_whose_centres_lie_in_it(seed):
    rng = np.random.default_rng(seed)  # 3 to 10 corners in any order cross themselves, and lie outside too
    ring = rng.uniform((-10, -10), (WIDTH + 10, HEIGHT + 10), (3 + seed, 2)).tolist()
    truth = [[inside(ring, x + 0.5, y + 0.5) for x in range(WIDTH)] for y in range(HEIGHT)]
    np.testing.assert_array_equal(whole(polygon(SIZE, ring)), truth)


@pytest.mark.parametrize("seed", range(4))
def test_shapes_that_share_an_edge_share_no_pixel_and_leave_none(seed):
    rng = np.random.default_rng(seed)
    corners = [(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)]
    middle = rng.uniform((10, 10), (50, 30)) if seed else (20, 20)  # a diagonal through centres
    parts = [
        whole(polygon(SIZE, [a, b, middle])) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    assert (sum(part.astype(int) for part in parts) == 1).all()


def test_a_box_at_whole_pixels_has_its_area_and_a_ring_within_is_a_hole():
    outer, inner = [(5, 6), (25, 6), (25, 30), (5, 30)], [(10, 10), (20, 10), (20, 20), (10, 20)]
    assert whole(polygon(SIZE, outer)).sum() == 20 * 24
    assert whole(polygon(SIZE, outer, inner)).sum() == 20 * 24 - 100
    np.testing.assert_array_equal(whole(box(SIZE, 5, 6, 25, 30)), whole(polygon(SIZE, outer)))


def test_turns_are_clockwise_on_the_screen():
    turned = whole(box(SIZE, 20, 19, 40, 21, 45))  # its right end goes down
    rows, columns = np.nonzero(turned)
    assert np.corrcoef(rows, columns)[0, 1] > 0.9
    np.testing.assert_array_equal(whole(box(SIZE, 20, 10, 40, 30, 90)), whole(box(SIZE, 20, 10, 40, 30)))
    rows, columns = np.nonzero(whole(ellipse(SIZE, 30, 20, 15, 2, 45)))
    assert np.corrcoef(rows, columns)[0, 1] > 0.9


def test_an_ellipse_has_its_area():
    assert whole(ellipse(SIZE, 30, 20, 15, 10)).sum() == pytest.approx(
        np.pi * 15 * 10, rel=0.02
    )  # pixels are counted


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(ValueError, match="no number"):
        polygon(SIZE, [(1, 1), (2, number), (3, 3)])


def test_less_than_three_points_enclose_nothing():
    for ring in ([(1, 1), (20, 20)], [(1.5, 1.5)]):
        assert not whole(polygon(SIZE, ring)).any()


def test_later_shapes_cover_earlier_ones_and_are_cut_at_the_edges():
    label = draw((4, 6), [(3, Mask(-1, -2, np.ones((3, 4), bool))), (5, Mask(1, 1, np.ones((9, 9), bool)))])
    assert label.tolist() == [[3, 3, 254, 254, 254, 254], [3, 5, 5, 5, 5, 5], *[[254, 5, 5, 5, 5, 5]] * 2]
    assert (
        draw((4, 6), [(1, Mask(9, 9, np.ones((2, 2), bool))), (1, Mask(-9, 0, np.ones((2, 2), bool)))]) == 254
    ).all()


def test_run_lengths_fill_the_mask_along_rows_or_columns():
    assert runs([1, 2, 3], (2, 3)).tolist() == [[False, True, True], [False] * 3]
    assert runs([1, 2, 3], (2, 3), "F").tolist() == [[False, True, False], [True, False, False]]
    for counts in ([1, 2], [1, 2, 4], [-1, 7], [[6]]):
        with pytest.raises(ValueError, match="do not add up to 2x3"):
            runs(counts, (2, 3))


def test_a_brush_of_other_sizes_is_refused_before_it_takes_memory():
    head = f"{4 * 10**9:032b}" + "0" * 40
    data = bytes(int(head[i : i + 8], 2) for i in range(0, len(head), 8))
    with pytest.raises(ValueError, match=r"a brush of 4,000,000,000 values for 40x60 px"):
        brush_mask(data, SIZE)
    head = f"{4 * HEIGHT * WIDTH:032b}" + "0" * 8
    with pytest.raises(ValueError, match="ends too early"):
        brush_mask(bytes(int(head[i : i + 8], 2) for i in range(0, len(head), 8)), SIZE)


def test_a_brush_with_single_values_and_runs_is_read():
    """One value, a run of 3, and 4 values one by one: 2×1 px of 4 channels, of which the last counts."""
    blocks = ["0" + "00" + "000" + f"{9:08b}", "1" + "00" + "010" + f"{0:08b}"]
    blocks.append("0" + "00" + "011" + "".join(f"{v:08b}" for v in (0, 0, 0, 7)))
    text = f"{8:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16)) + "".join(blocks)
    text += "0" * (-len(text) % 8)
    data = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    assert brush_mask(data, (2, 1)).tolist() == [[False], [True]]
