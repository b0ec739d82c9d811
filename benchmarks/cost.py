"""FLOPs and bytes counted in the graph of a function, by type of operation."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import redirect_stdout

import tensorflow as tf

# They hand on what they get, or are no work of the device's.
_VIEWS = {
    "Identity",
    "IdentityN",
    "Reshape",
    "Squeeze",
    "ExpandDims",
    "ReadVariableOp",
    "Const",
    "Placeholder",
}
_VIEWS |= {"NoOp", "StopGradient", "PreventGradient", "Shape"}


def flops(graph: tf.Graph) -> Counter:
    """{type: floating-point operations}; a multiplication and an addition are two.

    TensorFlow counts convolutions, products, sums, and common elementwise operations; the others count 0.
    """
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    tf.get_logger().setLevel("ERROR")  # it is of TensorFlow 1, and says so; TensorFlow 2 has none
    with redirect_stdout(io.StringIO()):
        root = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    found, queue = Counter(), list(root.children)
    while queue:  # the nodes of a list are each the child of the one before
        node = queue.pop()
        found[node.name] += node.float_ops
        queue += node.children
    return +found


def bytes_touched(graph: tf.Graph) -> Counter:
    """{type: bytes of all inputs and outputs}: the traffic if nothing were fused or stayed in a cache.

    Tensors whose shape the graph does not know count 0.
    """
    found = Counter()
    for operation in graph.get_operations():
        if operation.type not in _VIEWS:
            tensors = [*operation.inputs, *operation.outputs]
            found[operation.type] += sum(map(_bytes, tensors))
    return +found


def _bytes(tensor: tf.Tensor) -> int:
    known = tensor.shape.is_fully_defined() and tensor.dtype not in (tf.resource, tf.variant, tf.string)
    return tensor.shape.num_elements() * tensor.dtype.size if known else 0


def graph_of(step, *arguments) -> tf.Graph:
    """The graph that `step` becomes for these arguments."""
    return tf.function(step).get_concrete_function(*arguments).graph
