"""What layers must do alike in all parts of a TAF batch, so that those differ by the swap alone.

A TAF batch is [key frames; partners], and after the swap [both; both swapped]. Keras' batch norm would take
its statistics from all of it, and dropout would sample another mask for each part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import Lock

import keras
from keras import ops

from taf_keras.errors import ArgumentError
from taf_keras.models.batch_norm import BatchNormalization, normalise_by_first, statistics_of_first

# Replicas take turns within a step, so that one may end its part while another is in its own.
_lock = Lock()
_in_use: Counter = Counter()
_parts: ContextVar[int] = ContextVar("parts", default=1)


class EqualParts:
    """Makes the layers of a network treat the parts of a batch alike while `of` is entered, and never else.

    Layers that sample, such as dropout, sample the same for each part. Batch norm takes statistics from the
    key frames, the first part, for `key`, and from the whole batch, as in Keras, for `all`.

    Args:
        network: its layers are looked at, those inside other layers too.
        batch_norm_frames: one of config.BATCH_NORM_FRAMES.
    Raises: ArgumentError for batch norm that cannot take its statistics from key frames alone, and for layers
        whose samples cannot be made the same.
    """

    def __init__(self, network: keras.Model, batch_norm_frames: str = "key"):
        self.key_statistics = batch_norm_frames == "key"
        layers = network._flatten_layers()
        self._norms, self._sampling = [], []
        for layer in layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                if self.key_statistics and not isinstance(layer, BatchNormalization):  # ours asks by itself
                    _check_norm(layer)
                    self._norms.append(layer)
            elif _generators(layer):
                _check_composite(layer)
                self._sampling.append(layer)
            _check_recurrent(layer)

    @contextmanager
    def of(self, parts: int):
        """Inside, a training step's batch has so many equal parts."""
        calls = {layer: partial(_norm_call, layer) for layer in self._norms}
        calls |= {layer: partial(_equal_samples, layer) for layer in self._sampling}
        token = _parts.set(parts)
        try:
            with statistics_of_first(parts if self.key_statistics else 1), _calls(calls):
                yield
        finally:
            _parts.reset(token)


def _check_norm(layer) -> None:
    own = type(layer).call is not keras.layers.BatchNormalization.call
    if own or getattr(layer, "renorm", False):
        what = f"a {type(layer).__name__} with a call() of its own" if own else "batch renormalisation"
        raise ArgumentError(
            f"layer {layer.name!r}: {what} cannot take its statistics from the key frames alone: give "
            'batch_norm_frames="all"'
        )


def _check_composite(layer) -> None:
    """What is inside would be called once for each part, and then cut its part into parts again."""
    for inner in layer._flatten_layers(include_self=False):
        if isinstance(inner, keras.layers.BatchNormalization) or _generators(inner):
            raise ArgumentError(
                f"layer {layer.name!r}: a {type(layer).__name__} with a SeedGenerator of its own contains a "
                f"{type(inner).__name__}: allowed is either; give the sampling a layer of its own inside it"
            )


def _check_recurrent(layer) -> None:
    if hasattr(layer, "recurrent_dropout") and (layer.dropout or layer.recurrent_dropout):
        raise ArgumentError(
            f"layer {layer.name!r}: a {type(layer).__name__} with dropout samples anew for each part: give "
            "dropout=0 and recurrent_dropout=0, and a keras.layers.Dropout after it"
        )


def _norm_call(layer, inputs, training=None, mask=None):
    if training and layer.trainable:
        if mask is not None:
            raise ArgumentError(
                f'layer {layer.name!r}: batch norm of masked inputs needs batch_norm_frames="all"'
            )
        return normalise_by_first(layer, inputs)
    return type(layer).call(layer, inputs, training=training, mask=mask)


def _generators(layer) -> list[keras.random.SeedGenerator]:
    return [value for value in vars(layer).values() if isinstance(value, keras.random.SeedGenerator)]


def _equal_samples(layer, *args, **kwargs):
    """The layer's outputs of each part, every one from the same state of its generators."""
    parts = _parts.get()  # of this replica: another one may be in its head already
    states = [(generator.state, ops.add(generator.state, 0)) for generator in _generators(layer)]
    examples = next(x.shape[0] for x in keras.tree.flatten((args, kwargs)) if _is_batch(x))
    outputs = []
    for part in range(parts):
        for state, before in states:
            state.assign(before)
        # Attention takes several tensors, or masks.
        given = keras.tree.map_structure(
            lambda x, i=part: ops.split(x, parts)[i] if _is_batch(x) and x.shape[0] == examples else x,
            (args, kwargs),
        )
        outputs.append(type(layer).call(layer, *given[0], **given[1]))
    return keras.tree.map_structure(lambda *x: ops.concatenate(x, axis=0), *outputs)


def _is_batch(x) -> bool:
    return ops.is_tensor(x) and len(x.shape) > 0


@contextmanager
def _calls(calls: Mapping[keras.layers.Layer, Callable]):
    """Inside, the layers are called by other functions."""
    with _lock:
        _in_use.update(calls.keys())
        for layer, call in calls.items():
            vars(layer)["call"] = call
    try:
        yield
    finally:
        with _lock:
            for layer in calls:
                _in_use[layer] -= 1
                if not _in_use[layer]:
                    del _in_use[layer], vars(layer)["call"]
