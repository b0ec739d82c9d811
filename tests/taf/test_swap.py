import keras
import numpy as np
import pytest
from taf_examples import RATES, halves, tiny_config

from taf_keras.models.build import build_model
from taf_keras.taf.swap import swap_branches, take_branches

NAMES = ("slow", "middle", "fast")


def numpy_terms(terms) -> dict[str, np.ndarray]:
    return {name: keras.ops.convert_to_numpy(x) for name, x in terms.items()}


@pytest.fixture
def terms():
    """Six examples: three key frames and their partners. Branches of several ranks, and a skip."""
    shapes = {"slow": (6, 1, 1, 4), "middle": (6, 5, 7, 2), "fast": (6, 3), "skip": (6, 9, 9, 1)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_each_example_takes_its_drawn_branch_from_its_partner_and_nothing_else(terms):
    sampled = np.int32([0, 1, 2, 2, 1, 0])
    swapped = numpy_terms(swap_branches(terms, NAMES, sampled))
    assert list(swapped) == list(terms)
    for example in range(6):
        partner = (example + 3) % 6
        for index, name in enumerate(NAMES):
            source = partner if index == sampled[example] else example
            np.testing.assert_array_equal(swapped[name][example], terms[name][source])


def test_names_that_are_not_branches_pass_through(terms):
    swapped = swap_branches(terms, NAMES, np.zeros(6, np.int32))
    assert swapped["skip"] is terms["skip"]
    # The order of `branches` gives the index its meaning, not that of the dict.
    swapped = numpy_terms(swap_branches(terms, ("fast", "slow"), np.ones(6, np.int32)))
    np.testing.assert_array_equal(swapped["slow"], np.roll(terms["slow"], 3, axis=0))
    np.testing.assert_array_equal(swapped["fast"], terms["fast"])
    np.testing.assert_array_equal(swapped["middle"], terms["middle"])


def test_the_terms_stay_as_they_were(terms):
    before = {name: x.copy() for name, x in terms.items()}
    swap_branches(terms, NAMES, np.int32([0, 1, 2, 0, 1, 2]))
    for name in terms:
        np.testing.assert_array_equal(terms[name], before[name])


def test_swapping_twice_is_the_identity(terms):
    """Where both frames of each pair draw the same branch: both hold the other's, and give it back."""
    for sampled in ([0, 1, 2], [1, 1, 0]):
        sampled = np.int32(sampled * 2)
        once = swap_branches(terms, NAMES, sampled)
        twice = numpy_terms(swap_branches(once, NAMES, sampled))
        for name in terms:
            np.testing.assert_array_equal(twice[name], terms[name])
        assert any(not np.array_equal(once[name], terms[name]) for name in NAMES)


def test_equal_frames_are_not_changed(terms):
    equal = {name: np.concatenate([x[:3], x[:3]]) for name, x in terms.items()}
    swapped = numpy_terms(swap_branches(equal, NAMES, np.int32([0, 1, 2, 1, 2, 0])))
    for name in equal:
        np.testing.assert_array_equal(swapped[name], equal[name])


def test_one_side_alone_may_take_branches(terms):
    """Eq. 5's form: the key frames take the sampled branch of their partners, and all else is their own."""
    own, others = ({name: x[half] for name, x in terms.items()} for half in (slice(3), slice(3, 6)))
    sampled = np.int32([2, 0, 2])
    taken = numpy_terms(take_branches(own, others, NAMES, sampled))
    assert list(taken) == list(own)
    for example in range(3):
        for index, name in enumerate(NAMES):
            source = others if index == sampled[example] else own
            np.testing.assert_array_equal(taken[name][example], source[name][example])
    np.testing.assert_array_equal(taken["skip"], own["skip"])


def test_both_sides_taking_is_the_swap(terms):
    sampled = np.int32([0, 1, 2, 1, 2, 0])
    swapped = numpy_terms(swap_branches(terms, NAMES, sampled))
    sides = [{name: x[half] for name, x in terms.items()} for half in (slice(3), slice(3, 6))]
    for half, own, others in ((slice(3), *sides), (slice(3, 6), *sides[::-1])):
        taken = numpy_terms(take_branches(own, others, NAMES, sampled[half]))
        for name in terms:
            np.testing.assert_array_equal(taken[name], swapped[name][half])


@pytest.mark.parametrize("model", list(RATES))
def test_the_swap_commutes_with_the_projection(model, small_backbone):
    """Ω begins with an affine map per branch, so swapping Φ_i (Eq. 3) and swapping its map are one."""
    keras.utils.set_random_seed(0)
    config = tiny_config(model)
    network = build_model(config.model, num_classes=4)
    layers = {name: network.get_layer(layer) for name, layer in config.branch_layers.items()}
    rng = np.random.default_rng(1)
    for layer in layers.values():  # FCN8s's biases too, which begin at 0
        layer.set_weights([rng.normal(size=variable.shape) for variable in layer.weights])
    frames = rng.integers(0, 256, (6, 48, 64, 3)).astype(np.float32)
    names, encoder, _ = halves(network)
    features = dict(zip(names, encoder(frames, training=True), strict=True))
    branches = config.branches
    sampled = rng.integers(0, len(branches), 6).astype(np.int32)

    def projection(features):
        return features | {name: layer(features[name]) for name, layer in layers.items()}

    before = numpy_terms(projection(swap_branches(features, branches, sampled)))
    behind = numpy_terms(swap_branches(projection(features), branches, sampled))
    still = numpy_terms(projection(features))
    assert set(before) == set(behind) >= set(branches)
    for name in before:
        np.testing.assert_allclose(before[name], behind[name], rtol=1e-5, atol=1e-5)
    for index, name in enumerate(branches):
        changed = np.any(before[name] != still[name], axis=(1, 2, 3))
        np.testing.assert_array_equal(changed, sampled == index)
