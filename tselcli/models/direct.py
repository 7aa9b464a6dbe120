"""The paper's systems, ready to answer: correlations and a text feature in, a posterior out.

A network of :mod:`tselcli.models.fusion` stands between frozen encoders. Unlike the mask model
it knows one array only, the one it was trained with, and it has no way to say that the described
sound is absent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import FOA, MicArray
from tselcli.errors import CheckpointError, DataError
from tselcli.features.cache import FeatureCache
from tselcli.features.gcc import clip_gcc
from tselcli.model_sections import ConcatLstmRecipe, ConcatRecipe, CrossAttentionRecipe, MaskRecipe
from tselcli.models.encoders import CompactTextEncoder
from tselcli.models.fusion import ConcatLstm, ConcatNet, CrossAttentionNet, Fusion
from tselcli.models.localizer import Answer
from tselcli.models.posterior import find_peaks
from tselcli.models.protocols import AudioEncoder, TextEncoder, TokenEncoder
from tselcli.models.registry import open_audio_encoder, open_text_encoder, open_token_encoder
from tselcli.models.track import Track, frame_count, frame_times
from tselcli.recipe import Recipe

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sizes:
    """What a network's shape depends on beside its recipe: pairs, and widths of embeddings."""

    pairs: int
    text_dim: int
    audio_dim: int


def build_fusion(recipe: Recipe, sizes: Sizes) -> Fusion:
    """Make the untrained network that a recipe describes.

    Raises:
        ValueError: the recipe describes a mask network.
    """
    rules, lags = recipe.model, recipe.features.n_lags
    if isinstance(rules, ConcatRecipe):
        return ConcatNet(
            pairs=sizes.pairs,
            text_dim=sizes.text_dim,
            audio_dim=sizes.audio_dim,
            hidden=rules.hidden,
        )
    if isinstance(rules, ConcatLstmRecipe):
        return ConcatLstm(
            pairs=sizes.pairs,
            n_lags=lags,
            text_dim=sizes.text_dim,
            audio_dim=sizes.audio_dim,
            hidden=rules.hidden,
            layers=rules.layers,
            bidirectional=rules.bidirectional,
            pool=rules.pool,
        )
    if isinstance(rules, CrossAttentionRecipe):
        return CrossAttentionNet(
            pairs=sizes.pairs,
            n_lags=lags,
            token_dim=sizes.text_dim,
            hidden=rules.hidden,
            ffn=rules.ffn,
            heads=rules.heads,
            encoder_layers=rules.encoder_layers,
            decoder_layers=rules.decoder_layers,
            frames=rules.frames,
            pool=rules.pool,
            dropout=rules.dropout,
            norm_first=rules.norm_first,
        )
    raise ValueError(f"model {rules.name}: reads no azimuths off correlations")


class Semantics:
    """The frozen encoders beside a network.

    Args:
        recipe: names them.
        device: where their vectors are wanted.
        cache: keeps vectors between runs; None embeds anew.
        compact: the compact encoder out of a checkpoint, in place of the bundled one.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        cache: FeatureCache | None = None,
        compact: CompactTextEncoder | None = None,
    ) -> None:
        rules = recipe.model
        assert not isinstance(rules, MaskRecipe)
        name, weights = rules.text_encoder, rules.text_weights
        self.device = device
        self.clip: TextEncoder | None = None
        self.words: TokenEncoder | None = None
        if isinstance(rules, CrossAttentionRecipe):
            self.words = compact or open_token_encoder(name, weights, device, cache)
            self.text_dim = self.words.dim
        else:
            self.clip = compact or open_text_encoder(name, weights, device, cache)
            self.text_dim = self.clip.dim
        self.sound: AudioEncoder | None = None
        if not isinstance(rules, CrossAttentionRecipe) and rules.audio_encoder is not None:
            places = (rules.audio_weights, device, cache)
            self.sound = open_audio_encoder(rules.audio_encoder, *places)

    def sizes(self, n_channels: int) -> Sizes:
        """Say what shapes a network of an array with so many microphones."""
        heard = 0 if self.sound is None else self.sound.dim
        return Sizes(n_channels * (n_channels - 1) // 2, self.text_dim, heard)

    def read(self, queries: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Embed queries: (Q, D) and None, or tokens (Q, K, D) and their mask (Q, K)."""
        if self.words is not None:
            return self.words.encode_tokens(queries)
        assert self.clip is not None
        return self.clip.encode(queries), None

    def hear(self, mono: Sequence[Array], sample_rate: int) -> Tensor | None:
        """Embed recordings, each mono (N,): (B, D), or None where the model has no use for it."""
        if self.sound is None:
            return None
        return torch.stack([self.sound.encode_audio(one, sample_rate) for one in mono])


class DirectLocalizer:
    """A trained network of the paper that answers like :class:`tselcli.models.localizer`.

    Recordings are heard in clips of the length that it was trained with, the last one padded,
    and the posteriors are averaged over clips and frames.
    """

    def __init__(
        self, net: Fusion, semantics: Semantics, recipe: Recipe, sizes: Sizes, name: str
    ) -> None:
        self.net, self.semantics, self.recipe, self.sizes = net, semantics, recipe, sizes
        self.name, self.features = name, recipe.features
        self.has_tracks = net.frames

    @torch.no_grad()
    def locate(
        self,
        signal: Array,
        sample_rate: int,
        queries: Sequence[str],
        array: MicArray,
        alternatives: int = 3,
        track: bool = False,
    ) -> list[Answer]:
        """Answer where each described sound is.

        Arguments and answers are those of :meth:`tselcli.models.localizer.Localizer.locate`; the
        presence is unknown (None), since the paper's systems always answer.

        Raises:
            DataError: another number of channels than in training, or silence.
            CheckpointError: a track is asked of a network that answers once per clip.
        """
        self._check(signal, array)
        if track and not self.has_tracks:
            raise CheckpointError(
                f"{self.name}: answers once per clip and has no tracks; take a mask model or one "
                "that answers per frame, as those of the recipes paper/table2-* do"
            )
        text, mask = self.semantics.read(queries)
        clips = [
            self._posteriors(clip, sample_rate, text, mask)
            for clip in self._clips(signal, sample_rate)
        ]
        answers = []
        for q, query in enumerate(queries):
            posterior = np.mean([clip[q].mean(axis=0) for clip in clips], axis=0)
            peaks = find_peaks(posterior, 1 + alternatives)
            way = None
            if track:
                total = frame_count(signal.shape[1], sample_rate)
                way = self._track(query, [clip[q] for clip in clips], total)
            answers.append(Answer(query, *peaks[0], None, tuple(peaks[1:]), posterior, way))
        return answers

    def track(
        self, signal: Array, sample_rate: int, queries: Sequence[str], array: MicArray
    ) -> list[Track]:
        """Follow each described sound; arguments and errors are those of :meth:`locate`."""
        answers = self.locate(signal, sample_rate, queries, array, track=True)
        return [answer.track for answer in answers if answer.track is not None]

    def _track(self, query: str, clips: Sequence[Array], total: int) -> Track:
        """Read a track off the posteriors (T', A) of a recording's clips, one frame at a time."""
        length = self.recipe.scene.duration_s
        peaks = []
        for time_s in frame_times(total) + 1e-6:
            clip = clips[min(int(time_s / length), len(clips) - 1)]
            frame = clip[min(int(time_s % length / length * len(clip)), len(clip) - 1)]
            peaks.append(find_peaks(frame, 1)[0])
        azimuth, confidence = np.array(peaks).T
        return Track(query, frame_times(total), azimuth, confidence, np.ones(total, dtype=np.bool_))

    def _check(self, signal: Array, array: MicArray) -> None:
        wanted = round((1 + (1 + 8 * self.sizes.pairs) ** 0.5) / 2)
        if signal.shape[0] != wanted or len(array.mics) != wanted:
            raise DataError(
                f"{signal.shape[0]} channel(s), array {array.name} of {len(array.mics)}: "
                f"{self.name} was trained with {wanted} microphones and knows no other array; "
                "take a mask model"
            )
        scene = self.recipe.scene
        trained = scene.array.geometry if scene.measured is None else scene.measured.channels
        if array.foa != FOA.get(trained):
            raise DataError(
                f"array {array.name}: {self.name} was trained with {trained}, and ambisonics are "
                "no microphones; take a mask model"
            )
        if not np.any(signal):
            raise DataError("the recording is silent; there is nothing to localize")

    def _clips(self, signal: Array, sample_rate: int) -> Iterator[Array]:
        length = round(self.recipe.scene.duration_s * sample_rate)
        for start in range(0, signal.shape[1], length):
            clip = signal[:, start : start + length]
            yield np.pad(clip, ((0, 0), (0, length - clip.shape[1])))

    def _posteriors(
        self, clip: Array, sample_rate: int, text: Tensor, mask: Tensor | None
    ) -> Array:
        """Ask the network: posteriors of a clip (Q, T', A), one frame where it has but one."""
        gcc = torch.from_numpy(clip_gcc(clip, sample_rate, self.features)).float()
        heard = self.semantics.hear([clip.mean(axis=0)], sample_rate)
        count = len(text)
        logits = self.net(
            gcc.to(text.device).expand(count, -1, -1, -1),
            text,
            mask,
            None if heard is None else heard.expand(count, -1),
        )
        posterior = torch.softmax(logits.double(), dim=-1).cpu()
        return np.asarray((posterior if self.net.frames else posterior[:, None]).numpy())
