"""Points of the log-mel picture and cells, which are squares of 2 x 2 points."""

from torch import Tensor, nn

AUDIBLE = 0.3  # log-mel value (56 dB below the loudest frame) under which a point is silent


def coarse(values: Tensor) -> Tensor:
    """Average points (..., T, M) over the cells they make up: (..., ceil(T / 2), M / 2)."""
    values = nn.functional.pad(values, (0, 0, 0, values.shape[-2] % 2))
    averages: Tensor = values.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2)).mean(dim=(-3, -1))
    return averages


def fine(cells: Tensor, n_frames: int) -> Tensor:
    """Interpolate cells (B, Q, T/2, M/2) back to points (B, Q, n_frames, M)."""
    points = nn.functional.interpolate(cells, scale_factor=2, mode="bilinear")
    return points[:, :, :n_frames]
