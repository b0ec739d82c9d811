"""TAF for any functional Keras model: Eq. 6 behind Keras' own `compile` and `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np
from keras import ops

from taf_keras.errors import ArgumentError
from taf_keras.models.functional import regularised_layer
from taf_keras.taf.batch import check_batch
from taf_keras.taf.statistics import BranchStatistics, ReplicaMean
from taf_keras.taf.term import Outcome, TAFTerm

# Of the step at work in this thread; replicas, which take turns, have one each.
_outcome: ContextVar[tuple[keras.Model, Outcome] | None] = ContextVar("outcome", default=None)
_testing: ContextVar[bool] = ContextVar("testing", default=False)


@keras.saving.register_keras_serializable("taf_keras")
class TAF(keras.Model):
    """A network that is trained with Temporally-Adaptive Features (Eq. 6), and is itself in all else.

    `compile`, `fit`, `evaluate`, `predict`, callbacks and strategies are Keras' own. The loss is that of
    `compile` on the key frames, plus `weight`·R+. `evaluate` and `predict` are the network's. Training
    reports `taf`, the mean R+, and for each branch `delta/NAME`, the mean δ, and `over_slack/NAME`, the share
    of frames whose δ exceeds |Δ|·c.

    Training batches are `(x, y)` or `(x, y, sample_weight)`. y belongs to the key frames, x is a dict:
        image: key frames, (pairs, …), as the network takes them.
        partner: a neighbouring frame of each, without a label, of the same shape and crop.
        offset_frames: n, numbers (pairs,): how many frames the partner lies after its key frame.
        valid: bool (pairs, …), the output's shape without channels, False in padding; optional.
        key_branch, partner_branch: i1 and i2, int (pairs,), positions in `change_rates`; sampled if absent.
        partner_takes: bool (pairs,), with `symmetric="sampled"`: whether the partner takes it; or sampled.
    `taf_keras.pairs` makes such batches. A loop of your own takes the loss of `compute_loss` right after each
    call: the outputs alone do not hold the term.

    Args:
        network: a functional `keras.Model` of one input and one output. It is trained, and not changed.
        change_rates: {layer: c_i}, slowest first: the layers whose outputs are the branches Φ_i, and the
            change of δ per frame that is free (Eq. 4); 0 or more, inf leaves a branch free. A layer inside a
            nested model is named `outer.inner`.
        weight: λ, 0 or more. An attribute too, which a callback may set.
        contrast: what δ compares (Eq. 3, Section 5.5): `softmax` or `sigmoid` of the outputs, `identity` for
            probabilities and regression, or a function of the outputs.
        distance: `l1` (the paper's), `l2` or `symmetric_cross_entropy` (Section 5.5).
        symmetric: `both`: key frame and partner each take a branch (Eq. 6). `key`: the key frame alone
            (Eq. 5), which costs less. `sampled`: one of the two, which counts twice: Eq. 6 in expectation.
        relative: measure c_i against the input's own change, RGB in [0, 255], instead of |n| (Section 5.4).
        batch_norm_frames: `key`: batch norm takes its statistics from the key frames, so that partners act
            through R+ alone; `all`: from every frame, as Keras does.
        seed: of the branches that are sampled; None samples one.
        layers: {branch: layer} where branches are to have other names than their layers; see `Cut`.
    Raises: ArgumentError, a ValueError, for a network, layer or setting that cannot be used.

    Example:
        >>> image = keras.Input((32, 32, 3))
        >>> slow = keras.layers.Conv2D(4, 9, padding="same", name="slow")(image)
        >>> fast = keras.layers.Conv2D(4, 1, name="fast")(image)
        >>> logits = keras.layers.Conv2D(2, 1)(keras.layers.Concatenate()([slow, fast]))
        >>> network = keras.Model(image, logits)
        >>> model = TAF(network, {"slow": 1e-4, "fast": float("inf")}, weight=1.0, seed=0)
        >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> frames = np.random.default_rng(0).uniform(size=(2, 4, 32, 32, 3)).astype("float32")
        >>> x = {"image": frames[0], "partner": frames[1], "offset_frames": np.array([1, -2, 3, 15])}
        >>> history = model.fit(x, np.zeros((4, 32, 32)), verbose=0)
        >>> sorted(history.history)
        ['delta/fast', 'delta/slow', 'loss', 'over_slack/fast', 'over_slack/slow', 'taf']
        >>> model.predict(frames[0], verbose=0).shape
        (4, 32, 32, 2)
    """

    def __init__(
        self,
        network: keras.Model,
        change_rates: Mapping[str, float],
        weight: float = 1.0,
        *,
        contrast: str | Callable = "softmax",
        distance: str = "l1",
        symmetric: str = "both",
        relative: bool = False,
        batch_norm_frames: str = "key",
        seed: int | None = None,
        layers: Mapping[str, str | int] | None = None,
        name: str = "taf",
        **kwargs,
    ):
        # By which `compile` scales the loss of float16.
        kwargs.setdefault("dtype", getattr(network, "dtype_policy", None))
        super().__init__(name=name, autocast=False, **kwargs)
        self.network = network
        self.term = TAFTerm(
            network,
            change_rates,
            layers,
            contrast=contrast,
            distance=distance,
            symmetric=symmetric,
            relative=relative,
            batch_norm_frames=batch_norm_frames,
        )
        key_frames_alone = self.term.swappable and batch_norm_frames == "key"
        if key_frames_alone and (layer := regularised_layer(network)) is not None:
            raise ArgumentError(
                f"layer {layer.name!r}: its activity_regularizer would count partners and swapped frames "
                'too: leave it out, or give batch_norm_frames="all"'
            )
        self._weight = self.add_weight(
            shape=(), initializer="zeros", trainable=False, autocast=False, dtype="float32", name="weight"
        )
        self.weight = weight
        self.sampling = keras.random.SeedGenerator(seed)
        # Keras reports what is in `metrics`: nothing where no branch can be sampled.
        self._taf = ReplicaMean("taf") if self.term.swappable else None
        self._branches = BranchStatistics(self.term.branches) if self.term.swappable else None
        self.built = True  # its layers are the network's

    @property
    def weight(self) -> float:
        """λ."""
        return float(ops.convert_to_numpy(self._weight))

    @weight.setter
    def weight(self, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ArgumentError(f"weight={value}: must be finite and 0 or more")
        self._weight.assign(value)

    def call(self, inputs, training=None):
        """Key frames, or a dict as above -> the network's outputs of the key frames."""
        if not training:
            return self.network(inputs["image"] if isinstance(inputs, Mapping) else inputs, training=False)
        check_batch(inputs, len(self.term.branches))
        outcome = self.term(
            inputs["image"],
            inputs["partner"],
            inputs["offset_frames"],
            *self._branches_of(inputs),
            inputs.get("valid"),
            self._side_of(inputs),
            training=True,
        )
        if outcome.taf is not None:
            _outcome.set((self, outcome))
        return outcome.outputs

    def _branches_of(self, inputs) -> list:
        if not self.term.swappable:
            return [None, None]
        allowed = ops.convert_to_tensor(np.int32(self.term.swappable))
        pairs = ops.shape(inputs["image"])[0]
        return [
            inputs[name]
            if name in inputs
            else ops.take(
                allowed, keras.random.randint((pairs,), 0, len(self.term.swappable), seed=self.sampling)
            )
            for name in ("key_branch", "partner_branch")
        ]

    def _side_of(self, inputs):
        if self.term.symmetric != "sampled" or not self.term.swappable:
            return None
        if "partner_takes" in inputs:
            return inputs["partner_takes"]
        return keras.random.uniform((ops.shape(inputs["image"])[0],), seed=self.sampling) < 0.5

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        found = _outcome.get()
        if not training or found is None or found[0] is not self:
            return loss
        outcome = found[1]
        _outcome.set(None)
        # Not by `add_loss`: replicas share its list, and one begins its call before another has read it.
        term = ops.cast(self._weight * ops.mean(outcome.taf), loss.dtype)
        # Metrics here, and not in `call`, since JAX lets them change in a step's loss alone.
        self._taf.update_state(outcome.taf)
        self._branches.update_state(outcome.delta, outcome.slack, outcome.sampled)
        return loss + self._aggregate_additional_loss(term)  # over the number of replicas

    def evaluate(self, *args, **kwargs):
        with _evaluation():  # Keras compares its metrics after the last step with those of the step
            return super().evaluate(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        # Of `test_on_batch` too, and of replicas, each of which is a thread with a context of its own.
        with _evaluation():
            return super().test_step(*args, **kwargs)

    def get_metrics_result(self):
        results = super().get_metrics_result()
        if not _testing.get() or not self.term.swappable:
            return results
        own = {self._taf.name, *self._branches.result()}  # those of training say nothing of an evaluation
        return {name: value for name, value in results.items() if name not in own}

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["sampling"] = ops.convert_to_numpy(self.sampling.state)  # Keras leaves generators out

    def load_own_variables(self, store):
        self.sampling.state.assign(store["sampling"])
        super().load_own_variables({name: store[name] for name in store.keys() if name != "sampling"})  # noqa: SIM118

    def get_config(self):
        term = self.term
        contrast = term.contrast
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            # JSON has no infinity.
            "change_rates": {n: c if math.isfinite(c) else "inf" for n, c in term.change_rates.items()},
            "weight": self.weight,
            "contrast": contrast
            if isinstance(contrast, str)
            else keras.saving.serialize_keras_object(contrast),
            "distance": term.distance,
            "symmetric": term.symmetric,
            "relative": term.relative,
            "batch_norm_frames": "key" if term.parts.key_statistics else "all",
            "seed": self.sampling.get_config()["seed"],
            "layers": dict(zip(term.branches, term.cut.positions, strict=True)),
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("network", "contrast"):
            if not isinstance(config[name], str):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        config["change_rates"] = {name: float(rate) for name, rate in config["change_rates"].items()}
        return cls(**config)


@contextmanager
def _evaluation():
    token = _testing.set(True)
    try:
        yield
    finally:
        _testing.reset(token)
