"""Label maps made steadier over time."""

from __future__ import annotations

from collections import deque

import numpy as np


class Majority:
    """Each pixel's most frequent class among the last label maps; of equally frequent ones the latest.

    Args:
        frames: how many label maps have a vote; 1 changes nothing.
    """

    def __init__(self, frames: int):
        self.last: deque[np.ndarray] = deque(maxlen=frames)

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """uint8 (height, width) -> the same shape."""
        self.last.appendleft(labels)
        winner, most = labels, np.zeros(labels.shape, np.uint8)
        for candidate in self.last:
            votes = np.zeros(labels.shape, np.uint8)
            for voter in self.last:
                votes += voter == candidate
            winner = np.where(votes > most, candidate, winner)
            most = np.maximum(most, votes)
        return winner
