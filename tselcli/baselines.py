"""How scenes are answered without the model's steering: what its figures stand beside.

Steering ignores the query, or listens under the true ratio mask where the scenes are rendered
here. The matcher chooses with the model's own network, but without a mask: it listens in the two
strongest directions and asks which of the two beams sounds more like the description. A beam is
the mean of all channels after undoing their delays; of ambisonics it is a cardioid.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.geometry import MicArray, wrap_deg
from tselcli.acoustics.lines import fold_deg, line_of
from tselcli.corpora.audio import resample
from tselcli.dataset import Trial
from tselcli.features.intensity import steered_intensity
from tselcli.features.srp import srp_phat
from tselcli.features.stft import bin_power, log_mel, mel_power, reference_power, stft
from tselcli.metrics import angular_error
from tselcli.models.direct import DirectLocalizer
from tselcli.models.extract import gains
from tselcli.models.localizer import Localizer
from tselcli.models.posterior import AZIMUTHS
from tselcli.sections import FeatureRecipe

AUDIBLE = 1e-6  # power of a bin over the loudest; below it nobody can say whose it is
MATCHER = "matcher: beamform, then compare"
BEAMS, APART_DEG = 2, 15.0  # that the matcher listens to, and how far apart they are at least


@torch.no_grad()
def baseline_azimuths(trial: Trial, localizer: Localizer | DirectLocalizer) -> dict[str, float]:
    """Answer a trial in other ways than the model.

    Args:
        trial: the recording; with ``images``, the oracle mask is scored as well.
        localizer: whose analysis is used; of a mask model, its network serves the matcher.

    Returns:
        Degrees, by name of the system.
    """
    features, rate, foa = localizer.features, trial.scene.sample_rate, trial.array.foa
    heard = trial.signal if foa is None else to_acn_sn3d(trial.signal, foa)
    spectrum = _spectrum(heard, rate, features)
    method = "SRP-PHAT" if foa is None else "intensity"
    everything = _steered(spectrum, trial, features, None)
    found = {f"{method}, query ignored": float(AZIMUTHS[int(everything.argmax())])}
    if foa is None:
        found["SRP-PHAT of pyroomacoustics"] = _peer(spectrum, trial, features)
    if trial.images is not None:
        images = trial.images if foa is None else trial.images[:, :1]  # W
        power = reference_power(_spectrum(images, rate, features)[0])  # (S, T, F)
        whole = power.sum(dim=0, keepdim=True)
        ratio = power[:1] / whole.clamp_min(1e-20) * (whole > AUDIBLE * whole.amax())
        masked = _steered(spectrum, trial, features, ratio)
        found[f"{method}, oracle ratio mask"] = float(AZIMUTHS[int(masked.argmax())])
    if isinstance(localizer, Localizer):
        directions = strongest(everything, line_of(trial.array))
        beams = listen(spectrum[0], trial.array, directions, features)
        found[MATCHER] = directions[int(likeness(localizer, beams, trial.query).argmax())]
    return found


def strongest(response: npt.NDArray[Any], line_deg: float | None = None) -> list[float]:
    """Find the highest peaks of a response over AZIMUTHS (A,): two, or one if there is no other.

    They are 15 degrees apart or more; the first is the maximum. Of microphones on a line, a
    direction and its mirror image beyond it are one.
    """
    rising = response >= np.maximum(np.roll(response, 1), np.roll(response, -1))
    places, found = fold_deg(AZIMUTHS, line_deg), list[int]()
    for index in np.argsort(-response, kind="stable").tolist():
        if rising[index] and (angular_error(places[index], places[found]) >= APART_DEG).all():
            found.append(index)
        if len(found) == BEAMS:
            break
    return [float(AZIMUTHS[index]) for index in found]


def listen(
    spectrum: Tensor, array: MicArray, azimuths_deg: list[float], features: FeatureRecipe
) -> Tensor:
    """Form a beam towards each azimuth: d^H x / d^H d, where a plane wave from there is d.

    Args:
        spectrum: complex (C, T, F); of ambisonics W, Y, Z, X of scale SN3D.
        array: that heard it.
        azimuths_deg: directions (K).
        features: analysis of the spectrum.

    Returns:
        Complex (K, T, F); a plane wave from the k-th azimuth is itself in the k-th.
    """
    heard = torch.stack([gains(array, azimuth, features) for azimuth in azimuths_deg])  # (K, F, C)
    size = bin_power(heard).sum(dim=-1)[:, None]
    return torch.einsum("kfc,ctf->ktf", heard.conj(), spectrum) / size


def likeness(localizer: Localizer, beams: Tensor, query: str) -> npt.NDArray[Any]:
    """Ask the network how much each beam sounds like the description.

    Args:
        localizer: whose network it is; all beams share one pass.
        beams: complex (K, T, F).
        query: the description.

    Returns:
        The pooled logits (K,).
    """
    power = bin_power(beams).to(localizer.device)
    picture = log_mel(mel_power(power, localizer.bands, localizer.features.mel_pool))
    net, text = localizer.checkpoint.net, localizer.checkpoint.text
    logits = net.logits(net.cells(picture), text.encode([query]).to(localizer.device))
    return np.asarray(net.pooled(logits, picture)[:, 0].cpu().numpy())


def _spectrum(signal: npt.NDArray[Any], sample_rate: int, features: FeatureRecipe) -> Tensor:
    samples = np.ascontiguousarray(resample(signal, sample_rate, features.sample_rate))
    return stft(torch.from_numpy(samples)[None], features.n_fft, features.hop)


def _steered(
    spectrum: Tensor, trial: Trial, features: FeatureRecipe, mask: Tensor | None
) -> npt.NDArray[Any]:
    """Steer over AZIMUTHS: (A,)."""
    if trial.array.foa is not None:
        response = steered_intensity(spectrum, len(AZIMUTHS), mask)
    else:
        mics = trial.array.positions
        response = srp_phat(spectrum, mics, AZIMUTHS, features.sample_rate, mask)
    return np.asarray(response[0].numpy())


def _peer(spectrum: Tensor, trial: Trial, features: FeatureRecipe) -> float:
    """Ask pyroomacoustics, as a check on our own steering."""
    import pyroomacoustics as pra

    flat = trial.array.positions[:, :2].T  # at elevation 0 the height of a microphone is no matter
    grid = np.deg2rad(np.arange(360.0))
    locator = pra.doa.SRP(flat, features.sample_rate, features.n_fft, azimuth=grid)
    frames = spectrum[0].numpy().transpose(0, 2, 1)  # (C, F, T)
    locator.locate_sources(frames, freq_range=[40.0, 0.49 * features.sample_rate])
    return float(wrap_deg(np.rad2deg(locator.azimuth_recon[0])))
