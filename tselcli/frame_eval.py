"""Tracks on scenes with known truth: what the systems say of each frame, their figures and plots.

Beside the model stand steering that ignores the query and, where the scenes are rendered here,
steering under the true ratio mask; both look at windows of half a second and answer always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.lines import fold_deg
from tselcli.corpora.audio import resample
from tselcli.dataset import Trial
from tselcli.features.steering import steering_of
from tselcli.features.stft import reference_power, stft
from tselcli.frame_metrics import FrameAnswer, FrameTruth, frame_chance, score_frames
from tselcli.models.path import gathered
from tselcli.models.posterior import AZIMUTHS
from tselcli.models.track import FRAME_S, WINDOW_FRAMES, Track
from tselcli.plots import Line, draw_tracks
from tselcli.sections import FeatureRecipe

AUDIBLE = 1e-6  # power of a bin over the loudest; below it nobody can say whose it is
IGNORANT = "query ignored"
MAX_PLOTS = 12


@dataclass(frozen=True)
class Followed:
    """One scene with its truth and the tracks of all systems, by name; the model comes first."""

    index: int
    query: str
    truth: FrameTruth
    answers: Mapping[str, FrameAnswer]

    def record(self) -> dict[str, Any]:
        """Give what a file of figures keeps of it."""
        return {
            "target_deg": self.truth.target_deg.round(1),
            "active": self.truth.active,
            "others_deg": self.truth.others_deg.T.round(1),
            "others_active": self.truth.others_active.T,
            "answers": {
                name: {"azimuth_deg": said.azimuth_deg.round(1), "active": said.active}
                for name, said in self.answers.items()
            },
        }


def follow_trial(
    name: str, track: Track, trial: Trial, features: FeatureRecipe, baselines: bool
) -> Followed:
    """Lay the model's track of a trial beside the truth and the baselines.

    Args:
        name: of the model.
        track: its answer.
        trial: the recording and its truth.
        features: analysis of the baselines, the same as the model's.
        baselines: whether there are any.
    """
    truth = trial.frames
    frames = np.minimum(np.arange(len(truth.active)), len(track.time_s) - 1)
    answers = {name: FrameAnswer(track.azimuth_deg[frames], track.active[frames])}
    if baselines:
        answers |= baseline_tracks(trial, features, len(frames))
    return Followed(trial.scene.index, trial.query, truth, answers)


@torch.no_grad()
def baseline_tracks(trial: Trial, features: FeatureRecipe, n_frames: int) -> dict[str, FrameAnswer]:
    """Follow a trial without a model: answers (T,), by name of the system."""
    foa, rate = trial.array.foa, trial.scene.sample_rate
    heard = trial.signal if foa is None else to_acn_sn3d(trial.signal, foa)
    spectrum = _spectrum(heard, rate, features)  # (C, T', F)
    method = "SRP-PHAT" if foa is None else "intensity"
    always = np.ones(n_frames, dtype=np.bool_)
    ignorant = _steered(spectrum, trial, features, n_frames, None)
    answers = {f"{method}, query ignored": FrameAnswer(ignorant, always)}
    if trial.images is not None:
        parts = trial.images if foa is None else trial.images[:, :1]  # W
        images = [_spectrum(one, rate, features) for one in parts]
        power = torch.stack([reference_power(one[None])[0] for one in images])  # (S, T', F)
        whole = power.sum(dim=0)
        ratio = power[0] / whole.clamp_min(1e-20) * (whole > AUDIBLE * whole.amax())
        masked = _steered(spectrum, trial, features, n_frames, ratio)
        answers[f"{method}, oracle ratio mask"] = FrameAnswer(masked, always)
    return answers


def _spectrum(signal: Any, sample_rate: int, features: FeatureRecipe) -> torch.Tensor:
    samples = np.ascontiguousarray(resample(signal, sample_rate, features.sample_rate))
    return stft(torch.from_numpy(samples), features.n_fft, features.hop)


def _steered(
    spectrum: torch.Tensor,
    trial: Trial,
    features: FeatureRecipe,
    n_frames: int,
    mask: torch.Tensor | None,
) -> Any:
    """Find the strongest direction around every frame: azimuths (T,)."""
    hop_s, count = features.hop / features.sample_rate, spectrum.shape[1]
    place = np.floor(np.arange(count) * hop_s / FRAME_S + 1e-6).astype(int)
    frames = torch.from_numpy(np.minimum(place, n_frames - 1))
    weights = torch.ones(spectrum.shape[1:]) if mask is None else mask
    steer = steering_of(trial.array, AZIMUTHS, 1, features, "cpu")
    steered = np.zeros((n_frames, len(AZIMUTHS)))
    found = steer.by_frame(spectrum[None], weights, frames, 1)[0]
    steered[: len(found)] = found.double().numpy()
    response = gathered(steered, WINDOW_FRAMES)
    return AZIMUTHS[response.argmax(axis=1)]


def frame_rows(scenes: Sequence[Followed], line_deg: float | None = None) -> list[dict[str, Any]]:
    """Score every system, the model first, then physics, then chance.

    Args:
        scenes: truth and answers.
        line_deg: of microphones in a line, whose front and back count alike; None is no line.
    """
    scenes = [_folded(scene, line_deg) for scene in scenes]
    truths = [scene.truth for scene in scenes]
    rows = []
    for system in scenes[0].answers:
        said = [scene.answers[system] for scene in scenes]
        rows.append({"system": system, **score_frames(said, truths, np.random.default_rng(0))})
    for system, figures in frame_chance(truths, line_deg is not None).items():
        rows.append({"system": f"chance: {system.replace('_', ' ')}", **figures})
    return rows


def _folded(scene: Followed, line_deg: float | None) -> Followed:
    truth = replace(
        scene.truth,
        target_deg=fold_deg(scene.truth.target_deg, line_deg),
        others_deg=fold_deg(scene.truth.others_deg, line_deg),
    )
    answers = {
        name: replace(said, azimuth_deg=fold_deg(said.azimuth_deg, line_deg))
        for name, said in scene.answers.items()
    }
    return replace(scene, truth=truth, answers=answers)


def draw_scene_tracks(folder: Path, scenes: Sequence[Followed]) -> None:
    """Draw the first scenes as Figure 4 of the founding paper does, each as PNG and SVG.

    Raises:
        DataError: the folder cannot be written.
    """
    for scene in scenes[:MAX_PLOTS]:
        truth = scene.truth
        lines = [
            Line("other source", azimuth, active, "rival")
            for azimuth, active in zip(truth.others_deg.T, truth.others_active.T, strict=True)
        ]
        lines.append(Line("described sound", truth.target_deg, truth.active, "truth"))
        for number, (system, said) in enumerate(scene.answers.items()):
            if number == 0:
                lines.append(Line(system, said.azimuth_deg, said.active))
            elif system.endswith(IGNORANT):
                lines.append(Line(system, said.azimuth_deg, None, "baseline"))
        for suffix in ("png", "svg"):
            draw_tracks(folder / f"scene-{scene.index:06d}.{suffix}", lines, scene.query)
