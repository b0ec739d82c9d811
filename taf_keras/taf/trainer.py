"""The training objective of Eq. 6 as a `keras.Model` with its own `train_step`."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from taf_keras.clips.clip import VOID
from taf_keras.config import Config
from taf_keras.models.batch_norm import statistics_of_first
from taf_keras.models.layers import resize
from taf_keras.models.replicas import sum_over_replicas
from taf_keras.taf import losses
from taf_keras.taf.swap import swap_branches


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

    `result()` is {"delta/<branch>": …, "over_slack/<branch>": …}; 0 for a branch that was not drawn.
    """

    def __init__(self, branches, name="branch_statistics", **kwargs):
        super().__init__(name=name, dtype="float32", **kwargs)
        self.branches = tuple(branches)
        # For each branch: the sum of δ, the number of examples over the slack, and of all.
        shape = (3, len(self.branches))
        self.sums = self.add_variable(shape, "zeros", aggregation="only_first_replica", name="sums")

    def update_state(self, delta, limit, drawn):
        """Adds float (batch,) δ and slack of int (batch,) drawn branches."""
        one_hot = ops.one_hot(drawn, len(self.branches), dtype="float32")  # (batch, m)
        each = ops.stack([delta, ops.cast(delta > limit, "float32"), ops.ones_like(delta)])
        self.sums.assign_add(sum_over_replicas(ops.matmul(each, one_hot)))

    def result(self):
        return self.figures(self.sums, undrawn=0.0)

    def figures(self, sums, undrawn=math.nan) -> dict:
        """The figures of what `sums` has summed up, or of the difference of two such sums.

        Args:
            undrawn: value of a branch that was not drawn.
        """
        delta, over, count = ops.unstack(sums, 3)
        values = {}
        for i, branch in enumerate(self.branches):
            for name, total in (("delta", delta[i]), ("over_slack", over[i])):
                mean = total / ops.maximum(count[i], 1)
                values[f"{name}/{branch}"] = ops.where(count[i] > 0, mean, undrawn)
        return values


class TAFTrainer(keras.Model):
    """Trains a model of `taf_keras.models.build_model` with Eq. 6.

    Batches are dicts as `taf_keras.pipeline.batches.training_batches` yields them.

    Args:
        network: the single-frame model; its parts encoder, projection and head are used.
        config: the run's settings; `baseline`, or c_i = inf for every branch, leaves the swap out.
        confusion: metric of `test_step`, updated with (labels, predicted ids); its result is a dict.
        teacher: for `pseudo`, RGB (batch, height, width, 3) in [0, 255] -> logits at the same size; a
            function, so that its weights are not the trainer's to save.
        replicas: number of replicas that share a global batch. Gradients are summed over them,
            so that each one's mean loss is divided by it.
    """

    def __init__(
        self,
        network: keras.Model,
        config: Config,
        confusion: keras.metrics.Metric,
        replicas: int = 1,
        teacher: Callable | None = None,
    ):
        super().__init__(name="taf_trainer")
        self.network = network
        self.config = config
        self.replicas = replicas
        self.teacher = teacher
        self.branches = config.model.branches
        self.swaps = config.swaps
        names = ("loss", "cross_entropy", "partner_cross_entropy" if config.labels_partners else "taf")
        self.train_metrics = [ReplicaMean(name) for name in names]
        self.branch_statistics = BranchStatistics(self.branches) if self.swaps else None
        self.confusion = confusion
        self.built = True  # its only weights are the network's

    @property
    def step_metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of training, each with sums in one variable and `figures` of such sums."""
        return [*self.train_metrics, *([self.branch_statistics] if self.swaps else [])]

    def call(self, images, training=False):
        """RGB (batch, height, width, 3) -> float32 logits at the same size."""
        return self.network(ops.cast(images, "float32"), training=training)

    def objective(self, batch, training=True):
        """The terms of Eq. 6, each float32 (batch,), one value per key frame, and the drawn branches.

        Returns: dict with `cross_entropy` and, where branches are swapped, `taf` (R+ of the key frame
            plus R+ of its partner), and for both frames of each pair, key frames first,
            `delta`, `slack` and `drawn` (2·batch,).
        """
        pairs = "partner" in batch
        frames = batch["image"]
        if pairs:
            frames = ops.concatenate([frames, batch["partner"]], axis=0)
        frames = ops.cast(frames, "float32")
        encoder, projection, head = map(self.network.get_layer, ("encoder", "projection", "head"))
        # The batch is [key frames; partners] and behind the swap [both; both swapped].
        key_only = self.config.taf.batch_norm_frames == "key"
        with statistics_of_first(2 if pairs and key_only else 1):
            terms = projection(encoder(frames, training=training), training=training)
        if self.swaps:
            drawn = ops.concatenate([batch["key_branch"], batch["partner_branch"]], axis=0)
            swapped = swap_branches(terms, self.branches, drawn)
            # One call for both passes: they share the batch norm statistics, hence differ by the swap alone.
            terms = {name: ops.concatenate([terms[name], swapped[name]], axis=0) for name in terms}
        with statistics_of_first((4 if self.swaps else 2) if pairs and key_only else 1):
            logits = resize(head(terms, training=training), ops.shape(frames)[1:3])

        # The batch's parts: key frames, their partners, and both swapped, as far as there are such.
        parts = ops.split(logits, 4 if self.swaps else 2 if pairs else 1, axis=0)
        values = {"cross_entropy": losses.cross_entropy(parts[0], batch["label"])}
        if self.swaps:
            original, swapped = ops.split(logits, 2, axis=0)
            values |= self._taf_terms(batch, original, swapped, drawn)
        if self.config.labels_partners:
            label = batch["partner_label"] if self.teacher is None else self._pseudo_labels(batch)
            values["partner_cross_entropy"] = losses.cross_entropy(parts[1], label)
        return values

    def _pseudo_labels(self, batch):
        """The teacher's predictions on the partners, VOID where it is unsure and in the padding."""
        probabilities = ops.softmax(self.teacher(ops.cast(batch["partner"], "float32")), axis=-1)
        sure = ops.max(probabilities, axis=-1) >= self.config.partner_labels.confidence
        ids = ops.argmax(probabilities, axis=-1)
        return ops.where(ops.logical_and(sure, batch["valid"]), ids, VOID)

    def _taf_terms(self, batch, original, swapped, drawn):
        taf = self.config.taf
        valid = ops.concatenate([batch["valid"]] * 2, axis=0)  # one crop for both frames of a pair
        delta = losses.difference(original, swapped, valid, taf.contrastive_loss, taf.contrast_on)
        if taf.relative:
            change = losses.input_change(batch["image"], batch["partner"], batch["valid"])
        else:
            change = ops.cast(ops.abs(batch["offset_frames"]), "float32")
        limit = losses.slack(self.config.change_rates, drawn, ops.concatenate([change] * 2, axis=0))
        key, partner = ops.split(losses.hinge(delta, limit), 2, axis=0)
        return {"taf": key + partner, "delta": delta, "slack": limit, "drawn": drawn}

    def total(self, values):
        """Eq. 6 for each key frame, or its cross entropy averaged with its partner's; float32 (batch,)."""
        if self.swaps:
            return values["cross_entropy"] + self.config.taf.weight * values["taf"]
        if self.config.labels_partners:
            weight = self.config.partner_labels.weight
            return (values["cross_entropy"] + weight * values["partner_cross_entropy"]) / (1 + weight)
        return values["cross_entropy"]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing is left to build, and under a strategy Keras would average a batch to do it."""

    def _get_metrics_result_or_logs(self, logs):
        """The metrics in `logs` themselves: Keras' own are means of the replicas' equal figures."""
        results = self.get_metrics_result()
        return {name: results[name] for name in logs}

    def _figures(self, results):
        """What a step returns: figures that are the same on all replicas.

        Over several workers Keras takes the mean of what they return along its first axis: hence one.
        """
        several = isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)
        return {name: value[None] for name, value in results.items()} if several else results

    def train_step(self, batch):
        variables, gradients = self.network.trainable_variables, None
        for part in self._small_batches(batch):
            # One after the other: each gives its memory back before the next one takes it.
            with tf.control_dependencies([tf.group(*gradients)] if gradients else ()):
                own = self._accumulate(part, variables)
                gradients = [a + b for a, b in zip(gradients, own, strict=True)] if gradients else own
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

        results = {metric.name: metric.result() for metric in self.train_metrics}
        if self.swaps:
            results |= self.branch_statistics.result()
        return self._figures(results)

    def _small_batches(self, batch) -> list[dict]:
        """The batch in `gradient_accumulation_steps` equal parts."""
        count = self.config.training.gradient_accumulation_steps
        parts = {name: ops.split(values, count, axis=0) for name, values in batch.items()}
        return [{name: parts[name][i] for name in parts} for i in range(count)]

    def _accumulate(self, batch, variables) -> list:
        """Gradients of a small batch's share of the loss; its figures go to the metrics."""
        with tf.GradientTape() as tape:
            values = self.objective(batch)
            per_example = self.total(values)
            # The mean over the global batch: this mean, over the number of replicas and of small batches.
            loss = ops.mean(per_example) / (self.replicas * self.config.training.gradient_accumulation_steps)
            scaled = self.optimizer.scale_loss(loss)  # float16 only
        gradients = tape.gradient(scaled, variables)

        values["loss"] = per_example
        for metric in self.train_metrics:
            metric.update_state(values.get(metric.name, ops.zeros_like(per_example)))
        if self.swaps:
            self.branch_statistics.update_state(values["delta"], values["slack"], values["drawn"])
        return gradients

    def test_step(self, batch):
        logits = self(batch["image"], training=False)
        self.confusion.update_state(batch["label"], ops.argmax(logits, axis=-1))
        return self._figures(self.confusion.result())
