"""What Keras' `fit` has to be told where a step is shared by several replicas, or by several workers."""

from __future__ import annotations

import tensorflow as tf

from taf_keras.taf.trainer import TAFTrainer


class ReplicatedTrainer(TAFTrainer):
    """The trainer under any strategy: its metrics are the same on all replicas."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: under a strategy Keras would average a batch to build what is built."""

    def _get_metrics_result_or_logs(self, logs):
        """The metrics in `logs` themselves: Keras' own are means of the replicas' equal figures."""
        results = self.training_results() if "loss" in logs else self.confusion.result()
        return {name: results[name] for name in logs}

    def train_step(self, batch):
        return self._figures(super().train_step(batch))

    def test_step(self, batch):
        return self._figures(super().test_step(batch))

    def _figures(self, results):
        """Over several workers Keras takes means along the first axis of what a step returns: hence one."""
        several = isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)
        return {name: value[None] for name, value in results.items()} if several else results
