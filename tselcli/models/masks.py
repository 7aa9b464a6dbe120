"""What a model hears of a described sound: the mask that it steers with, for people to see."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.stft import mel_bands
from tselcli.models.cells import fine
from tselcli.sections import FeatureRecipe

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CellMask:
    """Which points of the log-mel picture belong to a described sound.

    Attributes:
        share: of the sound in every point, [0, 1], (T, M).
        level_db: of every point, relative to the loudest frame, -80 to about 15, (T, M).
        step_s: from one frame to the next.
        band_hz: centres of the mel bands (M,).
    """

    share: Floats
    level_db: Floats
    step_s: float
    band_hz: npt.NDArray[np.float64]


def cell_mask(logits: Tensor, picture: Tensor, features: FeatureRecipe) -> CellMask:
    """Turn logits (T/2, M/2) and a log-mel picture (T, M) into what can be shown and saved."""
    share = torch.sigmoid(fine(logits[None, None], len(picture))[0, 0])
    level_db = 80 * (picture - 1)
    step_s = features.mel_pool * features.hop / features.sample_rate
    return CellMask(share.cpu().numpy(), level_db.cpu().numpy(), step_s, band_centres(features))


def band_centres(features: FeatureRecipe) -> npt.NDArray[np.float64]:
    """Give the middle of every mel band, Hz (M,)."""
    bands = mel_bands(features.sample_rate, features.n_fft, features.n_mels).double().numpy()
    hertz = np.linspace(0, features.sample_rate / 2, len(bands))
    return np.asarray(hertz @ bands / np.maximum(bands.sum(axis=0), 1e-12))
