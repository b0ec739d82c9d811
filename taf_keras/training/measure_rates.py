"""Change rates c_i measured on a trained baseline (`--change_rates=auto`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.config import Config
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.multi_worker.connection import from_chief
from taf_keras.pipeline.batches import reader_errors, training_batches
from taf_keras.progress import Progress
from taf_keras.storage.run import Run
from taf_keras.taf.term import INPUTS
from taf_keras.training.objective import build_term

PAIRS = 512  # unlabelled pairs, sampled as in training


def with_measured_rates(
    config: Config, split: Split, cluster: Cluster, strategy: tf.distribute.Strategy
) -> Config:
    """The configuration with numbers in place of `auto`: those of the first worker, on all of them.

    Raises: UserError for a run without a checkpoint.
    """
    rates = rates_on(split, config) if config.measures_rates else config.change_rates
    if config.uses_measured_rates and cluster.is_distributed:
        rates = map(float, from_chief(strategy, rates))
    elif not config.measures_rates:
        return config
    return replace(config, taf=replace(config.taf, change_rates=tuple(rates)))


def rates_on(split: Split, config: Config) -> tuple[float, ...]:
    """c_i is the quantile `rates_quantile` of δ_i / |n| over pairs of `split`, both ways.

    With `relative` it is δ_i over the input's own change (5.4): what c_i is multiplied with in training.
    Pairs are sampled and augmented as training would, those without a change apart; δ_i is Eq. 3 for the run
    `rates_from` in inference mode. A model that was trained without the constraint says how fast each of its
    branches moves the prediction; a quantile q asks every branch to be slower than a share 1 − q of what it
    was.
    """
    ones = (1.0,) * len(config.branches)  # so that the slack is |n|, or the input's change
    unit = replace(config, taf=replace(config.taf, change_rates=ones, symmetric="both"))
    run = Run(config.taf.rates_from)
    term = build_term(unit, load_network(run.config, split.classes.names, reported_checkpoint(run)))
    passes = tf.function(lambda batch: term(*(batch[name] for name in INPUTS), training=False))
    steps = -(-PAIRS // (2 * unit.key_frames_per_step))
    rates = [[] for _ in config.branches]
    with Progress("measuring change rates") as progress, reader_errors():
        for step, batch in enumerate(training_batches(split, unit, steps=steps), 1):
            for branch in range(len(rates)):
                sampled = tf.fill(tf.shape(batch["offset_frames"]), branch)
                outcome = passes(batch | {"key_branch": sampled, "partner_branch": sampled})
                delta, change = (np.float64(values) for values in (outcome.delta, outcome.slack))
                rates[branch].append(delta[change > 0] / change[change > 0])
            progress(step, steps)
    measured = (np.quantile(np.concatenate(r), config.taf.rates_quantile) for r in rates)
    return tuple(float(f"{rate:.3g}") for rate in measured)
