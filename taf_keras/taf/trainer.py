"""The trainer of `train.py`: a `keras.Model` with its own `train_step`."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops

from taf_keras.taf.moving_average import MovingAverage
from taf_keras.taf.objectives import Objective
from taf_keras.taf.statistics import BranchStatistics, ReplicaMean


class TAFTrainer(keras.Model):
    """Trains a network of RGB (batch, height, width, 3) in [0, 255] -> logits at the same size.

    Batches are dicts as `taf_keras.pipeline.batches.training_batches` yields them.

    Args:
        objective: what a step minimises, and the network.
        confusion: metric of `test_step`, updated with (labels, predicted ids); its result is a dict.
        replicas: number of replicas that share a global batch. Gradients are summed over them,
            so that each one's mean loss is divided by it.
        gradient_accumulation_steps: small batches into which each replica's batch is cut.
        moving_average: of the network, updated after each step and part of the trainer's weights, or None.
    """

    def __init__(
        self,
        objective: Objective,
        confusion: keras.metrics.Metric,
        replicas: int = 1,
        gradient_accumulation_steps: int = 1,
        moving_average: MovingAverage | None = None,
    ):
        super().__init__(name="taf_trainer")
        self.network = objective.network
        self.objective = objective
        self.replicas = replicas
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.train_metrics = [ReplicaMean(name) for name in ("loss", *objective.terms)]
        self.branch_statistics = BranchStatistics(objective.branches) if objective.branches else None
        self.confusion = confusion
        self.moving_average = moving_average
        if moving_average:
            self.average = moving_average.average  # Keras saves and loads what is an attribute
        self.built = True  # its only weights are the network's, and those of its average

    @property
    def step_metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of training, each with sums in one variable and `figures` of such sums."""
        return [*self.train_metrics, *([self.branch_statistics] if self.branch_statistics else [])]

    def call(self, images, training=False):
        """RGB (batch, height, width, 3) -> float32 logits at the same size."""
        return self.network(ops.cast(images, "float32"), training=training)

    def train_step(self, batch):
        variables, gradients = self.network.trainable_variables, None
        for part in self._small_batches(batch):
            # One after the other: each gives its memory back before the next one takes it.
            with tf.control_dependencies([tf.group(*gradients)] if gradients else ()):
                own = self._accumulate(part, variables)
                gradients = [a + b for a, b in zip(gradients, own, strict=True)] if gradients else own
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if self.moving_average:
            self.moving_average.update(self.optimizer.iterations)

        return self.training_results()

    def training_results(self) -> dict:
        """The figures of all steps since the epoch began, by the names in the logs of training."""
        results = {metric.name: metric.result() for metric in self.train_metrics}
        return results | (self.branch_statistics.result() if self.branch_statistics else {})

    def _small_batches(self, batch) -> list[dict]:
        """The batch in `gradient_accumulation_steps` equal parts."""
        count = self.gradient_accumulation_steps
        parts = {name: ops.split(values, count, axis=0) for name, values in batch.items()}
        return [{name: parts[name][i] for name in parts} for i in range(count)]

    def _accumulate(self, batch, variables) -> list:
        """Gradients of a small batch's share of the loss; its figures go to the metrics."""
        with tf.GradientTape() as tape:
            values = self.objective(batch)
            # The mean over the global batch: this mean, over the number of replicas and of small batches.
            loss = sum(self._penalties(variables), ops.mean(values["loss"]))
            loss = loss / (self.replicas * self.gradient_accumulation_steps)
            scaled = self.optimizer.scale_loss(loss)  # float16 only
        gradients = tape.gradient(scaled, variables)

        for metric in self.train_metrics:
            metric.update_state(values[metric.name])
        if self.branch_statistics:
            self.branch_statistics.update_state(values["delta"], values["slack"], values["sampled"])
        return gradients

    @staticmethod
    def _penalties(variables) -> list:
        """What the layers of a model of the user's own ask to be added to the loss for their weights."""
        return [variable.regularizer(variable) for variable in variables if variable.regularizer]

    def test_step(self, batch):
        logits = self(batch["image"], training=False)
        self.confusion.update_state(batch["label"], ops.argmax(logits, axis=-1))
        return self.confusion.result()
