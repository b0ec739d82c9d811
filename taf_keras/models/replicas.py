"""Sums over the replicas of a distributed step."""

from __future__ import annotations

from collections.abc import Callable

import keras


def over_replicas() -> Callable | None:
    """The sum over all replicas, on all machines, as a function of a tensor; None where there is one alone.

    To be called, and its result to be used, inside a step of every replica. Whatever is computed from such
    sums is the same on all of them, so that nothing is left to add up when it is read, and any one worker
    can read or save it without the others.

    JAX' replicas are not asked for: there a step sees the whole batch, and its sums are those of all.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return lambda value: context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def sum_over_replicas(value):
    """`value` summed over all replicas; itself outside a distributed step."""
    total = over_replicas()
    return value if total is None else total(value)


def are_several() -> bool:
    """Whether the strategy in whose scope this is called has several replicas."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync > 1
