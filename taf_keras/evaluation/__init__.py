"""Figures of a trained network, and pictures of what it predicts."""
