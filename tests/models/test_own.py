"""`--model=FILE.py:FUNCTION` and `--model=FILE.keras`: models of the user's own."""

import json
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import ClassTable
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.errors import UserError
from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.evaluation.run import evaluate
from taf_keras.models.build import build_model
from taf_keras.serving.export import export_model
from taf_keras.storage.run import Run
from taf_keras.training.initial_weights import load_initial_weights
from taf_keras.training.run import train

SOURCE = """
import keras
from neighbour import CHANNELS


def small(classes, size=(None, None), stride=2):
    image = keras.Input((*size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    fine = keras.layers.Conv2D(CHANNELS, 3, strides=stride, padding="same", name="fine")(x)
    coarse = keras.layers.Conv2D(CHANNELS, 9, padding="same", name="coarse")(fine)
    x = keras.layers.Concatenate()([fine, coarse])
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(x))


def fixed(classes):
    return small(classes, (32, 48))


def flat(classes):
    model = small(classes, (32, 48))
    x = keras.layers.Reshape((16 * 24 * classes,))(model.output)
    x = keras.layers.Reshape((16, 24, classes))(x)
    return keras.Model(model.input, x)


def dropping(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, small(classes)(keras.layers.Dropout(0.5)(image)))


def grey(classes):
    image = keras.Input((None, None, 1))
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(image))


def vector(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))


def two(classes):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(classes, 1)(image)
    return keras.Model(image, [x, x])


def listed(classes):
    model = small(classes, (32, 48), stride=1)
    return keras.Model(model.inputs, [model.output])


def named(classes):
    model = small(classes)
    return keras.Model(model.input, {"seg": model.output})


def activated(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.Conv2D(classes, 1, activation="softmax")(image))


def ends_with_softmax(classes):
    model = small(classes)
    return keras.Model(model.input, keras.layers.Softmax()(model.output))


def ends_with_sigmoid(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.Conv2D(classes, 1, activation="sigmoid")(image))


def nested(classes):
    image = keras.Input((None, None, 3))
    return keras.Model(image, activated(classes)(image))


def operation(classes):
    model = small(classes)
    return keras.Model(model.input, keras.ops.softmax(model.output))


def regularised(classes):
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(3, 1, activity_regularizer="l2", name="own")
    return keras.Model(image, small(classes)(keras.Sequential([layer])(image)))


class WithCall(keras.Model):
    def call(self, x, training=None):
        return 2 * super().call(x, training=training)


def with_call(classes):
    model = small(classes)
    return WithCall(model.input, model.output)


class Own(keras.Model):
    def call(self, x):
        return x


def subclass(classes):
    return Own()


number = 3
"""
NAMED = (("coarse", 1e-4), ("fine", float("inf")))


@pytest.fixture
def nets(tmp_path):
    """The file; beside it lies another that it imports."""
    (tmp_path / "neighbour.py").write_text("CHANNELS = 4\n")
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return path


def config_of(folder, model: str, **taf) -> Config:
    return Config(
        DataConfig(
            data_dir=str(folder / "clips"),
            image_size=(32, 48),
            temporal_context=3,
            train_clips=4,
            val_clips=2,
            test_clips=2,
        ),
        ModelConfig(model),
        TAFConfig(**{"change_rates": NAMED} | taf),
        TrainingConfig(epochs=2, batch_size=4, learning_rate=0.01),
        RuntimeConfig(model_dir=str(folder / "run"), validations=1, log_every=1),
    )


def test_logits_are_upsampled_to_the_image(nets):
    network = build_model(ModelConfig(f"{nets}:small"), 5)
    assert network(np.zeros((1, 33, 47, 3), np.float32)).shape == (1, 33, 47, 5)
    assert {"fine", "coarse"} <= {layer.name for layer in network.layers}


def test_a_list_of_one_output_is_the_one(nets):
    network = build_model(ModelConfig(f"{nets}:listed"), 5)
    assert network.output.shape == (None, 32, 48, 5)


def test_a_run_from_training_to_export(nets, tmp_path, capsys):
    config = config_of(tmp_path, f"{nets}:small")
    metrics = train(config)
    assert "change rates coarse 0.0001, fine inf" in capsys.readouterr().out
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert len(written["model"]["model_sha256"]) == 64
    assert written["taf"]["change_rates"] == [["coarse", 1e-4], ["fine", "inf"]]
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert "delta/coarse" in history
    assert "changed_by_mean/coarse" in history
    again = evaluate(config.runtime.model_dir, saved_model=str(tmp_path / "run" / "export"))
    assert again["per_class_iou"] == pytest.approx(metrics["per_class_iou"], nan_ok=True)

    nets.write_text(SOURCE.replace('name="coarse"', 'name="coarse", use_bias=False'))
    with pytest.raises(UserError, match=r"model.model_sha256=.*: the file of --model has changed"):
        train(config)
    with pytest.raises(UserError, match=r"nets.py has changed since the run began"):
        evaluate(config.runtime.model_dir)


def test_an_interrupted_run_goes_on_with_the_same_file(nets, tmp_path):
    """From the checkpoint after its first epoch it comes to the same weights."""
    config = config_of(tmp_path, f"{nets}:small")
    config = replace(config, runtime=replace(config.runtime, validations=2))
    expected = train(config)
    run = tmp_path / "run"
    last = max(run.glob("checkpoints/step-*"))
    (run / "metrics.json").unlink()
    last.unlink()
    again = train(config)
    assert again["per_class_iou"] == expected["per_class_iou"]


@pytest.mark.parametrize("method", ["taf", "mean_teacher"])
def test_an_interrupted_run_with_dropout_comes_to_the_same_weights(nets, tmp_path, method):
    """Bit for bit: its masks go on where they were."""
    rates = {} if method == "taf" else {"change_rates": None}
    config = config_of(tmp_path, f"{nets}:dropping", method=method, **rates)
    config = replace(config, runtime=replace(config.runtime, validations=2))
    train(config)
    run = tmp_path / "run"
    last = max(run.glob("checkpoints/step-*"))
    expected = arrays(last)
    state = np.array([value for name, value in expected.items() if name.startswith("generators/")])
    assert state.shape == (1, 2)
    (run / "metrics.json").unlink()
    last.unlink()
    train(config)
    found = arrays(last)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def arrays(path) -> dict[str, np.ndarray]:
    """What a checkpoint holds: name -> array."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None)
    return found


def test_a_run_begins_with_one_of_the_same_file(nets, tmp_path, capsys):
    """With all its weights, though Keras gives the layer without a name another one each time."""
    config = config_of(tmp_path, f"{nets}:small")
    train(config)
    run = Run(config.runtime.model_dir)
    names = list(run.metrics["per_class_iou"])
    own = replace(config, training=replace(config.training, init_from=str(run.folder)))
    network = build_model(config.model, 3)
    capsys.readouterr()
    load_initial_weights(own, Run(tmp_path / "new"), network, [names[2], "drone", names[0]])
    assert "begins with 6 of 6 weights" in capsys.readouterr().out
    trained = load_network(config, names, latest_checkpoint(run))
    np.testing.assert_array_equal(network.variables[0], trained.variables[0])
    for place in (-2, -1):  # kernel and bias of the classifier
        taken, given = (np.asarray(each.variables[place]) for each in (network, trained))
        np.testing.assert_array_equal(taken[..., [0, 2]], given[..., [2, 0]])


@pytest.mark.parametrize("method", ["baseline", "propagate"])
def test_other_methods_need_no_layers(nets, tmp_path, method):
    config = config_of(tmp_path, f"{nets}:small", method=method, change_rates=None)
    assert train(config)["frames"] == 2


def test_a_model_of_a_fixed_size(nets, tmp_path):
    config = config_of(tmp_path, f"{nets}:flat")
    train(config)
    exported = tf.saved_model.load(str(tmp_path / "run" / "export"))
    assert exported.serve(np.zeros((2, 32, 48, 3), np.uint8))["labels"].shape == (2, 32, 48)
    other = replace(config, data=replace(config.data, image_size=(64, 96)))
    other = replace(other, runtime=replace(other.runtime, model_dir=str(tmp_path / "other")))
    with pytest.raises(UserError, match=r"takes 32x48 px alone: give --image_size=32x48$"):
        train(other)
    assert not (tmp_path / "other").exists()


def test_a_model_that_keras_has_saved(nets, tmp_path):
    network = build_model(ModelConfig(f"{nets}:fixed"), 10)
    keras.Model(network.input, network.layers[-2].output).save(tmp_path / "saved.keras")
    config = config_of(tmp_path, str(tmp_path / "saved.keras"))
    assert train(config)["frames"] == 2


def test_layers_that_need_a_size_are_exported_for_one(tmp_path, capsys):
    image = keras.Input((None, None, 3))
    x = keras.layers.UpSampling2D(interpolation="bilinear")(keras.layers.Conv2D(2, 2, strides=2)(image))
    network = keras.Model(image, x, name="upsampled")
    classes = ClassTable(("a", "b"), ((0, 0, 0), (1, 1, 1)))
    export_model(network, classes, tmp_path / "export", (32, 48))
    assert "export  takes frames of 32x48 px alone: upsampled has layers" in capsys.readouterr().out
    exported = tf.saved_model.load(str(tmp_path / "export"))
    assert exported.serve(np.zeros((1, 32, 48, 3), np.uint8))["labels"].shape == (1, 32, 48)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{nets}:absent", "has no function absent"),
        ("{nets}:number", "has no function number"),
        ("{nets}:subclass", "a Own has no functional graph; allowed is keras.Model"),
        ("{nets}:grey", r"takes \(None, None, None, 1\), must take RGB"),
        ("{nets}:vector", r"returns \(None, 3\), must return logits \(batch, height, width, 5\)"),
        ("{nets}:two", "it has 2 outputs; allowed is one"),
        ("{nets}:named", "it returns a dict, .*; allowed is one tensor"),
        ("{nets}:activated", "ends with a softmax, must return logits"),
        ("{nets}:ends_with_softmax", "ends with a softmax, must return logits"),
        ("{nets}:ends_with_sigmoid", "ends with a sigmoid, must return logits"),
        ("{nets}:nested", "ends with a softmax, must return logits"),
        ("{nets}:operation", "ends with a softmax, must return logits"),
        (
            "{nets}:regularised",
            "layer 'own': its activity_regularizer is not added to the loss here: leave it",
        ),
        (
            "{nets}:with_call",
            r"a WithCall has no functional graph; .*, without a call\(\) of its own",
        ),
        ("{folder}/absent.py:f", r"absent.py: no such file"),
        ("{folder}/broken.py:f", r"broken.py cannot be imported: "),
        ("{folder}/broken.keras", r"Keras cannot load it in safe mode: .*; layers of your own need the form"),
    ],
)
def test_what_is_no_such_model_is_refused(nets, model, message):
    (nets.parent / "broken.py").write_text("def f(:")
    (nets.parent / "broken.keras").write_text("")
    model = model.format(nets=nets, folder=nets.parent)
    with pytest.raises(UserError, match=rf"^--model={model}: .*{message}"):
        build_model(ModelConfig(model), 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ModelConfig("nets.py:f")}, "--model=nets.py:f: needs --change_rates=LAYER=c,…"),
        (
            {"model": ModelConfig("nets.py:f"), "taf": TAFConfig(change_rates=(1e-3, 0.0))},
            "--model=nets.py:f: needs --change_rates=LAYER=c,…",
        ),
        (
            {"model": ModelConfig("nets.py:f"), "taf": TAFConfig("slow")},
            "--method=slow: write --method=taf --change_rates=LAYER=0,…",
        ),
        (
            {"model": ModelConfig("a.keras"), "taf": TAFConfig(change_rates=(("a", 1.0), ("a", 2.0)))},
            "--change_rates: names a branch twice",
        ),
        (
            {"taf": TAFConfig(change_rates=(("image_poll", 1.0),))},
            "--change_rates=image_poll=…: deeplabv3plus has image_pool, atrous18,",
        ),
        (
            {"model": ModelConfig("a.keras"), "taf": TAFConfig(change_rates="auto", rates_from="run")},
            "--change_rates=auto: needs one of the models fcn8s, deeplabv3plus",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(UserError) as refused:
        Config(**settings)
    assert str(refused.value).startswith(message)


def test_settings_of_the_built_in_models_are_refused():
    with pytest.raises(UserError, match=r"^--head_channels=8: is of no effect on --model=a.keras"):
        ModelConfig("a.keras", head_channels=8)
    with pytest.raises(
        UserError, match=r"^--model=unet: allowed are fcn8s, deeplabv3plus, FILE.py:FUNCTION and"
    ):
        ModelConfig("unet")


def test_named_rates_leave_other_branches_free():
    taf = TAFConfig(change_rates=(("atrous6", 1e-4), ("image_pool", 0.0)))
    assert Config(taf=taf).change_rates == (0.0, float("inf"), float("inf"), 1e-4, float("inf"))
