"""The method: the cut, the swap, the loss of Eq. 6, and its training step."""
