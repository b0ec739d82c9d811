"""What a run's method minimises, and the TAF term that it may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import keras

from taf_keras.config import Config
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.models.build import build_model
from taf_keras.storage.run import Run
from taf_keras.taf.moving_average import MovingAverage
from taf_keras.taf.objectives import Eq6, KeyFrames, Objective
from taf_keras.taf.partner_labels import PartnerLabels
from taf_keras.taf.term import TAFTerm


def build_objective(
    config: Config, network: keras.Model, teacher: Callable | None = None, class_weights=None
) -> Objective:
    """The objective of `config.taf.method` for a network of `config.model`.

    Args:
        teacher: for `pseudo` and `mean_teacher`, see `PartnerLabels`.
        class_weights: float32 (classes,), or None.
    Raises: UserError for a layer that is to be swapped and cannot be.
    """
    taf, labels = config.taf, config.partner_labels
    if config.labels_partners:
        return PartnerLabels(
            network,
            labels.weight,
            taf.batch_norm_frames,
            teacher,
            labels.confidence,
            taf.method == "mean_teacher",
            build_term(config, network) if config.swaps else None,
            taf.weight,
            class_weights,
        )
    if config.uses_partners:
        return Eq6(build_term(config, network), taf.weight, class_weights)
    return KeyFrames(network, class_weights)


def build_term(config: Config, network: keras.Model) -> TAFTerm:
    """Both passes of Eq. 6. Raises: UserError for a layer that is to be swapped and cannot be."""
    taf = config.taf
    return TAFTerm(
        network,
        dict(zip(config.branches, config.change_rates, strict=True)),
        config.branch_layers,
        contrast="softmax" if taf.contrast_on == "probabilities" else "identity",
        distance=taf.contrastive_loss,
        relative=taf.relative,
        symmetric=taf.symmetric,
        batch_norm_frames=taf.batch_norm_frames,
    )


def build_teacher(config: Config, network: keras.Model, class_names: Sequence[str]) -> Callable | None:
    """What labels the partners, images -> logits: for `pseudo` the trained network of its teacher's run, for
    `mean_teacher` the moving average of `network`; None for other methods.

    Raises: UserError for a run without a checkpoint.
    """
    if config.taf.method == "mean_teacher":
        average = build_model(replace(config.model, backbone_weights="random"), len(class_names))
        return MovingAverage(network, average, config.partner_labels.teacher_momentum)
    if config.taf.method != "pseudo":
        return None
    run = Run(config.partner_labels.teacher)
    trained = load_network(run.config, class_names, reported_checkpoint(run))
    return lambda images: trained(images, training=False)
