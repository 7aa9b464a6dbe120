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

from tselcli.models.matching import Matching


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


class MaskNet(Matching):
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
        super().__init__(embed_dim, tutor_dim)
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

    def cells(self, picture: Tensor) -> Tensor:
        """Embed every cell of a picture, as :meth:`Matching.cells`."""
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

    def project(self, text: Tensor) -> Tensor:
        """Bring text embeddings (..., Q, text_dim) to where cells are: (..., Q, D)."""
        projected: Tensor = self.words(text)
        return projected

    def match(self, embedded: Tensor, words: Tensor) -> Tensor:
        """Match embeddings (..., N, D) with words of :meth:`project` (..., Q, D): (..., N, Q)."""
        matched: Tensor = embedded @ words.transpose(-1, -2) * words.shape[-1] ** -0.5
        return matched + self.bias

    def word_heads(self) -> list[nn.Module]:
        """List what projects the text embeddings: one."""
        return [self.words]
