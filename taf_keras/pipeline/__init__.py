"""Clips to batches: pairing, augmentation, reading in order."""
