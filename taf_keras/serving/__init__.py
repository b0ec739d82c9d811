"""The trained network for others: exports and predictions."""
