"""Figures of training: means over the examples of all replicas."""

from __future__ import annotations

import math

import keras
from keras import ops

from taf_keras.models.replicas import sum_over_replicas


class ReplicaMean(keras.metrics.Metric):
    """Mean over the examples of all replicas.

    `keras.metrics.Mean` adds up what the replicas saw when it is read, for which all workers must read it
    at the same time.
    """

    def __init__(self, name, **kwargs):
        super().__init__(name=name, dtype="float32", **kwargs)
        # The same on all replicas: the sum, and the number of examples.
        self.seen = self.add_variable((2,), "zeros", aggregation="only_first_replica", name="seen")

    def update_state(self, values):
        """Adds float (batch,) values."""
        values = ops.cast(values, "float32")
        self.seen.assign_add(sum_over_replicas(ops.stack([ops.sum(values), ops.sum(ops.ones_like(values))])))

    def result(self):
        return self.figures(self.seen)[self.name]

    def figures(self, sums) -> dict:
        """{name: mean} of what `seen` has summed up, or of the difference of two such sums."""
        return {self.name: sums[0] / ops.maximum(sums[1], 1)}


class BranchStatistics(keras.metrics.Metric):
    """Mean δ of each branch and the share of examples whose δ exceeds the slack, over all replicas.

    `result()` is {"delta/<branch>": …, "over_slack/<branch>": …}; 0 for a branch that was not sampled.
    """

    def __init__(self, branches, name="branch_statistics", **kwargs):
        super().__init__(name=name, dtype="float32", **kwargs)
        self.branches = tuple(branches)
        # For each branch: the sum of δ, the number of examples over the slack, and of all.
        shape = (3, len(self.branches))
        self.sums = self.add_variable(shape, "zeros", aggregation="only_first_replica", name="sums")

    def update_state(self, delta, limit, sampled):
        """Adds float (batch,) δ and slack of int (batch,) sampled branches."""
        one_hot = ops.one_hot(sampled, len(self.branches), dtype="float32")  # (batch, m)
        each = ops.stack([delta, ops.cast(delta > limit, "float32"), ops.ones_like(delta)])
        self.sums.assign_add(sum_over_replicas(ops.matmul(each, one_hot)))

    def result(self):
        return self.figures(self.sums, unsampled=0.0)

    def figures(self, sums, unsampled=math.nan) -> dict:
        """The figures of what `sums` has summed up, or of the difference of two such sums.

        Args:
            unsampled: value of a branch that was not sampled.
        """
        totals, count = ops.split(ops.convert_to_tensor(sums), [2], axis=0)
        means = ops.where(count > 0, totals / ops.maximum(count, 1), unsampled)
        names = (f"{name}/{branch}" for branch in self.branches for name in ("delta", "over_slack"))
        # One operation for all: outside graphs each takes a call of its own.
        return dict(zip(names, ops.unstack(ops.reshape(ops.transpose(means), (-1,))), strict=True))
