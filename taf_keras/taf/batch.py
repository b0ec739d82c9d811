"""What a training batch of `TAF` must be, said before a step of it fails somewhere in the network."""

from __future__ import annotations

from collections.abc import Mapping

from keras import ops

from taf_keras.errors import ArgumentError

_NEEDED = ("image", "partner", "offset_frames")


def check_batch(inputs, branches: int) -> None:
    """ArgumentError for an x that is no batch of pairs.

    Args:
        branches: how many a network has. Positions beyond them are found where values are known: a graph
            knows them only when it runs.
    """
    if not isinstance(inputs, Mapping) or any(name not in inputs for name in _NEEDED):
        given = ", ".join(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ArgumentError(
            f"x: training needs a dict of {', '.join(_NEEDED)} (taf_keras.pairs makes such batches), got "
            f"{given}"
        )
    image, partner = (tuple(inputs[name].shape) for name in ("image", "partner"))
    if not sizes_agree(image, partner):
        raise ArgumentError(f"partner: is {partner}, and image {image}: allowed is the same shape for both")
    for name in ("offset_frames", "key_branch", "partner_branch", "partner_takes"):
        if name in inputs and len(inputs[name].shape) != 1:
            shape = tuple(inputs[name].shape)
            raise ArgumentError(f"{name}: is {shape}; allowed is (pairs,), a number for each pair")
    for name in ("key_branch", "partner_branch"):
        if name in inputs:
            _check_positions(name, inputs[name], branches)


def sizes_agree(a, b) -> bool:
    """Whether two shapes are the same, as far as they are known: in a graph a size may be None."""
    return len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a, b, strict=True))


def _check_positions(name: str, positions, branches: int) -> None:
    try:
        values = ops.convert_to_numpy(positions)
    except (NotImplementedError, TypeError):  # TensorFlow's and JAX's, of a tensor in a graph
        return
    for value in values:
        if not 0 <= value < branches:
            raise ArgumentError(
                f"{name}: has {value}; allowed are positions in change_rates, 0 to {branches - 1}"
            )
