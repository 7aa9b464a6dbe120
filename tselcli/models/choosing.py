"""From what the network heard to a choice among directions, for every query."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tselcli.models import choice, scenery
from tselcli.models.posterior import AZIMUTHS, peak_azimuth
from tselcli.models.readout import Readout
from tselcli.models.scoring import Heard, agreement_of_cells, voices

if TYPE_CHECKING:
    from tselcli.models.localizer import Localizer

Floats = scenery.Array


def choose(localizer: "Localizer", heard: Heard) -> list[choice.Choice]:
    """Choose among the directions that can be heard, for every query of a recording."""
    views = survey(localizer, heard)
    asked = [scenery.candidates(view, AZIMUTHS) for view in views]
    union = sorted({index for found in asked for index in found})
    columns = [[union.index(index) for index in found] for found in asked]
    readout = localizer.checkpoint.readout
    spectra, pool = localizer.spectra(heard.audio), localizer.features.mel_pool
    evidence = agreement_of_cells(spectra, heard, pool, union)
    blocks = ([part[..., some] for some in columns] for part in evidence)
    weights, place, before = map(_array, (readout.choice, readout.place, readout.before))
    offered = zip(views, asked, strict=True)
    odds = [choice.odds_before(view, found, AZIMUTHS, before) for view, found in offered]
    likely = [heard.new.new_tensor(choice.log_chances(one)) for one in odds]
    choices = []
    spoken = voices(blocks, heard, localizer.checkpoint, likely)
    for view, found, one in zip(views, asked, spoken, strict=True):
        table = choice.judged(view, one, found, AZIMUTHS)
        total = choice.matches(table, choice.source_odds(table, place)) @ weights
        choices.append(_chosen(view, found, table, total))
    return choices


def presence(readout: Readout, heard: Heard, choices: Sequence[choice.Choice]) -> list[float]:
    """Say how likely each described sound is there at all, [0, 1].

    What is said of where it comes from counts as well: a sound that is there is of a kind with
    its description. An estimate of the sound has no such kin, and its log-odds stand alone.
    """
    odds = heard.matched.odds
    if heard.matched.words is not None:
        kin = odds.new_tensor([choice.kin_of(one.log_chances, one.table) for one in choices])
        slope, offset, weight = readout.there
        odds = slope * odds + offset + weight * kin
    chances: list[float] = torch.sigmoid(odds).tolist()
    return chances


def survey(localizer: "Localizer", heard: Heard) -> list[scenery.Scenery]:
    """Look at a recording in all directions, for every query."""
    picture, logits, new = heard.picture, heard.matched.logits, heard.new
    readout = localizer.checkpoint.readout
    masked = readout.weights(logits, picture)[0] * new
    left, everything = choice.steering_weights(logits[0], picture[0], new, readout.energy)
    weights = torch.cat([masked, left, everything])
    rows = _array(heard.steering.response(localizer.spectra(heard.audio), weights))
    total = everything.sum().clamp_min(1e-12)
    shares = (left.sum(dim=(1, 2)) / total).tolist()
    likely = torch.sigmoid(logits[0]) ** choice.DESCRIBED_POWER
    begun = _array(heard.steering.onsets(heard.audio, likely))
    count = len(masked)
    return [
        scenery.Scenery(rows[q], rows[count + q], rows[-1], begun[0], begun[1 + q], shares[q])
        for q in range(count)
    ]


def _chosen(view: scenery.Scenery, found: list[int], table: Floats, total: Floats) -> choice.Choice:
    """Turn what speaks for each candidate into chances; the likeliest goes first."""
    # A line of microphones gives mirrored candidates: equal but for rounding, the front first.
    total = np.round(total, 2)
    order = np.argsort(-total, kind="stable")
    chances = np.exp(total - total.max())
    chances /= chances.sum()
    sources = (view.masked, view.against, view.everything)
    azimuths = np.array([peak_azimuth(sources, index) for index in found])
    posterior = choice.posterior_of(azimuths, chances, AZIMUTHS)
    ranked, logs = [found[k] for k in order], np.log(chances[order] + 1e-12)
    return choice.Choice(posterior, ranked, azimuths[order], logs, table[order], view.begun)


def _array(values: Tensor) -> Floats:
    return np.asarray(values.detach().double().cpu().numpy())
