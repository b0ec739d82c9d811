"""What users of Keras do with a model: save it, go on after an interruption, export it."""

from collections import Counter

import keras
import numpy as np
import pytest
from keras import ops
from small_network import RATES, assert_same_bits, compiled, differ, fit, network_of, seeded_network

from taf_keras import TAF


@pytest.fixture
def network() -> keras.Model:
    return seeded_network()


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


def test_the_loss_scale_of_half_precision_is_kept(tmp_path):
    """In a process that knows of no policy."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = network_of()
    finally:
        keras.config.set_dtype_policy("float32")
    model = compiled(TAF(network, RATES, seed=0))
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    assert int(loaded.optimizer.iterations) == 2
    assert_same_bits(loaded, model)


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
