"""Time-frequency analysis and steering: differentiable, in torch."""
