"""One run from a configuration to a trained and exported model."""
