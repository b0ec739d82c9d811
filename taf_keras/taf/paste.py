"""CutMix (Yun et al. 2019): rectangles of a training example that show its neighbour in the batch."""

from __future__ import annotations

from keras import ops


def paste(values, pasted):
    """`values` with those of the neighbour where `pasted` is set.

    Neighbours are the examples 2k and 2k + 1, of one replica whatever their number.

    Args:
        values: (batch, height, width) or (batch, height, width, channels), of an even number of examples.
        pasted: bool (batch, height, width).
    """
    in_pairs = ops.reshape(values, (-1, 2, *values.shape[1:]))
    neighbours = ops.reshape(ops.flip(in_pairs, axis=1), (-1, *values.shape[1:]))
    if len(values.shape) > len(pasted.shape):
        pasted = pasted[..., None]
    return ops.where(pasted, neighbours, values)


def paste_key_frames(batch):
    """A batch whose key frames and their labels are pasted as its `pasted` says, if it has that."""
    if "pasted" not in batch:
        return batch
    return batch | {name: paste(batch[name], batch["pasted"]) for name in ("image", "label")}
