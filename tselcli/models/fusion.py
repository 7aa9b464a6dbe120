"""The paper's networks: GCC-PHAT and a text feature in, logits over 360 azimuths out.

Zhao et al., "Text-Queried Target Sound Event Localization", section IV-C and section VI:

    ConcatNet          [ResNet18(gcc); CLAP audio; CLAP text] -> Linear       clip    eq. 2, 5
    ConcatLstm         [gcc of a frame; audio; text] -> LSTM -> Linear        frame   table II
    CrossAttentionNet  words -> 4 encoders; [CLS] + gcc -> 4 decoders         both    eq. 6

All are called alike, ``net(gcc, text, text_mask=None, audio=None)``. ``net.frames`` tells whether
there are logits for every frame of 100 ms or one set for the clip, ``net.tokens`` whether ``text``
is one vector per query or a sequence of word embeddings. Bin k is ``posterior.AZIMUTHS[k]``.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

N_AZIMUTHS = 360


def pool_frames(gcc: Tensor, pool: int) -> Tensor:
    """Average ``pool`` STFT frames each and lay the pairs side by side.

    Five frames of 20 ms make the 100 ms of the paper's labels. Pooled frame k is the mean of
    frames ``k * pool ... (k + 1) * pool - 1``. A rest is left out, since a centred STFT has one
    frame more than its hops (501 frames, 10 s, become 100); a clip that is all rest is averaged.

    Args:
        gcc: (B, P, T, L) of :func:`tselcli.features.gcc.gcc_phat`.
        pool: STFT frames per output frame.

    Returns:
        (B, max(1, T // pool), P * L).
    """
    pool = min(pool, gcc.shape[2])
    whole = gcc.shape[2] // pool * pool
    pooled: Tensor = gcc[:, :, :whole].unflatten(2, (-1, pool)).mean(dim=3)  # (B, P, T', L)
    return pooled.transpose(1, 2).flatten(2)


def sinusoids(n_frames: int, width: int) -> Tensor:
    """Encode places 0, 1, ... by sines and cosines (Vaswani et al. 2017, 3.5): (T, width)."""
    place = torch.arange(n_frames)[:, None]
    rate = 10000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(1)


def spatial_encoder(pairs: int) -> nn.Module:
    """Build an untrained ResNet18 that gives 512 features of ``pairs`` input planes (eq. 2)."""
    from torchvision.models import resnet18  # seconds to import, and only needed here

    encoder: nn.Module = resnet18(weights=None)
    encoder.conv1 = nn.Conv2d(pairs, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(encoder.conv1.weight, mode="fan_out", nonlinearity="relu")
    encoder.fc = nn.Identity()
    return encoder


class ConcatNet(nn.Module):
    """Clip level: concatenate the features and classify with one linear layer (eq. 5).

    A single linear layer adds what the sound says to what the text says: the text moves the
    logits of every mixture by the same amounts, so it cannot choose between two sources whose
    places are swapped. ``hidden`` puts a hidden layer of that width before the classifier, which
    lifts the limit; 0 is the paper's "fully connected layer".
    """

    frames = False
    tokens = False

    def __init__(
        self,
        *,
        pairs: int = 6,
        text_dim: int = 512,
        audio_dim: int = 0,
        hidden: int = 0,
        n_azimuths: int = N_AZIMUTHS,
    ) -> None:
        super().__init__()
        fused = 512 + audio_dim + text_dim
        self.spatial = spatial_encoder(pairs)
        self.mixer = nn.Sequential(nn.Linear(fused, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.classifier = nn.Linear(hidden or fused, n_azimuths)

    def forward(
        self,
        gcc: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        audio: Tensor | None = None,
    ) -> Tensor:
        """Score every azimuth for a clip.

        Args:
            gcc: (B, P, T, L), any T and L.
            text: embedding of the query, (B, text_dim).
            text_mask: not used, a vector has no padding.
            audio: CLAP embedding of the mixture, (B, audio_dim); None where audio_dim is 0.

        Returns:
            Logits (B, A).
        """
        semantic = [text] if audio is None else [audio, text]
        fused = torch.cat([self.spatial(gcc), *semantic], dim=-1)
        logits: Tensor = self.classifier(self.mixer(fused))
        return logits


class ConcatLstm(nn.Module):
    """Frame level: an LSTM over each frame's correlations beside the repeated embeddings.

    The paper names the LSTM (VI-C) but not its size or direction: the width is that of its
    transformer, two layers and one direction are our choice.
    """

    frames = True
    tokens = False

    def __init__(
        self,
        *,
        pairs: int = 6,
        n_lags: int = 96,
        text_dim: int = 512,
        audio_dim: int = 0,
        hidden: int = 256,
        layers: int = 2,
        bidirectional: bool = False,
        pool: int = 5,
        n_azimuths: int = N_AZIMUTHS,
    ) -> None:
        super().__init__()
        self.pool = pool
        fused = pairs * n_lags + audio_dim + text_dim
        self.lstm = nn.LSTM(fused, hidden, layers, batch_first=True, bidirectional=bidirectional)
        self.classifier = nn.Linear(hidden * (2 if bidirectional else 1), n_azimuths)

    def forward(
        self,
        gcc: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        audio: Tensor | None = None,
    ) -> Tensor:
        """Score every azimuth in every frame of 100 ms.

        Args:
            gcc: (B, P, T, n_lags).
            text: embedding of the query, (B, text_dim).
            text_mask: not used, a vector has no padding.
            audio: CLAP embedding of the mixture, (B, audio_dim); None where audio_dim is 0.

        Returns:
            Logits (B, T', A), T' as in :func:`pool_frames`.
        """
        spatial = pool_frames(gcc, self.pool)
        semantic = text if audio is None else torch.cat([audio, text], dim=-1)
        repeated = semantic[:, None].expand(-1, spatial.shape[1], -1)
        states, _ = self.lstm(torch.cat([spatial, repeated], dim=-1))
        logits: Tensor = self.classifier(states)
        return logits


class CrossAttentionNet(nn.Module):
    """A transformer that asks with the sound and is answered by the words (eq. 6).

    Encoders read the words; decoders take the frames as queries and the encoded words as keys
    and values. The clip is judged by a learnt [CLS] before the frames; with ``frames`` there is
    none and every frame is judged itself. Text of one vector would fit as a sequence of length
    one, but the softmax over a single key is 1 whatever the sound: only word sequences make
    sense. Heads, dropout and the order of the norms are unstated in the paper.
    """

    tokens = True

    def __init__(
        self,
        *,
        pairs: int = 6,
        n_lags: int = 96,
        token_dim: int = 1024,
        hidden: int = 256,
        ffn: int = 1024,
        heads: int = 8,
        encoder_layers: int = 4,
        decoder_layers: int = 4,
        frames: bool = False,
        pool: int = 5,
        dropout: float = 0.1,
        norm_first: bool = False,
        n_azimuths: int = N_AZIMUTHS,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.pool = pool
        self.words = nn.Linear(token_dim, hidden)
        self.correlations = nn.Linear(pairs * n_lags, hidden)
        self.clip = None if frames else nn.Parameter(torch.randn(hidden))  # the [CLS] token
        sizes = (hidden, heads, ffn, dropout)
        encode = nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=norm_first)
        decode = nn.TransformerDecoderLayer(*sizes, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(
            encode,
            encoder_layers,
            norm=nn.LayerNorm(hidden) if norm_first else None,
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            decode, decoder_layers, norm=nn.LayerNorm(hidden) if norm_first else None
        )
        for weight in (*self.encoder.parameters(), *self.decoder.parameters()):
            if weight.dim() > 1:  # torch copies one layer, so all would start alike
                nn.init.xavier_uniform_(weight)
        self.classifier = nn.Linear(hidden, n_azimuths)

    def forward(
        self,
        gcc: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        audio: Tensor | None = None,
    ) -> Tensor:
        """Score every azimuth for a clip, or in every frame of 100 ms.

        Args:
            gcc: (B, P, T, n_lags).
            text: word embeddings (B, K, token_dim), which know their order already.
            text_mask: True where there is a token, (B, K); None where all are.
            audio: must be None; the paper's transformer takes no embedding of the mixture.

        Returns:
            Logits (B, A), or with ``frames`` (B, T', A), T' as in :func:`pool_frames`.

        Raises:
            ValueError: an audio embedding is given.
        """
        if audio is not None:
            raise ValueError("the cross-attention network takes no audio embedding")
        if text_mask is None:
            text_mask = text.new_ones(text.shape[:2], dtype=torch.bool)
        text = text.masked_fill(~text_mask[..., None], 0.0)
        # Attention to nothing at all is NaN: a query without a token attends to zeros.
        padding = ~text_mask & text_mask.any(dim=1, keepdim=True)
        memory = self.encoder(self.words(text), src_key_padding_mask=padding)
        sound = self.decoder(self._queries(gcc), memory, memory_key_padding_mask=padding)
        logits: Tensor = self.classifier(sound if self.clip is None else sound[:, 0])
        return logits

    def _queries(self, gcc: Tensor) -> Tensor:
        """Project (B, P, T, L) to (B, T', hidden) with places, after the [CLS] if there is one."""
        queries: Tensor = self.correlations(pool_frames(gcc, self.pool))
        # Correlations are small: scaled as in Vaswani et al. 3.4, lest the places drown them.
        queries = queries * queries.shape[-1] ** 0.5
        queries = queries + sinusoids(*queries.shape[1:]).to(queries)
        if self.clip is None:
            return queries
        return torch.cat([self.clip.to(queries).expand(len(queries), 1, -1), queries], dim=1)


Fusion = ConcatNet | ConcatLstm | CrossAttentionNet
FUSIONS: dict[str, Callable[..., Fusion]] = {
    "concat": ConcatNet,
    "concat_lstm": ConcatLstm,
    "cross_attention": CrossAttentionNet,
}
