"""Targets and losses over a circle of 360 azimuths.

Bin k stands for ``posterior.AZIMUTHS[k]``, -180 + k degrees. The paper encodes an azimuth as a
Gaussian (equation 7) and calls the sum of absolute differences (equation 8) the earth mover's
distance. That sum, :func:`l1_loss`, is twice the total variation: it does not see how far apart
two directions are. :func:`circular_emd_loss` is the distance of that name.

All losses take logits (..., 360), a target (..., 360) and optionally a weight (...), say 1 where
the described sound is active, and give the weighted mean, a scalar.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tselcli.models.posterior import AZIMUTHS


def gaussian_target(azimuth_deg: Tensor, sigma_deg: float = 5.0, wrapped: bool = True) -> Tensor:
    """Encode azimuths as Gaussians over the circle (equation 7).

    The paper sets a "covariance" of 5, read here as a standard deviation of 5 degrees; for a
    variance of 5 the deviation is 2.236.

    Args:
        azimuth_deg: float (...), any turn.
        sigma_deg: standard deviation in degrees, positive.
        wrapped: the tails go around the circle and the bins sum to 1. Otherwise the paper's
            letter: the density at i = 1 ... 360 degrees, whose tail beyond 0 or 360, straight
            ahead, is lost, so that the sum there falls to one half.

    Returns:
        (..., 360) over AZIMUTHS, of the type of ``azimuth_deg``.
    """
    grid = torch.as_tensor(AZIMUTHS).to(azimuth_deg)
    azimuth = azimuth_deg[..., None]
    if not wrapped:
        exponent = -0.5 * ((_paper_degrees(grid) - _paper_degrees(azimuth)) / sigma_deg) ** 2
        return exponent.exp() / (sigma_deg * math.sqrt(2 * math.pi))
    nearest = (grid - azimuth + 180) % 360 - 180
    turns = torch.tensor([-360.0, 0.0, 360.0]).to(azimuth_deg)
    exponent = -0.5 * ((nearest[..., None] + turns) / sigma_deg) ** 2
    return torch.softmax(torch.logsumexp(exponent, dim=-1), dim=-1)


def l1_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum the absolute differences, in [0, 2] (equation 8 as it is written).

    It stays at 2, with next to no gradient, while prediction and target do not overlap.
    """
    probability = torch.softmax(logits.to(target), dim=-1)
    return _mean((probability - target).abs().sum(dim=-1), weight)


def circular_emd_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Measure how far probability must travel around the circle: degrees, in [0, 180].

    The mass that passes from bin k to bin k + 1 is the cumulated difference D_k plus a constant
    flow all around. The sum of its absolute values is least where the constant is minus the
    median of D (Werman, Peleg, Melter and Kong 1986; Rabin, Delon and Gousseau 2011). A target
    that does not sum to 1 is scaled to.
    """
    probability = torch.softmax(logits.to(target), dim=-1)
    target = target / target.sum(dim=-1, keepdim=True).clamp_min(1e-12)
    flow = torch.cumsum(probability - target, dim=-1)
    # The gradient runs through the median too: that makes it exact for an even number of bins.
    least = flow.median(dim=-1, keepdim=True).values
    return _mean((flow - least).abs().sum(dim=-1), weight)


def ce_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross entropy in nats; a perfect prediction leaves the entropy of the target.

    For a Gaussian of 5 degrees that is 3.03.
    """
    return _mean(-(target * torch.log_softmax(logits.to(target), dim=-1)).sum(dim=-1), weight)


AzimuthLoss = Callable[..., Tensor]  # (logits, target, weight=None) -> scalar
AZIMUTH_LOSSES: dict[str, AzimuthLoss] = {
    "l1": l1_loss,
    "circular_emd": circular_emd_loss,
    "ce": ce_loss,
}


def _paper_degrees(azimuth: Tensor) -> Tensor:
    """Number azimuths as the paper does, in (0, 360]: 0 becomes 360 and -1 becomes 359."""
    return 360 - (-azimuth) % 360


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
