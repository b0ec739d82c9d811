"""What a network begins with: the backbone's weights, or those of a run that has ended (`--init_from`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from taf_keras.config import Config, ModelConfig
from taf_keras.errors import UserError
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.models.build import build_model
from taf_keras.storage.checkpoint import latest
from taf_keras.storage.run import Run


def build_network(config: Config, classes: int) -> tuple[keras.Model, Config]:
    """The network, and the configuration with what `--backbone_weights=auto` has become.

    Raises: UserError for weights that were asked for and cannot be had.
    """
    model = config.model
    if config.training.init_from:
        return build_model(_with(model, "random"), classes), config
    if model.backbone_weights != "auto":
        return build_model(model, classes), config
    try:
        found = _with(model, "imagenet")
        network = build_model(found, classes)
    except UserError as error:
        print(
            f"warning: {error}; the backbone begins with random weights, which need many more labels and "
            "steps for the same accuracy"
        )
        found = _with(model, "random")
        network = build_model(found, classes)
    return network, replace(config, model=found)


def load_initial_weights(config: Config, run: Run, network: keras.Model, class_names: Sequence[str]) -> None:
    """Gives the network of a run that begins with `init_from` all weights of that run that fit; says which.

    What depends on the number of classes is copied class by class, by their names. The state of what
    samples, such as dropout, is no weight: `--seed` decides it.

    Raises: UserError for a run of another network, of which nothing fits.
    """
    if config.training.init_from and latest(run.checkpoints) is None:
        print(f"begins with {_copied(Run(config.training.init_from), network, class_names)}")


def _copied(run: Run, network: keras.Model, class_names: Sequence[str]) -> str:
    names = list(run.metrics["per_class_iou"])
    trained = load_network(run.config, names, reported_checkpoint(run))
    of_classes = {} if names == list(class_names) else _of_classes(run.config.model, len(names))
    shared = [name for name in class_names if name in names]
    to, of = ([table.index(name) for name in shared] for table in (list(class_names), names))
    places, fitting = _places(network, trained), 0
    for variable, place in zip(network.weights, places, strict=True):
        value = None if place is None else np.asarray(trained.weights[place])
        if value is None or value.ndim != len(variable.shape):
            continue
        axes = of_classes.get(place, set())
        alike = [
            a == b for i, (a, b) in enumerate(zip(value.shape, variable.shape, strict=True)) if i not in axes
        ]
        if not all(alike):
            continue
        if axes:
            own = np.array(variable)
            own[_only(own.shape, axes, to)] = value[_only(value.shape, axes, of)]
            value = own
        variable.assign(value)
        fitting += 1
    if not fitting:
        raise UserError(f"--init_from={run.folder}: none of its weights fits {network.name}")
    new = [name for name in class_names if name not in names]
    text = f"{fitting} of {len(network.weights)} weights of {run.folder}"
    return f"{text}; classes that it does not know: {', '.join(new)}" if new else text


def _with(model: ModelConfig, weights: str) -> ModelConfig:
    return model if model.is_own else replace(model, backbone_weights=weights)


def _places(network: keras.Model, trained: keras.Model) -> list[int | None]:
    """For each weight of `network` the place of its like in `trained`: by order, or else by path.

    By order, since Keras counts on in the names that it gives to layers: the second network of a process has
    others. By path where the networks are not the same, so that what they share is still found.
    """
    paths = [[variable.path for variable in each.weights] for each in (network, trained)]
    uncounted, other = ([re.sub(r"_\d+(?=/)", "", path) for path in each] for each in paths)
    if uncounted == other:
        return list(range(len(uncounted)))
    place = {path: i for i, path in enumerate(paths[1])}
    return [place.get(path) for path in paths[0]]


def _of_classes(model: ModelConfig, count: int) -> dict[int, set[int]]:
    """Place -> axes of variables whose shape depends on the number of classes: one more shows which."""
    few, more = (build_model(_with(model, "random"), n).weights for n in (count, count + 1))
    changed = {}
    for place, (variable, other) in enumerate(zip(few, more, strict=True)):
        sides = enumerate(zip(variable.shape, other.shape, strict=True))
        if axes := {axis for axis, (a, b) in sides if a != b}:
            changed[place] = axes
    return changed


def _only(shape: tuple[int, ...], axes: set[int], indices: list[int]) -> tuple[np.ndarray, ...]:
    """An index of those rows along `axes`, and of all along the others."""
    return np.ix_(*(indices if axis in axes else range(size) for axis, size in enumerate(shape)))
