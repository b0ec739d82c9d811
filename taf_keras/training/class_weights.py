"""Weights of the classes in the cross entropy, by how often training shows them (`--class_weights`)."""

from __future__ import annotations

import numpy as np

from taf_keras.clips.clip import Split

_POWERS = {"inverse_frequency": -1.0, "inverse_sqrt_frequency": -0.5}


def class_weights(kind: str, split: Split) -> np.ndarray | None:
    """float32 (classes,): each class's share of the labelled pixels of `split`, to the power −1 or −1/2.

    They are scaled so that a labelled pixel has 1 on average: the learning rate and λ keep their meaning. A
    class without a pixel has 1.

    Args:
        kind: `none` is no weights, None; `inverse_frequency`; `inverse_sqrt_frequency`, which is milder.
        split: whose label maps were looked at.
    """
    if kind == "none":
        return None
    pixels = split.label_pixels.sum(axis=0)[:-1].astype(np.float64)
    there = pixels > 0
    shares = pixels[there] / pixels.sum()
    weights = np.ones(len(pixels))
    weights[there] = shares ** _POWERS[kind]
    weights[there] /= (shares * weights[there]).sum()
    return weights.astype(np.float32)
