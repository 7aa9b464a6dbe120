"""The query-conditioned mask: which time-frequency cells belong to the described sound.

The network never sees the query. It gives every cell of the log-mel picture an embedding; the
logit of a cell for a query is the dot product with the projected text embedding:

    picture (B, T, M) --U-Net--> cells (B, D, T/2, M/2) . words (Q, D) --> logits (B, Q, T/2, M/2)

A cell is a square of 2 x 2 points of the picture. One pass serves any number of queries, every
query of a training batch supervises every mixture, and the absence of a sound comes for free. The
picture is one reference channel, so nothing learned depends on the microphone array.
"""

import torch
from torch import Tensor, nn


def coarse(values: Tensor) -> Tensor:
    """Average points (..., T, M) over the cells they make up: (..., ceil(T / 2), M / 2)."""
    values = nn.functional.pad(values, (0, 0, 0, values.shape[-2] % 2))
    averages: Tensor = values.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2)).mean(dim=(-3, -1))
    return averages


def fine(cells: Tensor, n_frames: int) -> Tensor:
    """Interpolate cells (B, Q, T/2, M/2) back to points (B, Q, n_frames, M)."""
    points = nn.functional.interpolate(cells, scale_factor=2, mode="bilinear")
    return points[:, :, :n_frames]


AUDIBLE = 0.3  # log-mel value (56 dB below the loudest frame) under which a point is silent


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut."""

    def __init__(self, channels_in: int, channels: int, *, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        same = channels_in == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, cells: Tensor) -> Tensor:
        """Transform (B, channels_in, T, M) to (B, channels, T, M)."""
        summed: Tensor = self.shortcut(cells) + self.body(cells)
        return torch.relu(summed)


class CellAttention(nn.Module):
    """Self-attention among all cells of the coarsest level: the context of the whole clip."""

    def __init__(self, channels: int, n_bands: int, *, layers: int, dropout: float) -> None:
        super().__init__()
        self.band = nn.Parameter(torch.randn(n_bands, channels) * 0.02)
        layer = nn.TransformerEncoderLayer(
            channels,
            max(1, channels // 64),
            2 * channels,
            dropout,
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, cells: Tensor) -> Tensor:
        """Mix (B, channels, T, M) over T and M; no position in time, so any length will do."""
        batch, channels, frames, bands = cells.shape
        tokens = cells.permute(0, 2, 3, 1) + self.band
        mixed: Tensor = self.encoder(tokens.reshape(batch, frames * bands, channels))
        return mixed.reshape(batch, frames, bands, channels).permute(0, 3, 1, 2)


class WordHead(nn.Module):
    """Project text embeddings to those of cells: linear, plus a hidden layer that starts at 0."""

    def __init__(self, text_dim: int, embed_dim: int, hidden: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(text_dim, embed_dim)
        self.hidden = nn.Linear(text_dim, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, embed_dim, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, text: Tensor) -> Tensor:
        """Project (..., text_dim) to (..., D)."""
        bent = self.dropout(nn.functional.gelu(self.hidden(4 * text)))
        projected: Tensor = self.linear(text) + self.out(bent)
        return projected


class CellHead(nn.Module):
    """Embed the cells: what the coarse levels know of a neighbourhood, and which cells it is of.

        cell = fine(level 0) + gate(level 0) * sum over k > 0 of coarse_k(level k)

    The coarse levels have more channels and more context, level 0 has the resolution.
    """

    def __init__(self, widths: list[int], embed_dim: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(widths[0], embed_dim, 1)
        self.gate = nn.Conv2d(widths[0], embed_dim, 1)
        self.coarse = nn.ModuleList(nn.Conv2d(width, embed_dim, 1) for width in widths[1:])

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Join levels (B, width_k, T / 2**k, M / 2**k), finest first: (B, D, T, M)."""
        cells: Tensor = self.fine(levels[0])
        if not self.coarse:
            return cells
        size = list(cells.shape[-2:])  # stays symbolic when it is exported
        known = [
            nn.functional.interpolate(coarse(level), size=size, mode="bilinear")
            for coarse, level in zip(self.coarse, levels[1:], strict=True)
        ]
        return cells + torch.sigmoid(self.gate(levels[0])) * torch.stack(known).sum(dim=0)


class MaskNet(nn.Module):
    """Embed every cell of a log-mel picture and match it with descriptions.

    The stem and every level halve time and frequency; the decoder climbs back to the stem's
    resolution, which is that of the cells. ``tutor_dim`` adds a head for training alone, which
    tells from a source's embedding what a teacher made of its sound.
    """

    def __init__(
        self,
        *,
        n_mels: int,
        text_dim: int,
        width: int = 32,
        levels: int = 4,
        embed_dim: int = 64,
        word_hidden: int = 256,
        dropout: float = 0.1,
        tutor_dim: int = 0,
    ) -> None:
        super().__init__()
        step = 2**levels
        if n_mels % step:
            raise ValueError(f"n_mels={n_mels} must be a multiple of 2**levels={step}")
        self.step = step
        widths = [min(width * 2**level, 256) for level in range(levels)]
        self.stem = nn.Sequential(
            nn.Conv2d(2, widths[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.encoder = nn.ModuleList(
            ResidualBlock(widths[max(0, k - 1)], widths[k], dropout=0.0) for k in range(levels)
        )
        self.context = nn.Sequential(
            CellAttention(widths[-1], n_mels // step, layers=2, dropout=dropout),
            ResidualBlock(widths[-1], widths[-1], dropout=dropout),
        )
        self.decoder = nn.ModuleList(
            ResidualBlock(widths[k + 1] + widths[k], widths[k], dropout=0.0)
            for k in reversed(range(levels - 1))
        )
        self.head = CellHead(widths, embed_dim)
        self.words = WordHead(text_dim, embed_dim, word_hidden, dropout=dropout)
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.presence = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.tutor = nn.Linear(embed_dim, tutor_dim) if tutor_dim else None

    def cells(self, picture: Tensor) -> Tensor:
        """Embed every cell of a picture.

        Args:
            picture: (B, T, M) of :func:`tselcli.features.stft.log_mel`.

        Returns:
            (B, D, ceil(T / 2), M / 2).
        """
        frames = picture.shape[1]
        short = -frames % self.step
        picture = nn.functional.pad(picture, (0, 0, 0, short))
        height = torch.linspace(-1, 1, picture.shape[2], device=picture.device)
        image = torch.stack([2 * picture - 1, height.expand_as(picture).to(picture)], dim=1)
        level = self.stem(image.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for k, block in enumerate(self.encoder):
            level = block(level if k == 0 else nn.functional.max_pool2d(level, 2))
            skips.append(level)
        found = [self.context(level)]
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            level = nn.functional.interpolate(found[-1], scale_factor=2)
            found.append(block(torch.cat([level, skip], 1)))
        embedded: Tensor = self.head(found[::-1])
        return embedded[:, :, : -(-frames // 2)]

    def logits(self, cells: Tensor, text: Tensor) -> Tensor:
        """Match cells with descriptions.

        Args:
            cells: (B, D, T, M) of :meth:`cells`.
            text: unit text embeddings, (Q, text_dim) shared by the batch or (B, Q, text_dim).

        Returns:
            Log-odds that a cell belongs to the described sound, (B, Q, T/2, M/2).
        """
        flat = self.scores(cells.flatten(2).transpose(1, 2), text).transpose(1, 2)
        return flat.reshape(*flat.shape[:2], *cells.shape[2:])

    def scores(self, embedded: Tensor, text: Tensor) -> Tensor:
        """Match embeddings (B, N, D) with descriptions as :meth:`logits` does: (B, N, Q)."""
        words: Tensor = self.words(text)
        matched: Tensor = embedded @ words.transpose(-1, -2) * words.shape[-1] ** -0.5
        return matched + self.bias

    def presence_logits(self, logits: Tensor, picture: Tensor) -> Tensor:
        """Judge whether each described sound is there at all: log-odds (B, Q).

        Arguments are those of :meth:`pooled`.
        """
        return self.presence[0] * self.pooled(logits, picture) + self.presence[1]

    def pooled(self, logits: Tensor, picture: Tensor) -> Tensor:
        """Average the votes of all cells for each described sound.

        Args:
            logits: (B, Q, T/2, M/2) of :meth:`logits`.
            picture: (B, T, M) log-mel; silent cells do not vote.

        Returns:
            (B, Q). A vote's weight grows with its own value, so a short sound in a long recording
            is enough.
        """
        audible = (coarse(picture) > 0.4).to(logits.dtype)[:, None] + 1e-4
        shares = torch.softmax((logits.detach() + audible.log()).flatten(2), dim=-1)
        return (shares * logits.flatten(2)).sum(dim=-1)


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
        self.place = nn.Parameter(torch.tensor([0.4, 0.2, 1.8, -3.9, 1.2, 1.1, -1.8, 5.0]))
        self.choice = nn.Parameter(torch.tensor([1.0, 2.3, -2.5, 0.2, 0.9]))

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
            self.power * fine(nn.functional.logsigmoid(logits), picture.shape[1])
            + (self.energy * level + self.band)[:, None]
        )
        log_weight = log_weight.masked_fill((picture < AUDIBLE)[:, None], -60.0)
        return torch.exp(log_weight - log_weight.amax(dim=(2, 3), keepdim=True))

    def posterior(self, response: Tensor) -> Tensor:
        """Turn a normalised steered response (..., A) into a log-posterior over azimuth."""
        return torch.log_softmax(self.sharpness.exp() * response, dim=-1)
