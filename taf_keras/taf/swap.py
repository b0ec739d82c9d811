"""The feature swap (Section 2.1, Fig. 1): one branch of each frame is taken from its partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras import ops


def swap_branches(terms: Mapping, branches: Sequence[str], sampled) -> dict:
    """Exchanges branches between the two frames of each pair.

    Args:
        terms: {name: (2·pairs, …)}: the key frames, then their partners.
        branches: the names that may be swapped, in the order in which `sampled` counts.
        sampled: int (2·pairs,), the index of the branch that each frame takes from the other of its pair.

    Returns: a new dict. Names outside `branches` (skips) are passed on as they are. Swapping twice gives
        back `terms` where both frames of each pair drew the same branch.
    """
    others = {name: _exchange_halves(terms[name]) for name in branches}
    return take_branches(terms, others, branches, sampled)


def take_branches(own: Mapping, others: Mapping, branches: Sequence[str], sampled) -> dict:
    """`own`, {name: (batch, …)}, with the sampled branch of each example from `others`."""
    taken = dict(own)
    for index, name in enumerate(branches):
        taken |= choose(sampled == index, {name: others[name]}, own)
    return taken


def choose(condition, yes: Mapping, no: Mapping) -> dict:
    """{name: (batch, …)} of `yes` where `condition`, bool (batch,), holds, and of `no` elsewhere."""

    def reshaped(x):
        return ops.reshape(condition, (-1,) + (1,) * (len(x.shape) - 1))

    return {name: ops.where(reshaped(x), x, no[name]) for name, x in yes.items()}


def _exchange_halves(x):
    first, second = ops.split(x, 2, axis=0)
    return ops.concatenate([second, first], axis=0)
