"""The TAF term of Eq. 6: the passes of a network over pairs of frames, without and with a swapped branch."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
from keras import ops

from taf_keras.config import BATCH_NORM_FRAMES, SYMMETRIC
from taf_keras.errors import ArgumentError
from taf_keras.taf import losses
from taf_keras.taf.batch import sizes_agree
from taf_keras.taf.contrast import check_contrast
from taf_keras.taf.cut import Cut
from taf_keras.taf.equal_parts import EqualParts
from taf_keras.taf.swap import choose, swap_branches, take_branches

# What a call takes, in its order, by its names in a batch.
INPUTS = ("image", "partner", "offset_frames", "key_branch", "partner_branch", "valid")


class Outcome(NamedTuple):
    """What the passes give for a batch of pairs.

    Attributes:
        outputs: the network's outputs of the key frames, (pairs, …).
        partner_outputs: those of their partners, unswapped; None where only the key frames take a branch.
        taf: float32 (pairs,), R+ of the key frame, plus R+ of its partner where both take a branch; twice
            R+ of the one that is sampled.
        delta, slack: float32 (frames,), δ and |Δ|·c of each frame that took a branch: the key frames, then
            their partners where both do; one of each pair where it is sampled.
        sampled: int (frames,), the branch that it took.

    All after `outputs` are None where every change rate is infinite: R+ is 0 then.
    """

    outputs: object
    partner_outputs: object = None
    taf: object = None
    delta: object = None
    slack: object = None
    sampled: object = None

    @property
    def figures(self) -> dict:
        """`taf`, `delta`, `slack` and `sampled` by their names."""
        return {name: getattr(self, name) for name in ("taf", "delta", "slack", "sampled")}


class TAFTerm:
    """Calls a network on pairs of frames, and finds how far a swapped branch changes its outputs (Eq. 3–6).

    The passes share one call of the head Ω: they differ by the swap alone, so that δ is 0 for n = 0 (but
    for what a kernel rounds by the place of an example in the batch).

    Args:
        network: any functional model of one input and one output.
        change_rates: {branch: c_i}, change of δ per frame, 0 or more; inf leaves a branch free.
        layers: {branch: layer} for branches that are not named as their layers are; see `Cut`.
        contrast: what δ compares, see `losses.difference`.
        distance: one of losses.DISTANCES.
        symmetric: `both` is Eq. 6, where the key frame and its partner each take a branch of the other. `key`
            is Eq. 5's one-sided form: the head sees the key frames, and the key frames with a branch of their
            partner. `sampled`: one frame of each pair takes a branch, and counts twice: Eq. 6 in expectation.
        relative: measure c_i against the input's own L1 change instead of against |n| (5.4).
        batch_norm_frames: see `EqualParts`.
    Raises: ArgumentError for a rate, a choice, a layer or a network that cannot be used.
    """

    def __init__(
        self,
        network: keras.Model,
        change_rates: Mapping[str, float],
        layers: Mapping[str, str | int] | None = None,
        *,
        contrast: str | Callable = "softmax",
        distance: str = "l1",
        symmetric: str = "both",
        relative: bool = False,
        batch_norm_frames: str = "key",
    ):
        _check(change_rates, contrast, distance, symmetric, batch_norm_frames)
        self.network = network
        self.change_rates = {name: float(rate) for name, rate in change_rates.items()}
        self.contrast, self.distance = contrast, distance
        self.symmetric, self.relative = symmetric, relative
        self.cut = Cut(network, _layers(change_rates, layers or {}))
        check_contrast(network, contrast)
        self.branches = self.cut.branches
        rates = self.change_rates.values()
        self.swappable = tuple(i for i, rate in enumerate(rates) if math.isfinite(rate))
        self.parts = EqualParts(network, batch_norm_frames)

    def __call__(
        self,
        image,
        partner,
        offset_frames,
        key_branch=None,
        partner_branch=None,
        valid=None,
        partner_takes=None,
        training: bool = True,
    ) -> Outcome:
        """The outcome of a batch of pairs.

        Args:
            image, partner: key frames x_t and their partners x_{t+n}, (pairs, …) as the network takes them.
            offset_frames: n, numbers (pairs,).
            key_branch, partner_branch: i1 and i2, int (pairs,), indices into `change_rates`.
            valid: bool (pairs, …) of the outputs' shape without channels, False in the padding.
            partner_takes: bool (pairs,), for `sampled`: whether the partner is the frame that takes a branch.
        """
        if not self.swappable:
            return Outcome(self._key_outputs(image, partner, training))
        pairs = ops.shape(image)[0]
        frames = ops.concatenate([image, partner], axis=0)
        with self.parts.of(2):
            terms = self.cut.features(frames, training)
        sampled, copies = key_branch, 1
        if self.symmetric == "both":
            sampled, copies = ops.concatenate([key_branch, partner_branch], axis=0), 2
            original = terms
            swapped = swap_branches(terms, self.branches, sampled)
        else:
            halves = {name: ops.split(x, 2, axis=0) for name, x in terms.items()}
            key, other = ({name: x[i] for name, x in halves.items()} for i in range(2))
            original = key
            if self.symmetric == "sampled":
                sampled = ops.where(partner_takes, partner_branch, key_branch)
                original, other = choose(partner_takes, other, key), choose(partner_takes, key, other)
            swapped = take_branches(original, other, self.branches, sampled)
        # One call for all passes: they share the batch norm statistics, hence differ by the swap alone.
        passes = [original, swapped]
        if self.symmetric == "sampled":
            passes = [key, *passes]  # whose outputs the cross entropy needs
        together = {name: ops.concatenate([each[name] for each in passes], axis=0) for name in original}
        with self.parts.of(len(passes) * copies):
            outputs = self.cut.head(together, training)

        *_, original, changed = ops.split(outputs, len(passes), axis=0)
        if valid is not None:
            self._check_valid(valid, outputs)
        tiled = None if valid is None else ops.concatenate([valid] * copies, axis=0)  # one crop for a pair
        delta = losses.difference(original, changed, tiled, self.distance, self.contrast)
        if self.relative:
            change = losses.input_change(image, partner, _of_images(valid, image))
        else:
            change = ops.cast(ops.abs(offset_frames), "float32")
        rates = tuple(self.change_rates.values())
        limit = losses.slack(rates, sampled, ops.concatenate([change] * copies, axis=0))
        excess = losses.hinge(delta, limit)
        taf = sum(ops.split(excess, 2, axis=0)) if copies == 2 else excess
        if self.symmetric == "sampled":
            taf = 2 * taf
        partners = original[pairs:] if copies == 2 else None
        return Outcome(outputs[:pairs], partners, taf, delta, limit, sampled)

    def _key_outputs(self, image, partner, training):
        """The plain pass; partners take part where batch norm is to see them."""
        if self.parts.key_statistics:
            return self.network(self._as_input(image), training=training)
        frames = self._as_input(ops.concatenate([image, partner], axis=0))
        with self.parts.of(2):
            return self.network(frames, training=training)[: ops.shape(image)[0]]

    def _as_input(self, images):
        return ops.cast(images, self.network.inputs[0].dtype)

    def _check_valid(self, valid, outputs) -> None:
        if not sizes_agree(valid.shape[1:], outputs.shape[1:-1]):
            raise ArgumentError(
                f"valid: is {tuple(valid.shape[1:])} for each example, and the network's output "
                f"{tuple(outputs.shape[1:])}: allowed is the output's shape without its last axis, or no "
                "`valid`"
            )


def _of_images(valid, images):
    """`valid` in the size of the images, where the output has another; None stays None."""
    if valid is None or valid.shape[1:] == images.shape[1:-1] or len(valid.shape) != 3:
        return valid
    size = ops.shape(images)[1:3]
    mask = ops.cast(valid, "float32")[..., None]
    return ops.image.resize(mask, size, interpolation="nearest", data_format="channels_last")[..., 0]


def _layers(change_rates, layers) -> dict[str, str | int]:
    """{branch: layer}, in the order of the rates."""
    for name in layers:
        if name not in change_rates:
            raise ArgumentError(f"layers[{name!r}]: is no branch; change_rates has {', '.join(change_rates)}")
    return {name: layers.get(name, name) for name in change_rates}


def _check(change_rates, contrast, distance, symmetric, batch_norm_frames) -> None:
    if not isinstance(change_rates, Mapping) or not change_rates:
        raise ArgumentError(
            f"change_rates={change_rates!r}: write {{layer: c, …}}, one layer of the network or more"
        )
    for name, rate in change_rates.items():
        if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not rate >= 0:
            raise ArgumentError(
                f"change_rates[{name!r}]={rate!r}: must be a number of 0 or more; inf leaves a branch free"
            )
    if not callable(contrast):
        _one_of("contrast", contrast, losses.CONTRASTS, " and a function of the outputs")
    _one_of("distance", distance, losses.DISTANCES)
    _one_of("symmetric", symmetric, SYMMETRIC)
    _one_of("batch_norm_frames", batch_norm_frames, BATCH_NORM_FRAMES)
    if distance == "symmetric_cross_entropy" and contrast != "softmax":
        raise ArgumentError('distance="symmetric_cross_entropy": needs contrast="softmax"')


def _one_of(name: str, value, allowed, more: str = "") -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{name}={value!r}: allowed are {', '.join(allowed)}{more}")
