"""Any separator's output as the mask: the share of its power in the mixture's.

    M(t, f) = |estimate(t, f)|^2 / |mixture(t, f)|^2, no more than 1

Who has separated the described sound by other means (AudioSep, SAM-Audio, a microphone close to
it) needs no query: the ratio says which cells are of the sound, and steering says where it is.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tselcli.acoustics.geometry import MicArray
from tselcli.corpora.recording import Recording
from tselcli.errors import DataError
from tselcli.features.stft import mel_power, reference_power
from tselcli.features.streamed import Sound
from tselcli.models.cells import coarse
from tselcli.models.hearing import open_sound

if TYPE_CHECKING:
    from tselcli.models.localizer import Localizer

SURE = 0.999  # of a ratio: logits stay finite
SLACK_S = 0.5  # that an estimate may be shorter or longer than the mixture


def open_estimate(
    localizer: "Localizer", path: Path, start_s: float, stop_s: float | None
) -> Sound:
    """Open a separated sound, mono or with any channels, as the model hears it.

    Raises:
        DataError: the file cannot be used, or is silent.
    """
    channels = Recording(path).channels
    anywhere = MicArray("estimate", ((0.0, 0.0, 0.0),) * channels)
    rate = localizer.features.sample_rate
    try:
        return open_sound(path, anywhere, rate, localizer.device, start_s, stop_s)
    except DataError as error:
        if "silent" not in str(error):
            raise
        raise DataError(f"{path}: the estimate is silent; nothing was separated") from error


def estimate_logits(localizer: "Localizer", mixture: Sound, estimate: Sound) -> Tensor:
    """Turn the ratio of powers into what the network would say: logits (1, 1, T/2, M/2).

    An estimate that is louder than the whole mixture is turned down to it.

    Args:
        localizer: whose analysis it is.
        mixture: reference channels (C, N) of the recording.
        estimate: of the same time, at the level that it has in the mixture.

    Raises:
        DataError: the lengths differ by more than half a second.
    """
    rate = localizer.features.sample_rate
    if abs(mixture.shape[1] - estimate.shape[1]) > SLACK_S * rate:
        raise DataError(
            f"the estimate lasts {estimate.shape[1] / rate:.2f} s and the recording "
            f"{mixture.shape[1] / rate:.2f} s; give the whole sound, from the same beginning"
        )
    whole, part = _mel(localizer, mixture), _mel(localizer, estimate)
    part = torch.nn.functional.pad(part, (0, 0, 0, max(0, len(whole) - len(part))))[: len(whole)]
    part = part * (whole.sum() / part.sum().clamp_min(1e-30)).clamp_max(1.0)
    ratio = (coarse(part) / coarse(whole).clamp_min(1e-30)).clamp(1 - SURE, SURE)
    return torch.logit(ratio)[None, None]


def _mel(localizer: "Localizer", audio: Sound) -> Tensor:
    """Sum the power into mel cells: (T, M)."""
    pool = localizer.features.mel_pool
    parts = [
        mel_power(reference_power(spectrum), localizer.bands, pool)[0]
        for spectrum in localizer.spectra(audio)
    ]
    return torch.cat(parts)
