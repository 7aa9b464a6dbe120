"""Networks, text encoders, losses and checkpoints."""
