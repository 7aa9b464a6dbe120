"""Large sound classifiers that a network in training can learn from."""
