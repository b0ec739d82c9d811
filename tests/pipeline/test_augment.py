"""One geometry for image, label and mask. The pictures are coordinates: each pixel tells its origin."""

import numpy as np
import pytest

from taf_keras.clips.clip import VOID
from taf_keras.pipeline.augment import PADDING_RGB, Geometry, blurred, rectangle
from taf_keras.pipeline.pairing import Sample

HEIGHT, WIDTH = 60, 84
ROW, COLUMN = np.indices((HEIGHT, WIDTH)).astype(np.uint8)
IMAGE = np.stack([ROW, COLUMN, 200 - ROW], axis=-1)  # red is the row, green the column

# The least scale fills the first; then crops of both kinds, and kinds that differ between the axes.
CROPS = [(30, 42), (60, 84), (130, 180), (31, 171), (121, 33)]


def geometry(scale=1.0, y=0.0, x=0.0, flip=False, crop=(HEIGHT, WIDTH)) -> Geometry:
    return Geometry.of(Sample(0, 0, 0, flip, scale, y, x), (HEIGHT, WIDTH), crop)


def random_geometries(crop, count: int = 25):
    rng = np.random.default_rng([*crop])
    for _ in range(count):
        scale, y, x = rng.uniform(0.5, 2), rng.random(), rng.random()
        yield geometry(scale, y, x, bool(rng.integers(2)), crop)


def test_no_change_without_scale_crop_and_flip():
    whole = geometry()
    np.testing.assert_array_equal(whole.image(IMAGE), IMAGE)
    np.testing.assert_array_equal(whole.label(ROW), ROW)
    assert whole.valid().all()


def test_a_crop_is_a_window():
    """At scale 1 the position 0.5 is row 0.5·(60 − 20 + 1) = 20 and column 0.5·(84 − 31 + 1) = 27."""
    window = geometry(y=0.5, x=0.5, crop=(20, 31))
    np.testing.assert_array_equal(window.image(IMAGE), IMAGE[20:40, 27:58])
    np.testing.assert_array_equal(window.label(ROW), ROW[20:40, 27:58])


@pytest.mark.parametrize("crop", CROPS)
def test_image_and_label_show_the_same_pixels(crop):
    """Nearest and averaged coordinates of one pixel part by half a pixel, and by half when rounded."""
    for g in random_geometries(crop):
        image, valid = g.image(IMAGE).astype(int), g.valid()
        for channel, coordinate in ((0, ROW), (1, COLUMN)):
            label = g.label(coordinate).astype(int)
            assert np.abs(image[..., channel] - label)[valid].max() <= 1, g


def test_both_frames_of_a_pair_show_the_same_pixels():
    partner = IMAGE + np.uint8(50)  # the same coordinates under another light
    for g in random_geometries((48, 64)):
        change = g.image(partner).astype(int) - g.image(IMAGE)
        assert (np.abs(change[g.valid()] - 50) <= 1).all()
        assert (change[~g.valid()] == 0).all()


@pytest.mark.parametrize("crop", CROPS)
def test_labels_never_get_new_ids(crop):
    """Ids 0 and 18 side by side: an average would make ids between them."""
    label = np.where((ROW // 3 + COLUMN // 5) % 2, 18, 0).astype(np.uint8)
    label[:6] = VOID
    for g in random_geometries(crop):
        assert set(np.unique(g.label(label))) <= {0, 18, VOID}


@pytest.mark.parametrize("crop", CROPS)
def test_the_mask_is_false_in_the_padding_and_nowhere_else(crop):
    padded = 0
    for g in random_geometries(crop):
        valid, label, image = g.valid(), g.label(ROW), g.image(IMAGE)
        assert image.shape == (*crop, 3)
        assert label.shape == valid.shape == crop
        assert (image.dtype, label.dtype, valid.dtype) == (np.uint8, np.uint8, bool)
        np.testing.assert_array_equal(valid, label != VOID)  # ROW has no void of its own
        assert (image[~valid] == PADDING_RGB).all()
        rows, columns = valid.any(axis=1), valid.any(axis=0)
        np.testing.assert_array_equal(valid, rows[:, None] & columns)  # one rectangle
        assert valid.any()
        padded += not valid.all()
    assert (padded > 0) == (crop != CROPS[0])


def test_void_of_the_image_is_not_padding():
    """Void pixels are excluded from cross entropy, but they count in δ."""
    label = ROW.copy()
    label[10:20] = VOID
    g = geometry(scale=0.5)
    assert (g.label(label) == VOID)[g.valid()].any()


@pytest.mark.parametrize("crop", CROPS)
def test_a_flip_mirrors_everything(crop):
    for scale, y, x in [(0.6, 0.3, 0.1), (1.0, 0.0, 0.9), (1.7, 0.8, 0.2)]:
        plain, flipped = (geometry(scale, y, x, flip, crop) for flip in (False, True))
        np.testing.assert_array_equal(flipped.image(IMAGE), plain.image(IMAGE)[:, ::-1])
        np.testing.assert_array_equal(flipped.label(COLUMN), plain.label(COLUMN)[:, ::-1])
        np.testing.assert_array_equal(flipped.valid(), plain.valid()[:, ::-1])
        assert flipped.image(IMAGE).flags.c_contiguous


@pytest.mark.parametrize("crop", CROPS)
def test_the_scale_in_force_is_the_sampled_one_within_a_pixel(crop):
    rng = np.random.default_rng(0)
    for scale in rng.uniform(0.5, 2, 40):
        g = geometry(scale, rng.random(), rng.random(), crop=crop)
        for axis in (0, 1):
            shown = g.source[axis + 2] - g.source[axis]
            covered = g.target[axis + 2] - g.target[axis]
            # Rounded by half a pixel of the image, or where all of it is shown, of the crop.
            assert abs(shown - covered / scale) <= 0.5 * max(1, 1 / scale) + 1e-9
            # Nothing of the image is left out where the crop has room, and no room is left over.
            assert shown == (HEIGHT, WIDTH)[axis] or covered == crop[axis]


def test_crops_reach_every_position():
    """Positions in [0, 1) select each of the 84 − 80 + 1 windows, both borders included."""
    begins = [geometry(x=x, crop=(HEIGHT, 80)).source[1] for x in np.linspace(0, 0.999, 50)]
    assert set(begins) == set(range(5))
    assert max(np.bincount(begins)) - min(np.bincount(begins)) <= 1
    # A smaller image lies anywhere in the crop, likewise.
    begins = [geometry(x=x, crop=(HEIGHT, 88)).target[1] for x in np.linspace(0, 0.999, 50)]
    assert set(begins) == set(range(5))


def test_blur_spreads_a_point_by_its_standard_deviation():
    """Of a Gaussian of σ px a row of the point keeps a variance of σ². Nothing is lost or moved."""
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    assert blurred(point, 0.0) is point
    wide = np.zeros((101, 101, 3), np.uint8)
    wide[45:56] = 255  # 11 rows of full height, variance 10 before
    rows = blurred(wide, 3 / 101)[:, 50, 0].astype(float)
    place = np.arange(101) - 50
    assert abs((rows * place).sum()) < 1e-6
    variance = (rows * place**2).sum() / rows.sum()
    assert variance == pytest.approx(10 + 9, rel=0.05)


def test_a_rectangle_of_shares():
    inside = rectangle((0.25, 0.0, 0.75, 0.5), (8, 20))
    assert inside[2:6, :10].all()
    assert inside.sum() == 40
    assert not rectangle((0.0, 0.0, 0.0, 0.0), (8, 20)).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (2, 3)])
def test_the_smallest_images_work(size):
    image = np.full((*size, 3), 7, np.uint8)
    for scale in (0.1, 0.5, 1.0, 2.0):
        g = Geometry.of(Sample(0, 0, 0, True, scale, 0.99, 0.99), size, (16, 16))
        assert g.valid().any()
        assert (g.image(image)[g.valid()] == 7).all()
