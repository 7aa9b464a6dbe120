"""Where a described sound is in every 100 ms: the choice among directions, made among ways.

The response under the mask is steered anew in every frame. Through each direction that the clip
as a whole offers (:mod:`tselcli.models.choice`) leads one best way, which rests or moves
(:mod:`tselcli.models.path`); the ways are then judged as directions are, by the mean logit of the
cells along them, and the best one is the track. A source at rest is the way that never turns, so
that a track says what the clip's answer says.

The constants were set on scenes of two sources, at rest and moving at 10 to 40 degrees per
second, from the validation split of the built-in sounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.stft import spread_mask
from tselcli.models import choice, scenery
from tselcli.models.cells import fine
from tselcli.models.path import Bins, Floats, Ways, certainty, gathered, hysteresis, refined
from tselcli.models.posterior import AZIMUTHS, LOBE_DEG
from tselcli.models.scoring import Heard, agreement_of_cells, voices

if TYPE_CHECKING:
    from tselcli.models.localizer import Localizer

FRAME_S = 0.1
GRID_DEG = 2
GRID = AZIMUTHS[::GRID_DEG]
REACH = 3  # bins from one frame to the next: up to 60 degrees per second
TURN_COST = 0.1  # of a bin
MOVE_COST = 0.5  # of a way that does not rest
MATCH_TRUST, MASKED_TRUST, BEGUN_TRUST = 2.7, 4.0, 1.1  # of what speaks for a way
CONTRAST = 0.7  # of the sum, in nats
BEGUN_LEAST = 0.06  # share of the highest bin of beginnings that a direction needs
MOST_WAYS = 5  # directions whose ways are looked at
WINDOW_FRAMES = 5  # that a frame's response is gathered from
GAIN = 20.0  # of the response, which is in [-1, 1], for a frame with enough sound
ENOUGH = 0.05  # share of the strongest frame's weight at which a frame counts half
ON_DB, OFF_DB = -15.0, -20.0  # of the described sound's energy, over its loudest frame


@dataclass(frozen=True)
class Track:
    """Where a described sound is, frame by frame.

    Attributes:
        query: the description.
        time_s: when each frame of 100 ms starts (T,).
        azimuth_deg: in [-180, 180), counter-clockwise, 0 = front (T,); where the sound pauses,
            the way between where it was and where it will be.
        confidence: probability that the sound, if it is heard, is within 10 degrees (T,).
        active: when it is heard (T,), if it is there at all, which is the presence of the answer;
            all True where a model cannot tell.
    """

    query: str
    time_s: npt.NDArray[Any]
    azimuth_deg: npt.NDArray[Any]
    confidence: npt.NDArray[Any]
    active: npt.NDArray[np.bool_]


def frame_count(samples: int, sample_rate: int) -> int:
    """Count the frames of 100 ms that a recording fills or begins."""
    return max(1, int(np.ceil(samples / (FRAME_S * sample_rate) - 1e-6)))


def frame_times(count: int) -> Floats:
    """Say when frames start, seconds (T,)."""
    return np.asarray(np.round(np.arange(count) * FRAME_S, 6))


def follow(
    localizer: "Localizer", heard: Heard, queries: Sequence[str], choices: list[choice.Choice]
) -> list[Track]:
    """Track every described sound.

    Args:
        localizer: whose network and steering it is.
        heard: the recording.
        queries: descriptions, Q.
        choices: among directions for the clip as a whole, Q.
    """
    features = localizer.features
    total = frame_count(heard.audio.shape[1], features.sample_rate)
    weights = localizer.checkpoint.readout.weights(heard.matched.logits, heard.picture)[0]
    weights = weights * heard.new
    responses, masses = _frame_responses(localizer, heard, weights, total)
    worths = [_worth(response, mass) for response, mass in zip(responses, masses, strict=True)]
    ways = [
        _ways(worth, response, _likely(chosen))
        for worth, response, chosen in zip(worths, responses, choices, strict=True)
    ]
    spoken = voices(_evidence_along(localizer, heard, ways), heard, localizer.checkpoint)
    trust = localizer.checkpoint.readout.choice.double().cpu().numpy()
    actives = _active(localizer, heard, total)
    tracks = []
    for q, query in enumerate(queries):
        fits = choice.fitting(spoken[q], trust)
        chances = _judge(ways[q], fits, responses[q], choices[q])
        best = int(chances.argmax())  # several ways may lead along the same source
        azimuth = refined(ways[q][best], responses[q], GRID_DEG)
        near = [scenery.away(GRID[way], GRID[ways[q][best]]) <= LOBE_DEG for way in ways[q]]
        sure = (chances @ np.array(near)) * certainty(
            worths[q], ways[q][best], LOBE_DEG // GRID_DEG
        )
        tracks.append(Track(query, frame_times(total), azimuth, sure, actives[q]))
    return tracks


def _frame_of(count: int, hop_s: float, first_s: float, total: int) -> Tensor:
    """Say to which frame of 100 ms belongs what stands every ``hop_s``: (count,)."""
    place = (first_s + torch.arange(count, dtype=torch.float64) * hop_s) / FRAME_S + 1e-6
    return place.floor().long().clamp(max=total - 1)


def _frame_responses(
    localizer: "Localizer", heard: Heard, weights: Tensor, total: int
) -> tuple[Floats, Floats]:
    """Steer every frame under every query's weights.

    Args:
        localizer: whose steering it is.
        heard: the recording.
        weights: of mel cells (Q, T', M).
        total: frames of 100 ms, T.

    Returns:
        Responses (Q, T, A) over GRID, not normalised, and the weight behind them (Q, T): the
        quotient is in [-1, 1].
    """
    features = localizer.features
    responses = np.zeros((len(weights), total, len(GRID)))
    masses = np.zeros((len(weights), total))
    first, hop_s = 0, features.hop / features.sample_rate
    for spectrum in localizer.spectra(heard.audio):
        count = spectrum.shape[2]
        frames = _frame_of(count, hop_s, first * hop_s, total).to(weights.device)
        start, stop = int(frames[0]), int(frames[-1]) + 1
        cell = first // features.mel_pool
        for q, cells in enumerate(weights[:, cell : cell - (-count // features.mel_pool)]):
            spread = spread_mask(cells, localizer.bands, features.mel_pool, count)  # (T, F)
            response, mass = heard.steering.by_frame(spectrum, spread, frames - start, GRID_DEG)
            responses[q, start:stop] += response.cpu().numpy()
            masses[q, start:stop] += mass.cpu().numpy()
        first += count
    return responses, masses


def _worth(response: Floats, mass: Floats) -> Floats:
    """Say what it is worth to be in a direction in a frame, nats (T, A).

    A window of frames with little of the sound says little, so that the way bridges pauses.
    """
    around, behind = gathered(response, WINDOW_FRAMES), gathered(mass, WINDOW_FRAMES)
    enough = ENOUGH * max(float(behind.max()), 1e-12)
    return np.asarray(GAIN * around / (behind + enough)[:, None])


def _likely(chosen: choice.Choice) -> list[int]:
    """Keep the likeliest directions; all but the first are some in which sounds begin."""
    first, *others = chosen.candidates
    seen = scenery.heights(chosen.begun, AZIMUTHS[chosen.candidates])[1:] >= BEGUN_LEAST
    return [first, *(k for k, here in zip(others, seen, strict=True) if here)][:MOST_WAYS]


def _ways(worth: Floats, response: Floats, candidates: list[int]) -> list[Bins]:
    """Find two ways through each candidate, at rest and the best there is: 2 K of (T,).

    The latter is there when the candidate answers most.
    """
    ways = Ways(worth, REACH, TURN_COST)
    windowed = gathered(response, WINDOW_FRAMES)
    found = []
    for index in candidates:
        bin_ = round(index / GRID_DEG) % len(GRID)
        found.append(np.full(len(worth), bin_))
        found.append(ways.through(int(windowed[:, bin_].argmax()), bin_))
    return found


def _evidence_along(
    localizer: "Localizer", heard: Heard, ways: list[list[Bins]]
) -> Iterator[list[Tensor]]:
    """Say how well every cell agrees with every way, block by block: Q of (T', M, K)."""
    features = localizer.features
    union = np.unique(np.concatenate([way for found in ways for way in found]))
    hop_s = features.hop / features.sample_rate
    columns = [
        torch.from_numpy(np.searchsorted(union, np.stack(found, axis=1))) for found in ways
    ]  # Q of (T, K)
    first, pool = 0, features.mel_pool
    spectra, directions = localizer.spectra(heard.audio), (union * GRID_DEG).tolist()
    for agreement in agreement_of_cells(spectra, heard, pool, directions):
        middle_s = first * hop_s + (pool - 1) / 2 * hop_s
        frames = _frame_of(len(agreement), pool * hop_s, middle_s, len(columns[0]))
        at = [column[frames][:, None].expand(-1, agreement.shape[1], -1) for column in columns]
        yield [agreement.gather(2, one.to(agreement.device)) for one in at]
        first += len(agreement) * pool


def _judge(ways: list[Bins], fits: Floats, response: Floats, chosen: choice.Choice) -> Floats:
    """Judge the ways of one query by what speaks for directions, summed along them: chances."""
    masked = np.array([response[np.arange(len(way)), way].sum() for way in ways])
    begun = [scenery.heights(chosen.begun, GRID[np.unique(way)]).sum() for way in ways]
    total = MATCH_TRUST * fits
    total = total + MASKED_TRUST * masked / max(float(masked.max()), 1e-9)
    total = total + BEGUN_TRUST * np.log(np.clip(begun, choice.LEAST_HEIGHT, 1.0))
    total = total - MOVE_COST * np.array([len(np.unique(way)) > 1 for way in ways])
    chances = np.exp(CONTRAST * np.round(total - total.max(), 2))
    return np.asarray(chances / chances.sum())


def _active(localizer: "Localizer", heard: Heard, total: int) -> npt.NDArray[np.bool_]:
    """Say in which frames each described sound is heard: (Q, T)."""
    features = localizer.features
    cell_s = features.mel_pool * features.hop / features.sample_rate
    power = torch.pow(10.0, 8 * (heard.picture[0] - 1))
    frames = _frame_of(len(power), cell_s, 0.0, total)
    active = []
    for logits in heard.matched.logits[0]:
        share = torch.sigmoid(fine(logits[None, None], len(power))[0, 0])
        energy = np.zeros(total)
        np.maximum.at(energy, frames.numpy(), (share * power).mean(dim=1).cpu().numpy())
        active.append(hysteresis(energy, ON_DB, OFF_DB))
    return np.stack(active)
