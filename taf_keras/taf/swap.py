"""The feature swap (Section 2.1, Fig. 1): one branch of each frame is taken from its partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras import ops


def swap_branches(terms: Mapping, branches: Sequence[str], drawn, source=None) -> dict:
    """Replaces in each example the drawn branch by that of another example of the batch.

    Args:
        terms: {name: (batch, …)}; for Eq. 6 the batch is the key frames, then their partners.
        branches: the names that may be swapped, in the order in which `drawn` counts.
        drawn: int (batch,), the index of the branch to replace in each example.
        source: int (batch,), the example to take it from; None is the other half of the batch
            (key frame j from its partner j, and the other way round).

    Returns: a new dict. Names outside `branches` (skips) are passed on as they are. Swapping twice
        with the same arguments gives back `terms` when `source` is None and both frames of each pair
        drew the same branch.
    """
    swapped = dict(terms)
    for index, name in enumerate(branches):
        own = terms[name]
        other = _exchange_halves(own) if source is None else ops.take(own, source, axis=0)
        chosen = ops.reshape(drawn == index, (-1,) + (1,) * (len(own.shape) - 1))
        swapped[name] = ops.where(chosen, other, own)
    return swapped


def _exchange_halves(x):
    first, second = ops.split(x, 2, axis=0)
    return ops.concatenate([second, first], axis=0)
