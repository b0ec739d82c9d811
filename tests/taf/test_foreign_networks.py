"""TAF on networks that others wrote: it leaves no trace in them, and what it adds to the loss is Eq. 6."""

from collections import Counter
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from foreign_networks import FOREIGN, Foreign, batch_of, floatx, restore, state_of
from keras import layers, ops

from taf_keras import TAF
from taf_keras.models.build import dtype_policy

PAIRS, INF = 3, float("inf")
# One with each kind of output in the default suite; all of them take minutes.
SHORT = ("unet", "depth")
NETWORKS = [name if name in SHORT else pytest.param(name, marks=pytest.mark.end_to_end) for name in FOREIGN]


@dataclass
class Case:
    """A network in float64 that never met TAF when `state`, `config` and `operations` were taken."""

    foreign: Foreign
    network: keras.Model
    state: list
    config: dict
    operations: Counter

    def taf(self, **options) -> TAF:
        options = {"change_rates": self.foreign.rates, "contrast": self.foreign.contrast, "seed": 0} | options
        return TAF(self.network, **options)

    def trained(self, model: keras.Model, x, y) -> list[np.ndarray]:
        """The network's variables after one step from `state`."""
        restore(self.network, self.state)
        # Eager, since tracing takes most of the time, and one step is all.
        model.compile(keras.optimizers.SGD(0.1), self.foreign.loss(), run_eagerly=True)
        model.fit(x, y, batch_size=PAIRS, shuffle=False, verbose=0)
        return state_of(self.network)


@pytest.fixture(scope="module", params=NETWORKS)
def built(request) -> Case:
    foreign = FOREIGN[request.param]
    if not foreign.installed:
        pytest.skip(f"{foreign.package} is not installed")
    with floatx("float64"):
        keras.utils.set_random_seed(0)
        network = foreign.build()
        config = keras.saving.serialize_keras_object(network)
        return Case(foreign, network, state_of(network), config, operations_of(network))


@pytest.fixture
def case(built) -> Case:
    restore(built.network, built.state)
    with floatx("float64"):
        yield built


def operations_of(network) -> Counter:
    """How many operations of each type the graph of its inference has, which a SavedModel saves."""
    import tensorflow as tf

    frames = tf.TensorSpec((None, *network.input_shape[1:]), network.inputs[0].dtype)
    graph = (
        tf.function(lambda x: network(x, training=False)).get_concrete_function(frames).graph.as_graph_def()
    )
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return Counter(node.op for node in nodes)


def assert_same_bits(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# --- The five ----------------------------------------------------------------------------------------


def test_taf_leaves_no_trace(case):
    """Outputs, config, layers and graph are those of a network that never met TAF."""
    x, y = batch_of(case.foreign, PAIRS)
    before, own = case.network(x["image"], training=False), case.network._flatten_layers()
    model = case.taf()
    np.testing.assert_array_equal(model(x["image"]), before)
    after = case.trained(model, x, y)
    assert any(np.any(a != b) for a, b in zip(after, case.state, strict=True)), "it must train"
    restore(case.network, case.state)
    np.testing.assert_array_equal(case.network(x["image"], training=False), before)
    assert keras.saving.serialize_keras_object(case.network) == case.config
    assert case.network._flatten_layers() == own
    assert not any("call" in vars(layer) for layer in own)
    assert operations_of(case.network) == case.operations


def test_equal_frames_have_no_distance(case):
    """In training mode, with dropout and batch norm, whichever branch is swapped.

    Not exactly 0: convolutions of oneDNN may round an example by its position in the batch.
    """
    model = case.taf()
    branches = np.arange(len(case.foreign.rates))
    x, _ = batch_of(case.foreign, len(branches))
    x |= {"partner": x["image"], "key_branch": branches, "partner_branch": branches[::-1].copy()}
    outcome = model.term(**x)
    # keras-cv's network ends in float32, whatever the rest is.
    assert ops.max(outcome.delta) < (1e-14 if outcome.outputs.dtype == "float64" else 1e-6)
    x["partner"] = np.roll(x["image"], 1, axis=0)
    assert ops.min(model.term(**x).delta) > 1e-5, "the branches must act"


def test_free_branches_leave_the_loss_alone(case):
    """c = inf everywhere: after a step, bit for bit the network that Keras itself trains."""
    x, y = batch_of(case.foreign, PAIRS)
    plain = keras.Model(case.network.inputs, case.network.outputs)
    expected = case.trained(plain, x["image"], y)
    model = case.taf(change_rates=dict.fromkeys(case.foreign.rates, INF), weight=5.0)
    assert_same_bits(case.trained(model, x, y), expected)


def test_weight_zero_leaves_the_loss_alone(case):
    """λ = 0: the network that Keras itself trains, moving statistics and draws included, but for rounding."""
    x, y = batch_of(case.foreign, PAIRS)
    plain = keras.Model(case.network.inputs, case.network.outputs)
    expected = case.trained(plain, x["image"], y)
    actual = case.trained(case.taf(weight=0.0), x, y)
    for variable, one, other in zip(case.network.variables, actual, expected, strict=True):
        atol = 1e-10 if case.network.output.dtype == "float64" else 1e-7
        np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=variable.path)


@pytest.mark.parametrize("name", NETWORKS)
def test_mixed_precision(name):
    foreign = FOREIGN[name]
    if not foreign.installed:
        pytest.skip(f"{foreign.package} is not installed")
    with dtype_policy("mixed_bfloat16"):
        network = foreign.build()
        model = TAF(network, foreign.rates, contrast=foreign.contrast, seed=0)
        # Graphs take long to trace; tests/test_examples.py runs all five so.
        model.compile("sgd", foreign.loss(), run_eagerly=True)
        before = network.get_weights()
        x, y = batch_of(foreign, 2)
        history = model.fit(x, y, batch_size=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert network.compute_dtype == "bfloat16"
    assert any(np.any(a != b) for a, b in zip(before, network.get_weights(), strict=True))


# --- Eq. 6 in NumPy, of taf_keras nothing -----------------------------------------------------------------


def unet_halves(network):
    """The neck is what is upsampled first, the skips are what is concatenated."""
    neck = next(x for x in network.layers if isinstance(x, layers.UpSampling2D)).input
    skips = [x.input[1] for x in network.layers if isinstance(x, layers.Concatenate)]
    tensors = [neck, *skips]
    return keras.Model(network.input, tensors), keras.Model(tensors, network.output)


def segformer_halves(network):
    backbone = network.backbone
    tensors = [backbone.get_layer(name).output for name in FOREIGN["segformer"].rates]
    fused = [keras.Input(x.shape[1:]) for x in tensors]
    x = keras.Model(tensors, backbone.output)(fused)
    head = keras.Model(fused, network.resizing(network.output_segmentation_head(network.dropout(x))))
    return keras.Model(backbone.input, tensors), head


HALVES = {"unet": unet_halves, "segformer": segformer_halves}


def normalised_by_first(part, inputs, count: int) -> list[np.ndarray]:
    """A model in training mode, its batch norm with the statistics of the first `count` examples.

    At momentum 0 a pass over those leaves their statistics where inference takes its own from.
    """
    norms = [x for x in part._flatten_layers() if isinstance(x, layers.BatchNormalization)]
    saved = state_of(part), [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    part([x[:count] for x in inputs], training=True)
    outputs = part(inputs, training=False)
    restore(part, saved[0])
    for norm, momentum in zip(norms, saved[1], strict=True):
        norm.momentum = momentum
    return [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def reference(halves, rates, x) -> dict[str, np.ndarray]:
    encoder, head = halves
    features = normalised_by_first(encoder, [np.concatenate([x["image"], x["partner"]])], PAIRS)
    sampled = [*x["key_branch"], *x["partner_branch"]]
    swapped = [feature.copy() for feature in features]
    for example, branch in enumerate(sampled):
        swapped[branch][example] = features[branch][(example + PAIRS) % (2 * PAIRS)]
    both = [np.concatenate(parts) for parts in zip(features, swapped, strict=True)]
    (logits,) = normalised_by_first(head, both, PAIRS)
    original, changed = np.split(softmax(logits), 2)
    delta = np.abs(original - changed).mean(axis=(1, 2, 3))
    limits = [list(rates.values())[branch] for branch in sampled] * np.abs(np.tile(x["offset_frames"], 2))
    excess = np.maximum(delta - limits, 0)
    return {"delta": delta, "slack": limits, "taf": excess[:PAIRS] + excess[PAIRS:]}


def test_the_term_is_eq_6(case):
    name = next(name for name, foreign in FOREIGN.items() if foreign is case.foreign)
    if name not in HALVES:
        pytest.skip("its halves are not cut by hand")
    dropouts = [x for x in case.network._flatten_layers() if isinstance(x, layers.Dropout)]
    dropped = [x.rate for x in dropouts]
    for layer in dropouts:  # inference, in which the reference runs, has none
        layer.rate = 0.0
    x, y = batch_of(case.foreign, PAIRS, seed=1)
    free = len(case.foreign.rates) - 1  # of infinite rate; the one before it has the largest
    x["offset_frames"] = np.array([4, -5, 2], np.int32)
    x["key_branch"] = np.array([free - 1, 0, free], np.int32)
    x["partner_branch"] = np.array([free, free - 1, 0], np.int32)
    expected = reference(HALVES[name](case.network), case.foreign.rates, x)
    restore(case.network, case.state)
    model = case.taf(weight=3.0)
    outcome = model.term(**x)._asdict()
    restore(case.network, case.state)
    model.compile(loss=case.foreign.loss())
    added = model.compute_loss(x, y, model(x, training=True), training=True)
    added -= model.compute_loss(x, y, outcome["outputs"], training=True)
    for layer, rate in zip(dropouts, dropped, strict=True):
        layer.rate = rate
    for figure, value in expected.items():
        # δ is a difference of float32 probabilities.
        np.testing.assert_allclose(outcome[figure], value, rtol=1e-5, atol=1e-7, err_msg=figure)
    np.testing.assert_allclose(added, 3 * expected["taf"].mean(), rtol=1e-5)
    above = expected["delta"] > expected["slack"]
    assert above.any(), "the batch must exercise the hinge"
    assert not above.all(), "on both sides"
