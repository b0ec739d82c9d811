"""What users of Keras do with a model: save it, go on after an interruption, set λ, evaluate, predict."""

from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers, ops
from taf_examples import in_float64

from taf_keras import TAF
from taf_keras.errors import ArgumentError

INF = float("inf")
SIZE, PAIRS, CLASSES = 8, 4, 3
RATES = {"slow": 1e-3, "medium": 0.0, "fast": INF}


def network_of(dropout: float = 0.0) -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization()(image)
    slow = layers.Conv2D(4, 3, padding="same", name="slow")(x)
    medium = layers.Conv2D(4, 1, name="medium")(x)
    fast = layers.Conv2D(4, 1, name="fast")(image)
    x = layers.BatchNormalization()(layers.Concatenate()([slow, medium, fast]))
    x = layers.Dropout(dropout, seed=1)(layers.ReLU()(x))
    return keras.Model(image, layers.Conv2D(CLASSES, 1)(x))


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return network_of()


def batch(pairs: int = PAIRS, seed: int = 0):
    """(x, y); the branches are left to be sampled."""
    rng = np.random.default_rng(seed)
    image, partner = rng.normal(size=(2, pairs, SIZE, SIZE, 3)).astype("float32")
    x = {"image": image, "partner": partner, "offset_frames": rng.integers(-9, 9, pairs).astype("int32")}
    return x, rng.integers(0, CLASSES, (pairs, SIZE, SIZE))


def compiled(model: keras.Model, **options) -> keras.Model:
    """Eager where nothing else is said: a graph of so small a network takes longer to make than to run."""
    options = {"run_eagerly": True} | options
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **options)
    return model


def fit(model, epochs: int = 1, **options) -> dict:
    """Two steps in each epoch, the same in all."""
    x, y = batch(2 * PAIRS)
    return model.fit(x, y, batch_size=PAIRS, epochs=epochs, shuffle=False, verbose=0, **options).history


def assert_same_bits(a: keras.Model, b: keras.Model) -> None:
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def differ(a: keras.Model, b: keras.Model) -> bool:
    return any(np.any(x != y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


# --- Saving and going on --------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
def halves(outputs):
    return ops.softmax(outputs / 2, axis=-1)


@pytest.mark.parametrize("contrast", ["sigmoid", halves])
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(network, tmp_path, contrast):
    options = {"contrast": contrast, "distance": "l2", "symmetric": "key", "batch_norm_frames": "all"}
    model = compiled(TAF(network, RATES, 2.5, seed=7, **options))
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.term.change_rates == RATES
    assert loaded.weight == 2.5
    assert {name: getattr(loaded.term, name) for name in ("contrast", "distance", "symmetric")} == {
        name: options[name] for name in ("contrast", "distance", "symmetric")
    }
    assert loaded.get_config() | {"network": None} == model.get_config() | {"network": None}
    assert_same_bits(loaded, model)
    np.testing.assert_array_equal(loaded.sampling.state, model.sampling.state)
    fit(model)
    fit(loaded)
    assert_same_bits(loaded, model)
    assert model.sampling.state[1] == 8  # two branches in each of four steps


def test_the_best_model_of_a_training_is_kept_whole(network, tmp_path):
    kept = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", monitor="loss")
    model = compiled(TAF(network, RATES, seed=0))
    fit(model, epochs=2, callbacks=[kept])
    assert_same_bits(keras.saving.load_model(tmp_path / "2.keras"), model)
    assert differ(keras.saving.load_model(tmp_path / "1.keras"), model)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_training_ends_as_if_uninterrupted(tmp_path):
    def training(**options):
        keras.utils.set_random_seed(0)
        model = compiled(TAF(network_of(), RATES, seed=0))
        fit(model, epochs=4, **options)
        return model

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        training(callbacks=[backup, Interrupt()])
    resumed, expected = training(callbacks=[backup]), training()
    assert resumed.optimizer.iterations == 8
    assert_same_bits(resumed, expected)
    np.testing.assert_array_equal(resumed.sampling.state, expected.sampling.state)


def exported(network: keras.Model, folder) -> Counter:
    """How many operations of each type a network's SavedModel has."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    network.export(str(folder), verbose=False)
    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return Counter(node.op for node in nodes)


def test_the_savedmodel_is_that_of_a_network_without_taf(tmp_path):
    network = network_of(dropout=0.5)
    before = exported(network, tmp_path / "before")
    fit(compiled(TAF(network, RATES, seed=0)))
    assert exported(network, tmp_path / "after") == before


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


def sampled(x, branch: str = "slow") -> dict:
    index = np.full(len(x["image"]), list(RATES).index(branch), "int32")
    return x | {"key_branch": index, "partner_branch": index}


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


# --- Refusals ------------------------------------------------------------------------------------------


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


@keras.saving.register_keras_serializable("tests")
class Numbered(keras.Model):
    """Built again, its layers have other numbers in their names."""

    def __init__(self):
        image = keras.Input((16, 16, 3))
        first, second = (keras.layers.Conv2D(2, size, padding="same") for size in (5, 1))
        super().__init__(image, keras.layers.Add()([first(image), second(image)]))
        self.branch = first.name

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def test_branches_are_found_again_where_layers_are_numbered(tmp_path):
    network = Numbered()
    model = TAF(network, {network.branch: 1e-3})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.network.branch != network.branch
    assert loaded.term.cut.layers == (loaded.network.branch,)
    assert loaded.term.branches == (network.branch,)


def test_branches_may_have_names_of_their_own():
    network = Numbered()
    model = TAF(network, {"wide": 1e-3}, layers={"wide": network.branch})
    assert model.term.cut.layers == (network.branch,)
    with pytest.raises(ValueError, match=r"^layers\['broad'\]: is no branch; change_rates has wide$"):
        TAF(network, {"wide": 1e-3}, layers={"broad": network.branch})


# --- Networks that cannot be ------------------------------------------------------------------------------


def two_branches(outputs_of, channels: int = CLASSES, inputs_of=lambda image: image) -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    both = [layers.Conv2D(4, 1, name=branch)(image) for branch in ("slow", "fast")]
    logits = layers.Conv2D(channels, 1)(layers.Concatenate()(both))
    return keras.Model(inputs_of(image), outputs_of(logits), name="net")


def test_one_output_channel_has_no_softmax():
    """It is 1 everywhere, so that δ is 0 whatever is swapped."""
    network = two_branches(lambda x: x, channels=1)
    message = "^network 'net': has one output channel, whose softmax is always 1: give contrast="
    for distance in ("l1", "symmetric_cross_entropy"):
        with pytest.raises(ArgumentError, match=message):
            TAF(network, {"slow": 0.0}, distance=distance)
    for contrast in ("sigmoid", "identity"):
        x, _ = batch()
        outcome = TAF(network, {"slow": 0.0}, contrast=contrast).term(**sampled(x))
        assert ops.min(outcome.delta) > 1e-5


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
