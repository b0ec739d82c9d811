"""A function of a batch, traced once for whatever number of examples comes."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def for_any_batch(function: Callable) -> Callable:
    """`function` of an array (b, …), or of a dict of them, traced once where the examples have one shape.

    `tf.function` alone traces again for another b, such as that of the last batch; a network takes seconds.
    For a second shape there is a second trace, which serves all others.

    Example:
        >>> double = for_any_batch(lambda x: 2 * x)
        >>> double(np.ones((4, 3))).shape, double(np.ones((1, 3))).shape
        (TensorShape([4, 3]), TensorShape([1, 3]))
    """
    compiled = tf.function(function, reduce_retracing=True)

    def call(batch):
        if not compiled.experimental_get_tracing_count():
            specs = tf.nest.map_structure(lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), batch)
            compiled.get_concrete_function(specs)
        return compiled(batch)

    return call
