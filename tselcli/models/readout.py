"""What a mask says about direction: the few numbers between cells and an azimuth."""

import torch
from torch import Tensor, nn

from tselcli.models.cells import AUDIBLE, fine


def log_sigmoid(logits: Tensor) -> Tensor:
    """Give log(sigmoid), in steps that ONNX keeps: of its own sigmoid some logarithms are NaN."""
    return logits.clamp_max(0.0) - torch.log1p(torch.exp(-logits.abs()))


def widened(place: Tensor, size: int) -> Tensor:
    """Give the weights of a file that knew one column less, 0 for it; others stay as they are."""
    if place.shape != (size - 1,):
        return place
    return torch.cat([place[:-1], place.new_zeros(1), place[-1:]])


class Readout(nn.Module):
    """How much each cell says about the direction; learned, since plain masks are too timid.

        log weight = p log sigmoid(logit) + q log energy + band(mel)

    Of all cells in which the sound is likely, the surest and loudest show its direction best.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(3.0))
        self.energy = nn.Parameter(torch.tensor(0.25))
        self.band = nn.Parameter(torch.zeros(n_mels))
        self.sharpness = nn.Parameter(torch.tensor(3.0))  # log of the posterior's temperature
        # Of the choice among directions (tselcli.models.choice):
        self.focus = nn.Parameter(torch.tensor(15.0))  # of sharing cells among directions
        # Of what speaks for a source in a direction (choice.PLACE and an offset), and for its
        # being the described one (choice.MATCH and the first); fitted at the end of training.
        self.place = nn.Parameter(torch.tensor([0.3, -0.3, -1.7, 0.6, 0.9, 2.3, 0.9, 0.8, 6.1]))
        # The same before cells are shared among directions: of choice.SEEN and an offset.
        self.before = nn.Parameter(torch.tensor([0.6, 1.8, -3.9, 0.1, 1.2, -0.4, 4.8]))
        # What says that the sound is there at all: slope of the network's log-odds, offset, and
        # weight of the kinship of what was chosen; fitted then, too.
        self.there = nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
        self.choice = nn.Parameter(torch.tensor([1.0, 2.3, -2.5, 0.2, 0.0, 0.9]))

    def weights(self, logits: Tensor, picture: Tensor) -> Tensor:
        """Weigh the cells for steering.

        Args:
            logits: (B, Q, T/2, M/2).
            picture: log-mel (B, T, M).

        Returns:
            (B, Q, T, M), the largest weight of each query is 1; silence weighs nothing.
        """
        level = 8 * (picture - 1) * 2.302585  # natural log of the relative energy
        log_weight = (
            self.power * fine(log_sigmoid(logits), picture.shape[1])
            + (self.energy * level + self.band)[:, None]
        )
        log_weight = log_weight.masked_fill((picture < AUDIBLE)[:, None], -60.0)
        return torch.exp(log_weight - log_weight.amax(dim=(2, 3), keepdim=True))

    def posterior(self, response: Tensor) -> Tensor:
        """Turn a normalised steered response (..., A) into a log-posterior over azimuth."""
        return torch.log_softmax(self.sharpness.exp() * response, dim=-1)
