"""What a network begins with: ImageNet's weights where they can be had, or those of a run that has ended."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from taf_keras.config import Config, ModelConfig, TrainingConfig
from taf_keras.errors import UserError
from taf_keras.models.build import build_model
from taf_keras.storage.run import Run
from taf_keras.training import initial_weights
from taf_keras.training.initial_weights import build_network, load_initial_weights
from taf_keras.training.run import train

SMALL = {"backbone_width": 0.35, "head_channels": 8}


@pytest.fixture
def weights_to_be_had(monkeypatch):
    """Stands in for the download: keras.applications, in which `imagenet` is a constant."""
    real = keras.applications.MobileNetV2

    def application(*args, weights, **settings):
        model = real(*args, weights=None, **settings)
        if weights == "imagenet":
            model.set_weights([np.full_like(w, 0.25) for w in model.get_weights()])
        return model

    monkeypatch.setattr(keras.applications, "MobileNetV2", application)


@pytest.fixture
def no_network(monkeypatch):
    def application(*args, weights, **settings):
        if weights == "imagenet":
            raise OSError("URL fetch failure on https://host/mobilenet.h5")
        return real(*args, weights=weights, **settings)

    real = keras.applications.MobileNetV2
    monkeypatch.setattr(keras.applications, "MobileNetV2", application)


AUTO = Config(model=ModelConfig(backbone_weights="auto", **SMALL))


def test_auto_is_imagenet_where_that_can_be_had(weights_to_be_had):
    network, config = build_network(AUTO, 3)
    assert config == replace(AUTO, model=replace(AUTO.model, backbone_weights="imagenet"))
    kernel = next(v for v in network.variables if "Conv1" in v.path)
    assert (np.asarray(kernel) == 0.25).all()


def test_auto_is_random_with_a_warning_where_there_is_no_network(no_network, capsys):
    network, config = build_network(AUTO, 3)
    assert config.model.backbone_weights == "random"
    assert network.count_params() > 0
    warning = capsys.readouterr().out
    assert (
        "backbone_weights=imagenet: the weights of mobilenetv2 (width 0.35) cannot be downloaded" in warning
    )
    assert "URL fetch failure" in warning
    assert warning.endswith("random weights, which need many more labels and steps for the same accuracy\n")


def test_imagenet_that_was_asked_for_is_refused_where_there_is_no_network(no_network):
    with pytest.raises(UserError, match="cannot be downloaded"):
        build_network(replace(AUTO, model=replace(AUTO.model, backbone_weights="imagenet")), 3)


def test_a_run_goes_on_with_what_auto_was_when_it_began(tmp_path):
    begun = replace(AUTO, model=replace(AUTO.model, backbone_weights="random"))
    run = Run(tmp_path / "run")
    run.claim(begun).close()
    assert Run(run.folder).as_begun(AUTO) == begun


# --- init_from ---


@pytest.fixture
def begin(finished_run, tmp_path, capsys):
    """Begins a run with the weights of the finished one. Returns: what it says."""

    def load(network, class_names) -> str:
        config, _ = finished_run
        own = replace(config, training=TrainingConfig(init_from=config.runtime.model_dir))
        load_initial_weights(own, Run(tmp_path / "new"), network, class_names)
        return capsys.readouterr().out

    return load


def names_of(run: Run) -> list[str]:
    return list(run.metrics["per_class_iou"])


def trained(finished_run, run: Run) -> dict[str, np.ndarray]:
    from taf_keras.evaluation.network import latest_checkpoint, load_network

    network = load_network(finished_run[0], names_of(run), latest_checkpoint(run))
    return {variable.path: np.asarray(variable) for variable in network.variables}


def test_the_same_classes_take_all_weights(finished_run, begin):
    config, _ = finished_run
    run = Run(config.runtime.model_dir)
    network = build_model(config.model, len(names_of(run)))
    count = len(network.variables)
    assert begin(network, names_of(run)) == f"begins with {count} of {count} weights of {run.folder}\n"
    expected = trained(finished_run, run)
    for variable in network.variables:
        np.testing.assert_array_equal(variable, expected[variable.path], err_msg=variable.path)


def test_other_classes_take_the_rows_of_those_that_both_know(finished_run, begin):
    """Two are gone, one is new, and the order is turned round."""
    config, _ = finished_run
    run = Run(config.runtime.model_dir)
    old = names_of(run)
    new = ["drone", *reversed(old[:-2])]
    network = build_model(config.model, len(new))
    before = {variable.path: np.array(variable) for variable in network.variables}
    said = begin(network, new)
    assert said.endswith(f"weights of {run.folder}; classes that it does not know: drone\n")
    expected = trained(finished_run, run)
    of_classes = 0
    for variable in network.variables:
        value, path = np.asarray(variable), variable.path
        if value.shape == expected[path].shape:
            np.testing.assert_array_equal(value, expected[path], err_msg=path)
        else:
            of_classes += 1
            np.testing.assert_array_equal(value[..., 0], before[path][..., 0])  # drone keeps its own
            for position, name in enumerate(new[1:], 1):
                np.testing.assert_array_equal(value[..., position], expected[path][..., old.index(name)])
    assert of_classes == 2  # kernel and bias of the classifier


def test_a_network_of_which_nothing_fits_is_refused(begin):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, name="mine")(image), name="mine")
    with pytest.raises(UserError, match=r"init_from=.*: none of its weights fits mine"):
        begin(network, ["a", "b"])


def test_a_run_that_has_not_ended_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"init_from=.*nowhere: is not the model_dir of a run that has ended"):
        train(Config(training=TrainingConfig(init_from=str(tmp_path / "nowhere"))))


def with_dropout(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.Conv2D(2, 1)(keras.layers.Dropout(0.5)(image)))


def test_what_samples_stays_as_the_seed_has_it(monkeypatch, capsys):
    """Or all seeds of a sweep with --init_from would draw the same dropout masks."""
    trained, network = with_dropout(1), with_dropout(2)
    run = SimpleNamespace(metrics={"per_class_iou": {"a": 0.5, "b": 0.5}}, config=None, folder="first")
    for name, value in (
        ("load_network", trained),
        ("reported_checkpoint", None),
        ("latest", None),
        ("Run", run),
    ):
        monkeypatch.setattr(initial_weights, name, lambda *_, value=value: value)
    (state,) = (v for v in network.variables if "seed_generator" in v.path)
    before = np.array(state)
    config = Config(training=TrainingConfig(init_from="first"))
    load_initial_weights(config, SimpleNamespace(checkpoints=None), network, ("a", "b"))
    np.testing.assert_array_equal(network.get_layer(index=2).kernel, trained.get_layer(index=2).kernel)
    np.testing.assert_array_equal(state, before)
    assert (before != np.array(next(v for v in trained.variables if "seed_generator" in v.path))).any()
    assert capsys.readouterr().out == "begins with 2 of 2 weights of first\n"
