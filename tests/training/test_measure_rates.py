import dataclasses

import keras
import numpy as np
import pytest
from conftest import tiny_config
from taf_examples import halves

from taf_keras.config import BRANCHES, Config, TAFConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import UserError
from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.pipeline.batches import training_batches
from taf_keras.storage.run import Run
from taf_keras.training import measure_rates
from taf_keras.training.measure_rates import rates_on
from taf_keras.training.run import train

pytestmark = pytest.mark.usefixtures("small_backbone")


def asking(config, folder, **taf):
    """A shorter run with `auto`, measured on `config`'s own model."""
    taf = {"change_rates": "auto", "rates_from": config.runtime.model_dir} | taf
    return dataclasses.replace(
        config,
        taf=dataclasses.replace(config.taf, **taf),
        training=dataclasses.replace(config.training, epochs=1),
        runtime=dataclasses.replace(config.runtime, model_dir=str(folder), validations=0),
    )


@pytest.mark.parametrize("relative", [False, True])
def test_rates_are_quantiles_of_delta_per_frame_or_change(finished_run, tmp_path, monkeypatch, relative):
    """Against one branch done by hand: swap, softmax and the means over valid pixels in NumPy."""
    config, _ = finished_run
    monkeypatch.setattr(measure_rates, "PAIRS", 16)
    monkeypatch.setattr(measure_rates, "load_network", sharper)
    split = load_split(config.data, "train")
    quantiles = (0.0, 0.5, 1.0)
    measured = [
        rates_on(split, asking(config, tmp_path, rates_quantile=q, relative=relative)) for q in quantiles
    ]
    run = Run(config.runtime.model_dir)
    network = sharper(config, split.classes.names, latest_checkpoint(run))
    names, encoder, head = halves(network)
    branch = "atrous12"
    rates = []
    for batch in training_batches(split, config, steps=4):
        frames = np.concatenate([batch["image"], batch["partner"]]).astype(np.float32)
        features = dict(zip(names, encoder(frames), strict=True))
        other = keras.ops.roll(features[branch], len(frames) // 2, axis=0)
        p, q = (
            keras.ops.softmax(resized(head([f[name] for name in names]), frames), axis=-1).numpy()
            for f in (features, features | {branch: other})
        )
        delta = np.abs(p - q).mean(axis=-1)
        moved = np.abs(frames - np.roll(frames, len(frames) // 2, axis=0)).mean(axis=-1) / 255
        for i, n in enumerate(np.tile(batch["offset_frames"], 2)):
            valid = batch["valid"][i % len(batch["valid"])]
            change = moved[i][valid].mean() if relative else abs(n)
            if change:
                rates.append(delta[i][valid].mean() / change)
    expected = np.quantile(rates, quantiles)
    position = list(BRANCHES["deeplabv3plus"]).index(branch)
    np.testing.assert_allclose([rates[position] for rates in measured], expected, rtol=0.02, atol=2e-9)


def sharper(*args):
    """The run's network with steep logits: after a few steps δ is hardly above float32's rounding."""
    network = load_network(*args)
    logits = network.get_layer("logits")
    logits.kernel.assign(100 * logits.kernel)
    return network


def resized(logits, frames):
    from taf_keras.models.layers import resize

    return resize(logits, frames.shape[1:3])


def test_a_run_writes_its_measured_rates_and_resumes_with_them(finished_run, untraced, tmp_path, monkeypatch):
    monkeypatch.setattr(measure_rates, "PAIRS", 8)
    config = asking(finished_run[0], tmp_path / "run")
    train(config)
    written = Run(config.runtime.model_dir).config
    assert all(rate > 0 for rate in written.taf.change_rates)
    assert Run(config.runtime.model_dir).has_measured_rates
    train(config)  # has ended: the same command is the same run, not another one in its folder
    with pytest.raises(UserError, match="holds another run"):
        train(asking(finished_run[0], tmp_path / "run", rates_quantile=0.3))


@pytest.mark.parametrize(
    ("taf", "settings", "message"),
    [
        ({"rates_from": "nowhere"}, {}, "--rates_from=nowhere: is not the model_dir of a run that has ended"),
        ({}, {"model": "fcn8s", "output_stride": 32}, "is a deeplabv3plus, not a fcn8s"),
    ],
)
def test_what_cannot_be_measured_is_refused(finished_run, tmp_path, taf, settings, message):
    config = asking(finished_run[0], tmp_path / "run", **taf)
    model = dataclasses.replace(config.model, **settings)
    data = dataclasses.replace(config.data, image_size=(64, 64))  # FCN8s needs two cells of stride 32
    config = dataclasses.replace(config, model=model, data=data)
    with pytest.raises(UserError, match=message):
        train(config)


def test_auto_needs_a_baseline():
    with pytest.raises(UserError, match="--change_rates=auto needs --rates_from"):
        tiny_config_with_auto()


def tiny_config_with_auto():
    from pathlib import Path

    return tiny_config(Path("unused"), taf={"change_rates": "auto"})


@pytest.mark.parametrize("method", ["baseline", "slow", "propagate"])
def test_arms_without_rates_of_their_own_measure_none(method):
    """So that a sweep may ask all its arms for `auto`."""
    given = None if method == "slow" else "auto"
    taf = TAFConfig(method=method, change_rates=given, rates_from="runs/baseline")
    config, plain = Config(taf=taf), Config(taf=TAFConfig(method=method))
    assert not config.measures_rates
    assert config.change_rates == plain.change_rates
    assert measure_rates.with_measured_rates(config, None, Cluster(("a:1", "b:2")), None) == config


@pytest.mark.parametrize("method", ["taf", "propagate"])
def test_methods_with_the_term_measure_them(method):
    assert Config(
        taf=TAFConfig(method=method, weight=1.0, change_rates="auto", rates_from="runs/baseline")
    ).measures_rates
