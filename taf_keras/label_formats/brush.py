"""The run lengths of Label Studio's brush, which are those of thi.ng's rle-pack: a stream of bits.

A head of 32 bits for the number of values, 5 for the bits of a value less 1, and four times 4 for the bits of
the lengths less 1. Then blocks: one bit that tells whether a value repeats, two that choose among the four
lengths, the length less 1, and one value that repeats, or so many values.
"""

from __future__ import annotations

import numpy as np

from taf_keras.sizes import Size

_CHANNELS = 4  # red, green, blue, alpha; alpha is the mask


def brush_mask(data: bytes, size: Size) -> np.ndarray:
    """bool (height, width) of an image painted with the brush. Raises: ValueError for a damaged stream."""
    bits = _Bits(data)
    count, bits_of_value = bits.read(32), bits.read(5) + 1
    bits_of_length = [bits.read(4) + 1 for _ in range(4)]
    if count != size[0] * size[1] * _CHANNELS:
        raise ValueError(f"a brush of {count:,} values for {size[0]}x{size[1]} px of {_CHANNELS} channels")
    values = np.zeros(count, np.bool_)
    at = 0
    while at < count:
        repeats = bits.read(1)
        end = at + 1 + bits.read(bits_of_length[bits.read(2)])
        if repeats:
            values[at:end] = bits.read(bits_of_value) > 0
        else:
            values[at:end] = [bits.read(bits_of_value) > 0 for _ in range(at, min(end, count))]
        at = end
    return values.reshape(*size, _CHANNELS)[..., -1]


class _Bits:
    """Reads numbers of any bits from bytes, the highest bit first."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def read(self, count: int) -> int:
        first, self.at = self.at, self.at + count
        if self.at > 8 * len(self.data):
            raise ValueError("the brush ends too early")
        last_byte = -(-self.at // 8)
        number = int.from_bytes(self.data[first // 8 : last_byte], "big")
        return (number >> (8 * last_byte - self.at)) & ((1 << count) - 1)
