"""What users of Keras do with a model: fit, evaluate, predict, and set the options of the term."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from small_network import (
    CLASSES,
    PAIRS,
    RATES,
    SIZE,
    batch,
    compiled,
    fit,
    network_of,
    sampled,
    seeded_network,
)
from taf_examples import in_float64

from taf_keras import TAF


@pytest.fixture
def network() -> keras.Model:
    return seeded_network()


# --- fit, evaluate, predict ----------------------------------------------------------------------------


def test_lambda_of_a_callback_is_that_of_the_constructor():
    keras.utils.set_random_seed(0)
    network = network_of()
    start = network.get_weights()
    outcomes = []
    for first, second in ((0.0, 5.0), (5.0, None)):
        network.set_weights(start)
        model = compiled(TAF(network, RATES, first, seed=0), run_eagerly=False)
        setting = keras.callbacks.LambdaCallback(
            on_train_begin=lambda logs, m=model, w=second: None if w is None else setattr(m, "weight", w)
        )
        fit(model, callbacks=[setting])
        outcomes.append(network.get_weights())
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluation_and_prediction_are_the_networks(network):
    model = compiled(TAF(network, RATES, seed=0))
    fit(model)
    x, y = batch()
    expected = compiled(keras.Model(network.inputs, network.outputs)).evaluate(
        x["image"], y, verbose=0, return_dict=True
    )
    assert model.evaluate(x["image"], y, verbose=0, return_dict=True) == expected
    assert model.evaluate(x, y, verbose=0, return_dict=True) == expected
    np.testing.assert_array_equal(
        model.predict(x["image"], verbose=0), network.predict(x["image"], verbose=0)
    )


def test_validation_reports_the_network_and_training_the_term(network):
    model = compiled(TAF(network, RATES, seed=0))
    x, y = batch()
    history = fit(model, validation_data=(x["image"], y))
    term = {f"{figure}/{name}" for figure in ("delta", "over_slack") for name in RATES} | {"taf"}
    assert set(history) == term | {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["delta/fast"] == [0.0], "what is free is not sampled"


def test_several_steps_in_one_execution():
    weights = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        model = compiled(
            TAF(network_of(dropout=0.3), RATES, seed=0), steps_per_execution=steps, run_eagerly=steps == 1
        )
        fit(model)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_sample_weights_are_of_the_loss_alone(network):
    """With none of the examples counting, what trains is the term."""
    x, y = batch()
    start = network.get_weights()
    model = compiled(TAF(network, RATES, seed=0))
    history = model.fit(x, y, sample_weight=np.zeros((PAIRS, 1, 1)), verbose=0).history
    np.testing.assert_allclose(history["loss"], history["taf"], rtol=1e-5)
    assert any(np.any(a != b) for a, b in zip(start, network.get_weights(), strict=True))


# --- The term's options ---------------------------------------------------------------------------------


def test_one_sided_is_the_key_frames_half(network):
    x, _ = batch()
    both = TAF(network, RATES).term(**sampled(x))
    key = TAF(network, RATES, symmetric="key").term(**sampled(x))
    assert key.delta.shape == (PAIRS,)
    np.testing.assert_allclose(key.delta, both.delta[:PAIRS], rtol=1e-5)
    np.testing.assert_allclose(key.outputs, both.outputs, rtol=1e-4, atol=1e-6)
    assert (ops.convert_to_numpy(both.taf) > ops.convert_to_numpy(key.taf)).all()


@pytest.mark.parametrize("valid", [False, True])
def test_sampled_sides_are_eq_6_in_expectation(network, valid):
    """The network in float64: half of what each side gives adds up to Eq. 6 for every pair."""
    network = in_float64(network)
    x, _ = batch()
    given = sampled(x) | ({"valid": np.arange(SIZE) < [[[5]]] * np.ones((PAIRS, SIZE, 1))} if valid else {})
    given["partner_branch"] = 1 - given["key_branch"] % 2  # another one than the key frame takes
    both = TAF(network, RATES).term(**given)
    term = TAF(network, RATES, symmetric="sampled").term
    sides = [term(**given, partner_takes=np.full(PAIRS, side)) for side in (False, True)]
    half = [0.5 * ops.convert_to_numpy(side.taf) for side in sides]
    np.testing.assert_allclose(half[0] + half[1], both.taf, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([side.delta for side in sides]), both.delta, rtol=1e-6)
    for side in sides:  # the cross entropy sees the key frames, whichever frame takes a branch
        np.testing.assert_allclose(side.outputs, both.outputs, rtol=1e-12)
    mixed = np.arange(PAIRS) % 2 == 1
    taf = ops.convert_to_numpy(term(**given, partner_takes=mixed).taf)
    np.testing.assert_allclose(taf, 2 * np.where(mixed, half[1], half[0]), rtol=1e-6)


def test_sampled_sides_are_drawn_where_the_batch_has_none(network):
    x, _ = batch()
    model = TAF(network, RATES, symmetric="sampled", seed=0)
    drawn = np.concatenate([ops.convert_to_numpy(model._side_of(x)) for _ in range(100)])
    assert 0.35 < drawn.mean() < 0.65
    assert np.array_equal(model._side_of(x | {"partner_takes": drawn[:PAIRS]}), drawn[:PAIRS])


def test_padding_of_a_smaller_output_is_that_of_the_image_too():
    """For a relative slack: the input changes by 51 of 255 where it is valid, and by 255 in the padding."""
    image = keras.Input((SIZE, SIZE, 3))
    both = [layers.Conv2D(4, 2, strides=2, name=branch)(image) for branch in ("slow", "fast")]
    network = keras.Model(image, layers.Conv2D(CLASSES, 1)(layers.Concatenate()(both)))
    x, _ = batch()
    x["image"], x["partner"] = np.zeros_like(x["image"]), np.full_like(x["image"], 51)
    x["partner"][:, :, 6:] = 255
    valid = np.ones((PAIRS, SIZE // 2, SIZE // 2), bool)
    valid[:, :, 3:] = False
    model = TAF(network, {"slow": 0.5, "fast": 0.5}, relative=True)
    outcome = model.term(**sampled(x), valid=valid)
    np.testing.assert_allclose(outcome.slack, 0.5 * 51 / 255, rtol=1e-6)


def test_padding_does_not_count(network):
    """`medium` is taken pixel by pixel, so that a partner changed in the padding is the same partner."""
    x, _ = batch()
    term = TAF(network, RATES).term
    valid = np.ones((PAIRS, SIZE, SIZE), bool)
    whole = term(**sampled(x, "medium"))
    np.testing.assert_allclose(term(**sampled(x, "medium"), valid=valid).delta, whole.delta, rtol=1e-5)
    valid[:, :, 5:] = False
    before = term(**sampled(x, "medium"), valid=valid).delta[:PAIRS]
    x["partner"][:, :, 5:] += 9.0
    after = term(**sampled(x, "medium"), valid=valid).delta[:PAIRS]
    np.testing.assert_allclose(after, before, rtol=1e-5)
    assert (np.abs(term(**sampled(x, "medium")).delta[:PAIRS] - whole.delta[:PAIRS]) > 1e-4).all()


DRAWING = {
    "dropout": lambda x: layers.Dropout(0.5)(x),
    "noise": lambda x: layers.GaussianNoise(1.0)(x),
    "spatial dropout": lambda x: layers.SpatialDropout1D(0.5)(x),
    "attention": lambda x: layers.Attention(dropout=0.5)([x, x]),
    "several heads": lambda x: layers.MultiHeadAttention(2, 4, dropout=0.5)(x, x),
}


@pytest.mark.parametrize("name", DRAWING)
def test_layers_that_draw_act_and_draw_alike(name):
    """δ = 0 for equal frames; the key frames' outputs are those of Keras' own pass, and the draws go on."""
    image = keras.Input((SIZE, SIZE, 3))
    both = [layers.Conv2D(4, 1, name=branch)(image) for branch in ("slow", "fast")]
    x = layers.Reshape((SIZE * SIZE, 8))(layers.Concatenate()(both))
    x = layers.Reshape((SIZE, SIZE, 8))(DRAWING[name](x))
    network = keras.Model(image, layers.Conv2D(CLASSES, 1)(x))
    x, _ = batch()
    x["partner"] = x["image"]
    x["key_branch"], x["partner_branch"] = np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0])
    (generator,) = [g for layer in network._flatten_layers() for g in layer._seed_generators]
    model, start = TAF(network, {"slow": 0.0, "fast": 0.0}), ops.convert_to_numpy(generator.state)
    outcome = model.term(**x)
    np.testing.assert_allclose(outcome.delta, 0, atol=1e-6)
    advanced = ops.convert_to_numpy(generator.state)
    assert (advanced != start).any()
    generator.state.assign(start)
    np.testing.assert_allclose(outcome.outputs, network(x["image"], training=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(generator.state, advanced)
    assert ops.max(ops.abs(network(x["image"]) - outcome.outputs)) > 0.1, "it must act in training"


def test_a_step_that_fails_leaves_no_trace(network):
    def fails(outputs):
        raise RuntimeError("on purpose")

    model = TAF(network_of(0.5), RATES, contrast=fails)
    x, _ = batch()
    own = model.network._flatten_layers()
    with pytest.raises(RuntimeError, match="on purpose"):
        model.term(**sampled(x))
    head, model.term.cut.head = model.term.cut.head, fails  # while layers are called otherwise
    with pytest.raises((RuntimeError, TypeError)):
        model.term(**sampled(x))
    model.term.cut.head = head
    assert model.term.parts._sampling
    assert model.term.parts._norms
    assert not any("call" in vars(layer) for layer in own)
