"""What `TAF` refuses: settings, batches, networks; and what is much like that and is taken."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from small_network import (
    CLASSES,
    INF,
    PAIRS,
    RATES,
    SIZE,
    batch,
    compiled,
    sampled,
    seeded_network,
    two_branches,
)

from taf_keras import TAF
from taf_keras.errors import ArgumentError


@pytest.fixture
def network() -> keras.Model:
    return seeded_network()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"change_rates": {}}, "change_rates={}: write {layer: c, …}, one layer of the network or more"),
        ({"change_rates": "slow"}, "change_rates='slow': write {layer: c, …}"),
        ({"change_rates": {"slow": -1.0}}, "change_rates['slow']=-1.0: must be a number of 0 or more; inf"),
        ({"change_rates": {"slow": float("nan")}}, "change_rates['slow']=nan: must be a number of 0 or more"),
        ({"layers": {"slow": 99}}, "layer 99: is no place in the network: allowed are 0 to 8"),
        ({"change_rates": {"slow": True}}, "change_rates['slow']=True: must be a number of 0 or more"),
        ({"change_rates": {"slow": "1e-3"}}, "change_rates['slow']='1e-3': must be a number of 0 or more"),
        ({"weight": -1}, "weight=-1: must be finite and 0 or more"),
        ({"weight": INF}, "weight=inf: must be finite and 0 or more"),
        ({"contrast": "relu"}, "contrast='relu': allowed are softmax, sigmoid, identity and a function"),
        ({"distance": "kl"}, "distance='kl': allowed are l1, l2, symmetric_cross_entropy"),
        (
            {"distance": "symmetric_cross_entropy", "contrast": "identity"},
            'distance="symmetric_cross_entropy": needs contrast="softmax"',
        ),
        ({"symmetric": True}, "symmetric=True: allowed are both, key, sampled"),
        ({"batch_norm_frames": "none"}, "batch_norm_frames='none': allowed are key, all"),
    ],
)
def test_settings_that_cannot_be(network, options, message):
    with pytest.raises(ArgumentError) as refused:
        TAF(network, **({"change_rates": RATES} | options))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rate", [np.float32(0.25), np.int64(2), np.float64(0.5)])
def test_rates_may_be_numbers_of_numpy(network, rate):
    assert TAF(network, {"slow": rate}).term.change_rates == {"slow": float(rate)}


def test_lambda_cannot_become_negative(network):
    model = TAF(network, RATES)
    with pytest.raises(ArgumentError, match=r"^weight=-2: must be finite and 0 or more$"):
        model.weight = -2


def test_a_mask_of_another_shape(network):
    x, y = batch()
    model = compiled(TAF(network, RATES, seed=0))
    message = (
        r"valid: is \(4, 4\) for each example, and the network's output \(8, 8, 3\): allowed is the output's"
    )
    with pytest.raises(ArgumentError, match=message):
        model.fit(x | {"valid": np.ones((PAIRS, 4, 4), bool)}, y, verbose=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"offset_frames": np.ones((PAIRS, 1))}, r"offset_frames: is \(4, 1\); allowed is \(pairs,\)"),
        ({"key_branch": np.zeros((PAIRS, 1), int)}, r"key_branch: is \(4, 1\); allowed is \(pairs,\)"),
        (
            {"partner": np.zeros((PAIRS, 4, SIZE, 3))},
            r"partner: is \(4, 4, 8, 3\), and image \(4, 8, 8, 3\): allowed is the same shape for both",
        ),
        ({"key_branch": np.int32([0, 1, 2, 3])}, "key_branch: has 3; allowed are .*, 0 to 2"),
        ({"partner_branch": np.int32([0, -1, 2, 0])}, "partner_branch: has -1; allowed are .*, 0 to 2"),
    ],
)
def test_batches_that_do_not_fit(network, changed, message):
    x, y = batch()
    with pytest.raises(ArgumentError, match=message):  # Keras writes around it where it was
        compiled(TAF(network, RATES, seed=0)).fit(x | changed, y, verbose=0)


def test_a_graph_takes_branches_whose_values_it_does_not_know(network):
    x, y = batch()
    model = compiled(TAF(network, RATES, seed=0), run_eagerly=False)
    assert np.isfinite(model.fit(sampled(x), y, verbose=0).history["loss"][0])


@pytest.mark.parametrize(("left_out", "given"), [(None, "Tensor"), ("partner", "image, offset_frames")])
def test_training_without_partners(network, left_out, given):
    x, y = batch()
    model = compiled(TAF(network, RATES, seed=0))
    message = rf"x: training needs a dict of image, partner, offset_frames \(.*\), got .*{given}"
    with pytest.raises(ArgumentError, match=message):
        model.fit(x["image"] if left_out is None else {n: x[n] for n in x if n != left_out}, y, verbose=0)


class OwnCall(layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask)


@pytest.mark.parametrize(
    ("norm", "what"),
    [
        (lambda: OwnCall(name="norm"), r"a OwnCall with a call\(\) of its own"),
        (lambda: layers.BatchNormalization(renorm=True, name="norm"), "batch renormalisation"),
    ],
)
def test_batch_norm_that_cannot_leave_partners_out(norm, what):
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(2, 1, name="slow")(norm()(image))
    network = keras.Model(image, layers.Conv2D(2, 1)(x))
    message = (
        f"^layer 'norm': {what} cannot take its statistics from the key frames alone: "
        'give batch_norm_frames="all"$'
    )
    with pytest.raises(ArgumentError, match=message):
        TAF(network, {"slow": 0.0})
    assert TAF(network, {"slow": 0.0}, batch_norm_frames="all").term.branches == ("slow",)


# --- Networks that cannot be ------------------------------------------------------------------------------


def test_one_output_channel_has_no_softmax():
    """It is 1 everywhere, so that δ is 0 whatever is swapped."""
    network = two_branches(lambda x: x, channels=1)
    message = (
        "^network 'net': has one output channel, whose softmax is always 1: "
        'give contrast="sigmoid" for logits, or "identity" for a regression$'
    )
    for distance in ("l1", "symmetric_cross_entropy"):
        with pytest.raises(ArgumentError, match=message):
            TAF(network, {"slow": 0.0}, distance=distance)
    for contrast in ("sigmoid", "identity"):
        x, _ = batch()
        outcome = TAF(network, {"slow": 0.0}, contrast=contrast).term(**sampled(x))
        assert ops.min(outcome.delta) > 1e-5


def test_one_output_channel_after_a_sigmoid_is_offered_what_fits_alone():
    network = two_branches(keras.activations.sigmoid, channels=1)
    with pytest.raises(ArgumentError, match='always 1: give contrast="identity", since it ends with a sig'):
        TAF(network, {"slow": 0.0})


@pytest.mark.parametrize(
    ("end", "contrast", "channels"),
    [
        (layers.Softmax(), "softmax", CLASSES),
        (layers.Activation("sigmoid"), "sigmoid", 1),
        (ops.sigmoid, "sigmoid", CLASSES),
    ],
)
def test_neither_a_softmax_nor_a_sigmoid_is_taken_twice(end, contrast, channels):
    """δ would be a fraction of what it is."""
    network = two_branches(end, channels)
    message = (
        f"^network 'net': ends with a {contrast}, and δ would take that of it: leave it out, or give "
        'contrast="identity"$'
    )
    with pytest.raises(ArgumentError, match=message):
        TAF(network, {"slow": 0.0}, contrast=contrast)
    x, _ = batch()
    of_probabilities = TAF(network, {"slow": 0.0}, contrast="identity").term(**sampled(x))
    last = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)][-1]
    logits = keras.Model(network.input, last.output)
    of_logits = TAF(logits, {"slow": 0.0}, contrast=contrast).term(**sampled(x))
    np.testing.assert_allclose(
        *map(ops.convert_to_numpy, (of_probabilities.delta, of_logits.delta)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("end", "contrast"), [("sigmoid", "softmax"), ("softmax", "sigmoid")], ids=lambda name: name
)
def test_nor_is_one_taken_of_the_other(end, contrast):
    """Found in a nested model, too."""
    whole = keras.Sequential([keras.Input((SIZE, SIZE, CLASSES)), layers.Conv2D(2, 1, activation=end)])
    with pytest.raises(ArgumentError, match=f"ends with a {end}, and δ would take a {contrast} of it: leave"):
        TAF(two_branches(whole), {"slow": 0.0}, contrast=contrast)


def test_a_list_of_one_is_the_one():
    """The usual idiom keras.Model([image], [logits])."""
    x, y = batch()
    keras.utils.set_random_seed(0)
    network = two_branches(lambda x: [x], inputs_of=lambda x: [x])
    model = compiled(TAF(network, {"slow": 0.0}, seed=0))
    model.fit(x, y, verbose=0)
    expected = network.predict(x["image"], verbose=0)
    np.testing.assert_array_equal(model.predict(x["image"], verbose=0), expected)


def test_a_dict_of_outputs_is_refused():
    message = (
        r"^network 'net': it returns a dict, \{'seg': …\}; allowed is one tensor: "
        r"keras.Model\(network.inputs, network.outputs\[0\]\)$"
    )
    with pytest.raises(ArgumentError, match=message):
        TAF(two_branches(lambda x: {"seg": x}), {"slow": 0.0})


class WithCall(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


def test_a_sequential_with_a_call_of_its_own_is_refused():
    network = WithCall([keras.Input((SIZE, SIZE, 3)), layers.Conv2D(4, 1, name="slow"), layers.Conv2D(2, 1)])
    with pytest.raises(ArgumentError, match=r"has no functional graph.* without a call\(\) of its own$"):
        TAF(network, {"slow": 0.0})


class Composite(layers.Layer):
    """Samples by itself, and has a layer inside."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.generator = inner, keras.random.SeedGenerator(0)

    def call(self, inputs, training=None):
        noise = keras.random.uniform(ops.shape(inputs), seed=self.generator)
        return self.inner(inputs + noise, training=training)


def ends_with(layer) -> keras.Model:
    return two_branches(
        lambda x: layers.Reshape((SIZE, SIZE, -1))(layer(layers.Reshape((SIZE**2, CLASSES))(x)))
    )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: Composite(layers.BatchNormalization(), name="own"),
            "layer 'own': a Composite with a SeedGenerator of its own contains a BatchNormalization: allowed",
        ),
        (
            lambda: Composite(layers.Dropout(0.5), name="own"),
            "layer 'own': a Composite with a SeedGenerator of its own contains a Dropout: allowed",
        ),
        (
            lambda: layers.LSTM(2, dropout=0.5, return_sequences=True, name="own"),
            "layer 'own': a LSTM with dropout samples anew for each part: give dropout=0",
        ),
        (
            lambda: layers.Bidirectional(
                layers.GRU(2, recurrent_dropout=0.5, return_sequences=True, name="own")
            ),
            "layer '.*own': a GRU with dropout samples anew for each part: give dropout=0",
        ),
    ],
)
@pytest.mark.parametrize("frames", ["key", "all"])
def test_layers_whose_samples_cannot_be_made_alike(layer, message, frames):
    with pytest.raises(ArgumentError, match=f"^{message}"):
        TAF(ends_with(layer()), {"slow": 0.0}, batch_norm_frames=frames)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Composite(layers.LayerNormalization()),
        lambda: layers.LSTM(2, return_sequences=True),
        lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)),
    ],
)
def test_layers_that_are_much_like_them_are_taken(layer):
    x, _ = batch()
    x["partner"] = x["image"]
    outcome = TAF(ends_with(layer()), {"slow": 0.0}).term(**sampled(x))
    np.testing.assert_allclose(outcome.delta, 0, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Dense(2, activity_regularizer="l2", name="own"),
        lambda: layers.ActivityRegularization(0.1, name="own"),
    ],
)
def test_partners_act_through_the_term_alone(layer):
    """A penalty for what layers return would be one for partners and swapped frames too."""
    message = (
        "^layer 'own': its activity_regularizer would count partners and swapped frames too: leave it out"
    )
    with pytest.raises(ArgumentError, match=message):
        TAF(ends_with(layer()), {"slow": 0.0})
    for options in ({"batch_norm_frames": "all"}, {"change_rates": {"slow": INF}}):
        assert TAF(ends_with(layer()), **({"change_rates": {"slow": 0.0}} | options)).term.branches == (
            "slow",
        )
