"""CLAP (Wu et al., 2023): one space of 512 numbers for descriptions and for sounds.

The same network twice: ``LaionClap`` runs the package ``laion-clap`` with its original
checkpoint, ``HfClap`` runs ``transformers.ClapModel``, which can also read that checkpoint. On
the same weights the two agree to 1e-4.

A sound is heard at 48 kHz, its first 10 s: the originals crop at random, which would give a
clip another vector each time. Shorter sounds are repeated as often as they fit, then padded
with zeros; samples are rounded to 16 bits, as in training.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tselcli.corpora.audio import resample
from tselcli.errors import CheckpointError
from tselcli.models.clap_weights import (
    clap_config,
    read_laion_checkpoint,
    roberta_config,
    to_transformers,
)
from tselcli.models.pretrained import load_network, load_tokenizer
from tselcli.models.quiet import quiet_transformers
from tselcli.models.weights import LAION_CHECKPOINT

DIM = 512
SAMPLE_RATE = 48_000
MAX_SAMPLES = 480_000
MAX_PIECES = 77  # of a text, special ones included
BATCH = 64
FULL_SCALE = 32_767.0
EXTRACTOR = {  # of laion/clap-htsat-unfused, for a checkpoint that comes without
    "frequency_min": 50,
    "frequency_max": 14_000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}


class LaionClap:
    """CLAP by the package ``laion-clap`` (version 1.1.7).

    Args:
        files: the checkpoint, and ``vocab.json`` and ``merges.txt`` of RoBERTa.
        device: where it runs.
    """

    dim = DIM

    def __init__(self, files: Mapping[str, Path], device: torch.device | str = "cpu") -> None:
        path = files[LAION_CHECKPOINT]
        tensors = read_laion_checkpoint(path)
        with _without_the_hub(tensors, files["vocab.json"].parent):
            from laion_clap import CLAP_Module

            self._clap = CLAP_Module(enable_fusion=False, amodel="HTSAT-tiny", device=str(device))
        _fill(self._clap.model, tensors, path)
        self._clap.eval().requires_grad_(False)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (B, 512) of unit length; 77 word pieces of each are read."""
        chunks = [list(texts[start:][:BATCH]) for start in range(0, len(texts), BATCH)]
        vectors = [self._clap.get_text_embedding(chunk, use_tensor=True) for chunk in chunks]
        return torch.cat(vectors) if vectors else torch.zeros(0, DIM)

    @torch.no_grad()
    def encode_audio(self, signal: NDArray[np.float32], sample_rate: int) -> Tensor:
        """Embed the first 10 s of a mono signal (N,): (512,) of unit length."""
        heard = _heard(signal, sample_rate)[None]
        vectors = self._clap.get_audio_embedding_from_data(heard, use_tensor=False)
        return torch.from_numpy(vectors[0]).to(next(self._clap.parameters()).device)


class HfClap:
    """CLAP by ``transformers``.

    Args:
        files: those of ``laion/clap-htsat-unfused``, or a checkpoint of ``laion-clap`` with
            ``vocab.json`` and ``merges.txt`` of RoBERTa.
        device: where it runs.
    """

    dim = DIM

    def __init__(self, files: Mapping[str, Path], device: torch.device | str = "cpu") -> None:
        from transformers import ClapFeatureExtractor

        folder = files["vocab.json"].parent
        if LAION_CHECKPOINT in files:
            self._clap = _converted(files[LAION_CHECKPOINT])
            self._extractor = ClapFeatureExtractor(**EXTRACTOR)
        else:
            self._clap = load_network("ClapModel", "clap", files["config.json"].parent)
            self._extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
        self._tokenizer = load_tokenizer("RobertaTokenizer", folder)
        self._clap.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (B, 512) of unit length; 77 word pieces of each are read."""
        vectors = [torch.zeros(0, DIM, device=self._clap.device)]
        for start in range(0, len(texts), BATCH):
            chunk = list(texts[start : start + BATCH])
            pieces = self._tokenizer(
                chunk, padding=True, truncation=True, max_length=MAX_PIECES, return_tensors="pt"
            ).to(self._clap.device)
            found = self._clap.get_text_features(pieces.input_ids, pieces.attention_mask)
            vectors.append(F.normalize(found.pooler_output, dim=-1))
        return torch.cat(vectors)

    @torch.no_grad()
    def encode_audio(self, signal: NDArray[np.float32], sample_rate: int) -> Tensor:
        """Embed the first 10 s of a mono signal (N,): (512,) of unit length."""
        clipped = np.clip(_heard(signal, sample_rate), -1.0, 1.0)
        rounded = (clipped * FULL_SCALE).astype(np.int16) / np.float32(FULL_SCALE)
        picture = self._extractor(
            rounded, sampling_rate=SAMPLE_RATE, padding="repeatpad", return_tensors="pt"
        )["input_features"].float()
        found = self._clap.get_audio_features(picture.to(self._clap.device))
        return F.normalize(found.pooler_output[0], dim=-1)


def _heard(signal: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    if signal.ndim != 1 or not len(signal):
        raise ValueError(f"signal has shape {signal.shape} instead of (N,)")
    needed = MAX_SAMPLES * sample_rate // SAMPLE_RATE + sample_rate  # spare the filter the rest
    heard = resample(np.asarray(signal[:needed], dtype=np.float32), sample_rate, SAMPLE_RATE)
    return heard[:MAX_SAMPLES]


def _fill(network: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put tensors into a network; each must have its place there and the other way round."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as problem:
        first = str(problem).splitlines()[1:2]
        raise CheckpointError(
            f"{path}: does not fit CLAP ({' '.join(first).strip()}); "
            "`tsel models fetch clap` downloads the original"
        ) from problem


def _converted(path: Path) -> Any:
    """Build ``ClapModel`` from a checkpoint of ``laion-clap``."""
    from transformers import ClapModel

    tensors = read_laion_checkpoint(path)
    with quiet_transformers():
        network = ClapModel(clap_config(tensors))
    weights = {name for name, _ in network.named_parameters()}
    constants = {name: x for name, x in network.state_dict().items() if name not in weights}
    _fill(network, {**constants, **to_transformers(tensors)}, path)
    return network


@contextlib.contextmanager
def _without_the_hub(tensors: Mapping[str, Tensor], tokenizer: Path) -> Iterator[None]:
    """Give ``laion_clap`` from our own files what it would ask the hub for.

    Its import loads three tokenizers that nobody uses, and its constructor weights for the text
    branch, half a gigabyte, which the checkpoint replaces. So inside this context the former are
    nothing and the latter is an empty network of the checkpoint's sizes. Only RoBERTa's tokenizer
    is real, and comes last: BART's may be another name of it. The import also puts a folder of
    the package on ``sys.path``, which is taken off again.
    """
    import transformers

    load_tokenizer = transformers.RobertaTokenizer.from_pretrained
    config = roberta_config(tensors)
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_transformers())
        stack.enter_context(mock.patch.object(sys, "path", list(sys.path)))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        for name, stand_in in {
            "BertTokenizer": lambda *_, **__: None,
            "BartTokenizer": lambda *_, **__: None,
            "RobertaTokenizer": lambda *_, **__: load_tokenizer(tokenizer, local_files_only=True),
            "RobertaModel": lambda *_, **__: transformers.RobertaModel(config),
        }.items():
            owner = getattr(transformers, name)
            stack.enter_context(mock.patch.object(owner, "from_pretrained", stand_in))
        yield
