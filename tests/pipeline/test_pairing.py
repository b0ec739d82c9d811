import numpy as np
import pytest

from taf_keras.clips.clip import Clip, Frame
from taf_keras.pipeline.pairing import (
    BLURRED,
    LEAST_AREA,
    LEAST_BLUR,
    MOST_AREA,
    MOST_ASPECT,
    MOST_BLUR,
    PASTED,
    Place,
    epoch_order,
    locate,
    sample,
    sample_blur,
    sample_rectangle,
)

# Upper 0.1% points of the chi-square distribution, by degrees of freedom.
CHI_SQUARE = {3: 16.27, 4: 18.47, 5: 20.52, 8: 26.12, 10: 29.59}


def clip(*numbers, key) -> Clip:
    return Clip("c", tuple(Frame(n, f"{n}.png") for n in numbers), key)


DENSE = clip(*range(100, 131), key=115)  # −15 … +15, as CamVid's


def sampled(example=0, epoch=0, repeat=0, seed=3, clip=DENSE, context=15, branches=(0, 1, 2), flip=True):
    return sample(Place(seed, epoch, example, repeat), clip, context, branches, (0.5, 2.0), flip)


def chi_square(values, expected_values) -> float:
    """Pearson's statistic of `values` against the uniform distribution over `expected_values`."""
    counts = np.array([np.sum([value == v for v in values]) for value in expected_values])
    assert counts.sum() == len(values), "a value that must not occur"
    expected = len(values) / len(expected_values)
    return float(np.sum((counts - expected) ** 2) / expected)


def is_uniform(values, expected_values) -> bool:
    return chi_square(values, expected_values) < CHI_SQUARE[len(expected_values) - 1]


# --- Samples ----------------------------------------------------------------------------------------


def test_a_sample_depends_on_its_arguments_alone():
    """The same in any order and when repeated: nothing is kept between the calls."""
    places = [(epoch, example, repeat) for epoch in range(3) for example in range(4) for repeat in range(2)]
    first = {p: sampled(epoch=p[0], example=p[1], repeat=p[2]) for p in places}
    for p in reversed(places + places[::2]):
        assert sampled(epoch=p[0], example=p[1], repeat=p[2]) == first[p]
    assert len(set(first.values())) == len(places), "places must not share their sample"


@pytest.mark.parametrize("argument", ["seed", "epoch", "example", "repeat"])
def test_the_crop_and_the_pair_depend_on_each_argument(argument):
    """Over 20 samples each, equal values occur by chance alone: n, i1 and i2 agree in 1 of 31·3·3."""
    samples = [sampled(**{argument: value}) for value in range(20)]
    assert len({(d.scale, d.crop_y, d.crop_x) for d in samples}) == 20
    assert len({(d.offset_frames, d.key_branch, d.partner_branch) for d in samples}) > 15


def test_offsets_are_uniform_over_the_window_and_zero_is_one_of_them():
    offsets = [sampled(example, context=5).offset_frames for example in range(4000)]
    assert is_uniform(offsets, range(-5, 6))


def test_offsets_of_a_clip_that_ends_early_are_clamped():
    """Cityscapes: the key is frame 19 of 30, so that a window of ±15 has −15 … +10."""
    cityscapes = clip(*range(30), key=19)
    offsets = {sampled(example, clip=cityscapes).offset_frames for example in range(800)}
    assert offsets == set(range(-15, 11))


def test_offsets_of_a_sparse_clip_are_those_of_its_frames():
    sparse = clip(10, 17, 20, 24, 60, key=17)
    offsets = [sampled(example, clip=sparse).offset_frames for example in range(2000)]
    assert is_uniform(offsets, (-7, 0, 3, 7))  # 43 frames on is beyond the context


def test_a_key_frame_without_neighbours_is_its_own_partner():
    for example in range(20):
        assert sampled(example, clip=clip(5, key=5)).offset_frames == 0
        assert sampled(example, context=0).offset_frames == 0


def test_branches_are_uniform_and_independent_over_those_that_may_be_sampled():
    samples = [sampled(example, branches=(0, 2, 4)) for example in range(3000)]
    pairs = [(d.key_branch, d.partner_branch) for d in samples]
    # All nine pairs equally often: each index is uniform and knows nothing of the other.
    assert is_uniform(pairs, [(a, b) for a in (0, 2, 4) for b in (0, 2, 4)])
    # Nor do they know the offset: 3 branches × the sign of n ≠ 0.
    signs = [(d.key_branch, np.sign(d.offset_frames)) for d in samples if d.offset_frames]
    assert is_uniform(signs, [(a, sign) for a in (0, 2, 4) for sign in (-1, 1)])


def test_without_a_finite_rate_branch_0_stands_in():
    d = sampled(branches=())
    assert (d.key_branch, d.partner_branch) == (0, 0)


def test_augmentation_covers_its_ranges():
    samples = [sampled(example) for example in range(2000)]
    for values, low, high in [
        ([d.scale for d in samples], 0.5, 2.0),
        ([d.crop_y for d in samples], 0.0, 1.0),
        ([d.crop_x for d in samples], 0.0, 1.0),
    ]:
        assert min(values) >= low
        assert max(values) < high
        fifths = [int(5 * (value - low) / (high - low)) for value in values]
        assert is_uniform(fifths, range(5))
    # Of 2000 flips, half within four standard deviations: sqrt(2000)/2 = 22.
    assert abs(sum(d.flip for d in samples) - 1000) < 90
    assert not any(sampled(example, flip=False).flip for example in range(50))


def test_crops_do_not_depend_on_the_method():
    """A baseline and a TAF run of one seed see the same crops, whatever the pairs are sampled from."""
    for example in range(50):
        taf = sampled(example)
        baseline = sampled(example, context=0, branches=(), clip=clip(115, key=115))
        for name in ("flip", "scale", "crop_y", "crop_x"):
            assert getattr(taf, name) == getattr(baseline, name)
        # Switching the flips off moves nothing else.
        still = sampled(example, flip=False)
        assert (still.scale, still.crop_y, still.crop_x) == (taf.scale, taf.crop_y, taf.crop_x)
        assert still.offset_frames == taf.offset_frames


# --- Order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [1, 2, 37])
def test_an_epoch_is_a_permutation(examples):
    for epoch in range(3):
        assert sorted(epoch_order(5, epoch, examples)) == list(range(examples))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(epoch_order(seed, epoch, 20)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_order_is_uniform():
    firsts = [int(epoch_order(0, epoch, 5)[0]) for epoch in range(1000)]
    assert is_uniform(firsts, range(5))


def test_the_last_batch_repeats_the_beginning_of_its_epoch():
    """5 examples in batches of 4: positions 5, 6, 7 are the epoch's first three, with other samples."""
    for epoch in range(3):
        places = [locate(8 * epoch + index, 0, 5, 8) for index in range(8)]
        order = epoch_order(0, epoch, 5).tolist()
        assert [place.epoch for place in places] == [epoch] * 8
        assert [place.example for place in places] == order + order[:3]
        assert [place.repeat for place in places] == [0] * 5 + [1] * 3
        assert len({sampled(place.example, place.epoch, place.repeat) for place in places}) == 8


def test_a_batch_larger_than_the_data_set_repeats_it_more_than_once():
    places = [locate(index, 0, 3, 8) for index in range(8)]
    assert [place.repeat for place in places] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert len(set(places)) == 8


# --- Blur and CutMix --------------------------------------------------------------------------------


def test_half_of_the_examples_are_blurred_by_every_amount_of_the_range():
    amounts = np.array([sample_blur(Place(0, epoch, 1, 0)) for epoch in range(1000)])
    assert sample_blur(Place(0, 7, 1, 0)) == amounts[7]
    assert abs((amounts > 0).mean() - BLURRED) < 0.06  # 4 standard errors of 1000 throws
    blurs, reach = amounts[amounts > 0], MOST_BLUR - LEAST_BLUR
    assert LEAST_BLUR <= blurs.min() < LEAST_BLUR + 0.05 * reach
    assert MOST_BLUR - 0.05 * reach < blurs.max() <= MOST_BLUR


def test_rectangles_lie_inside_and_have_the_areas_and_aspects_that_are_said():
    found = np.array([sample_rectangle(Place(0, epoch, 1, 0)) for epoch in range(1000)])
    assert sample_rectangle(Place(0, 7, 1, 0)) == tuple(found[7])
    heights, widths = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    pasted = heights > 0
    assert abs(pasted.mean() - PASTED) < 0.06
    assert found.min() >= 0
    assert found.max() <= 1
    areas, aspects = (heights * widths)[pasted], (heights[pasted] / widths[pasted])
    assert LEAST_AREA - 1e-9 <= areas.min() < 0.15
    assert 0.45 < areas.max() <= MOST_AREA + 1e-9
    assert 1 / MOST_ASPECT - 1e-9 <= aspects.min() < 0.6
    assert 1.7 < aspects.max() <= MOST_ASPECT + 1e-9
    assert found[pasted, 0].max() > 0.5
    assert found[pasted, 1].max() > 0.5
