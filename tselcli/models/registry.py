"""The encoders by name: what each gives, and how to open it.

========  ===========  ======  ======
name      clip vector  tokens  sounds
========  ===========  ======  ======
compact   any size     yes
clap      512                  512
clap-hf   512                  512
flan-t5                1024
bert                   768
========  ===========  ======  ======

Weights are a local file or folder, the name of a hub repository, or None for the usual place.
Nothing is downloaded here; ``tsel models fetch`` does that.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tselcli.errors import CheckpointError, RecipeError
from tselcli.features.cache import FeatureCache
from tselcli.models.encoders import BUNDLED, CompactTextEncoder, load_text_weights
from tselcli.models.protocols import AudioEncoder, TextEncoder, TokenEncoder
from tselcli.models.stored import Identity, StoredAudio, StoredText, StoredTokens
from tselcli.models.weights import digest_of, find_weights, verify
from tselcli.problems import did_you_mean

Device = torch.device | str
Files = Mapping[str, Path]
CLIP, TOKENS, SOUNDS = "a vector of a text", "tokens of a text", "a vector of a sound"
COMPACT_FILE = "compact"


@dataclass(frozen=True)
class Kind:
    """One encoder.

    Args:
        gives: some of CLIP, TOKENS, SOUNDS.
        find: finds its files; takes its name and the user's ``weights``.
        open: opens the network; takes the files and the device.
        width: reads D off the files, without opening the network.
    """

    gives: tuple[str, ...]
    find: Callable[[str, str | None], Files]
    open: Callable[[Files, Device], Any]
    width: Callable[[Files], int]


def _find_compact(name: str, weights: str | None) -> Files:
    path = BUNDLED if weights is None else Path(weights)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `tsel distill` writes one")
    return {COMPACT_FILE: path}


def _open_compact(files: Files, device: Device) -> CompactTextEncoder:
    return load_text_weights(files[COMPACT_FILE]).to(device)


def _open_clap(files: Files, device: Device) -> TextEncoder:
    from tselcli.models.clap import LaionClap

    return LaionClap(files, device)


def _open_clap_hf(files: Files, device: Device) -> TextEncoder:
    from tselcli.models.clap import HfClap

    return HfClap(files, device)


def _open_t5(files: Files, device: Device) -> TokenEncoder:
    from tselcli.models.pretrained import t5_tokens

    return t5_tokens(files, device)


def _open_bert(files: Files, device: Device) -> TokenEncoder:
    from tselcli.models.pretrained import bert_tokens

    return bert_tokens(files, device)


def _width_of_config(files: Files) -> int:
    from tselcli.models.pretrained import width_of

    return width_of(files)


def _width_of_clap(files: Files) -> int:
    return 512


def _width_of_compact(files: Files) -> int:
    return load_text_weights(files[COMPACT_FILE]).dim


ENCODERS = {
    "compact": Kind((CLIP, TOKENS), _find_compact, _open_compact, _width_of_compact),
    "clap": Kind((CLIP, SOUNDS), find_weights, _open_clap, _width_of_clap),
    "clap-hf": Kind((CLIP, SOUNDS), find_weights, _open_clap_hf, _width_of_clap),
    "flan-t5": Kind((TOKENS,), find_weights, _open_t5, _width_of_config),
    "bert": Kind((TOKENS,), find_weights, _open_bert, _width_of_config),
}


def open_text_encoder(
    name: str,
    weights: str | None = None,
    device: Device = "cpu",
    cache: FeatureCache | None = None,
) -> TextEncoder:
    """Open what turns a text into a vector of unit length.

    Args:
        name: compact, clap or clap-hf.
        weights: file, folder or hub repository; None is the usual place.
        device: where it runs and its vectors are.
        cache: keeps vectors between runs; the network is then opened for new texts only.

    Raises:
        RecipeError: no such encoder, or it gives something else.
        CheckpointError: its files are missing, damaged or of another network.
    """
    files, network = _prepare(name, CLIP, weights, device)
    if cache is None:
        return network()  # type: ignore[no-any-return]
    return StoredText(network, _identity(name, files, device), cache)


def open_token_encoder(
    name: str,
    weights: str | None = None,
    device: Device = "cpu",
    cache: FeatureCache | None = None,
) -> TokenEncoder:
    """Open what turns a text into a vector per token: compact, flan-t5 or bert.

    Arguments and errors are those of ``open_text_encoder``.
    """
    files, network = _prepare(name, TOKENS, weights, device)
    if cache is None:
        return network()  # type: ignore[no-any-return]
    return StoredTokens(network, _identity(name, files, device), cache)


def open_audio_encoder(
    name: str,
    weights: str | None = None,
    device: Device = "cpu",
    cache: FeatureCache | None = None,
) -> AudioEncoder:
    """Open what turns a sound into a vector of unit length: clap or clap-hf.

    Arguments and errors are those of ``open_text_encoder``.
    """
    files, network = _prepare(name, SOUNDS, weights, device)
    if cache is None:
        return network()  # type: ignore[no-any-return]
    return StoredAudio(network, _identity(name, files, device), cache)


def _prepare(
    name: str, wanted: str, weights: str | None, device: Device
) -> tuple[Files, Callable[[], Any]]:
    """Find and check the files of an encoder, and say how to open it."""
    if name not in ENCODERS:
        hint = did_you_mean(name, ENCODERS)
        raise RecipeError(f"{name!r}: no such encoder{hint}; there are {', '.join(ENCODERS)}")
    kind = ENCODERS[name]
    if wanted not in kind.gives:
        able = ", ".join(other for other, its in ENCODERS.items() if wanted in its.gives)
        raise RecipeError(f"{name}: gives {' and '.join(kind.gives)}, not {wanted}; take {able}")
    files = kind.find(name, weights)
    for path in files.values():
        verify(path)
    return files, functools.partial(_open_quietly, kind, files, device)


def _open_quietly(kind: Kind, files: Files, device: Device) -> Any:
    """Open a network and draw no random numbers that others count on.

    A network is opened for new texts alone; a run with all of them in the cache shall go the
    same way.
    """
    with torch.random.fork_rng(devices=[]):
        return kind.open(files, device)


def _identity(name: str, files: Files, device: Device) -> Identity:
    return Identity(name, digest_of(files), ENCODERS[name].width(files), device)
