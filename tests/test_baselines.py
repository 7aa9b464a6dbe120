from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tselcli import baselines
from tselcli.acoustics.ambisonics import encode
from tselcli.acoustics.geometry import delays, parse_array
from tselcli.baselines import MATCHER, baseline_azimuths, likeness, listen, strongest
from tselcli.corpora.synthetic import synthesise
from tselcli.features.stft import stft
from tselcli.metrics import angular_error
from tselcli.models.localizer import Localizer
from tselcli.models.posterior import AZIMUTHS

RATE = 16_000
SQUARE, FOA = parse_array("square:0.12"), parse_array("foa")


@pytest.fixture(scope="module")
def localizer():
    return Localizer.load()


def noise(seed=0, seconds=0.5):
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE))


def plane_wave(sound, azimuth_deg, array):
    """A sound from far away as an array hears it: delayed by physics, or encoded (C, N)."""
    if array.foa is not None:
        return encode(azimuth_deg)[:, None] * sound
    turn = (
        np.fft.rfftfreq(len(sound), 1 / RATE) * delays(array.positions, [azimuth_deg])[0][:, None]
    )
    return np.fft.irfft(np.fft.rfft(sound) * np.exp(-2j * np.pi * turn), len(sound))


def spectrum_of(signal, features):
    return stft(torch.from_numpy(np.atleast_2d(signal)).float(), features.n_fft, features.hop)


@pytest.mark.parametrize("array", [SQUARE, FOA], ids=["square", "foa"])
@pytest.mark.parametrize("azimuth", [-180.0, -70.0, 0.0, 45.0])
def test_a_beam_passes_a_wave_from_its_direction_unchanged(localizer, array, azimuth):
    features, sound = localizer.features, noise()
    heard = spectrum_of(plane_wave(sound, azimuth, array), features)
    beam = listen(heard, array, [azimuth], features)[0, 2:-2, :-8]  # a delay at Nyquist is none
    wanted = spectrum_of(sound, features)[0, 2:-2, :-8]
    assert float((beam - wanted).abs().square().mean() / wanted.abs().square().mean()) < 1e-3


def test_a_cardioid_hears_half_of_the_side_and_nothing_of_the_back(localizer):
    features = localizer.features
    heard = spectrum_of(plane_wave(noise(), 30.0, FOA), features)
    front, side, back = listen(heard, FOA, [30.0, 120.0, -150.0], features).abs().mean(dim=(1, 2))
    assert float(side / front) == pytest.approx(0.5, abs=1e-3)
    assert float(back / front) == pytest.approx(0.0, abs=1e-3)


def test_delay_and_sum_weakens_a_wave_from_elsewhere_as_its_formula_says(localizer):
    features = localizer.features
    wave = spectrum_of(plane_wave(noise(), 100.0, SQUARE), features)
    toward, away = listen(wave, SQUARE, [100.0, -20.0], features).abs().square().mean(dim=1)
    late = np.diff(delays(SQUARE.positions, [100.0, -20.0]), axis=0)[0]
    hertz = np.linspace(0, RATE / 2, features.n_fft // 2 + 1)
    gain = np.abs(np.exp(2j * np.pi * hertz[:, None] * late).mean(axis=1)) ** 2
    found = (away / toward).numpy()
    assert np.median(np.abs(found - gain)[20:-20]) < 0.02


def bumps(*places):
    """A response with a bell of each (azimuth, height)."""
    return sum(h * np.exp(-0.5 * (angular_error(AZIMUTHS, a) / 3) ** 2) for a, h in places)


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        ([(10, 1.0), (-100, 0.6), (90, 0.8)], [10, 90]),
        ([(175, 1.0), (-175, 0.9), (60, 0.3)], [175, 60]),  # 10 degrees across the seam
        ([(175, 1.0), (-170, 0.9), (60, 0.3)], [175, -170]),  # 15
        ([(-180, 1.0), (179, 0.5), (0, 0.2)], [-180, 0]),
    ],
)
def test_the_two_strongest_directions_are_apart(places, wanted):
    assert strongest(bumps(*places)) == pytest.approx(wanted, abs=1)


def test_one_direction_is_all_where_no_other_is_heard():
    assert strongest(bumps((33, 1.0)) + 0.01 * np.cos(np.deg2rad(AZIMUTHS - 33))) == [33.0]


def test_a_direction_and_its_mirror_image_are_one():
    """Microphones along y hear 30 and 150 degrees alike, and -60 and -120."""
    mirrored = bumps((30, 1.0), (150, 1.0), (-60, 0.5), (-120, 0.5))
    assert {abs(np.sin(np.deg2rad(a))).round(3) for a in strongest(mirrored, 90.0)} == {0.5, 0.866}
    assert sorted(strongest(mirrored)) == [30.0, 150.0]


def test_each_beam_is_judged_as_if_it_were_alone(localizer):
    features = localizer.features
    sounds = np.stack([synthesise("siren", 1, RATE)[:RATE], noise(2, 1.0)]).astype(np.float32)
    beams = spectrum_of(sounds, features)
    together = likeness(localizer, beams, "a siren")
    alone = [likeness(localizer, beam[None], "a siren")[0] for beam in beams]
    assert together == pytest.approx(alone, abs=1e-3)
    audio = torch.from_numpy(sounds[:1])
    logits = localizer.match(localizer.picture(audio), ["a siren"]).logits
    pooled = localizer.checkpoint.net.pooled(logits, localizer.picture(audio))
    assert together[0] == pytest.approx(float(pooled), abs=1e-3)


@pytest.mark.parametrize("array", [SQUARE, FOA], ids=["square", "foa"])
def test_the_matcher_points_at_the_beam_that_fits_better(localizer, array, monkeypatch):
    sides = {"a": 40.0, "b": -110.0}
    signal = sum(plane_wave(noise(s), a, array) for s, a in enumerate(sides.values()))
    scene = SimpleNamespace(sample_rate=RATE)
    trial = SimpleNamespace(
        scene=scene, array=array, signal=signal.astype(np.float32), images=None, query="b"
    )
    asked = []

    def fits(localizer, beams, query):
        asked.append(query)
        return np.array([0.0, 1.0][: len(beams)])

    monkeypatch.setattr(baselines, "likeness", fits)
    found = baseline_azimuths(trial, localizer)
    first = found[next(iter(found))]
    assert asked == ["b"]
    assert angular_error(found[MATCHER], first) >= 15
    monkeypatch.setattr(baselines, "likeness", lambda *_: np.array([1.0, 0.0]))
    assert baseline_azimuths(trial, localizer)[MATCHER] == first


def test_a_model_without_masks_has_no_matcher(localizer):
    signal = plane_wave(noise(), 10.0, SQUARE).astype(np.float32)
    scene = SimpleNamespace(sample_rate=RATE)
    trial = SimpleNamespace(scene=scene, array=SQUARE, signal=signal, images=None, query="b")
    direct = SimpleNamespace(features=localizer.features)
    found = baseline_azimuths(trial, direct)
    assert set(found) == {"SRP-PHAT, query ignored", "SRP-PHAT of pyroomacoustics"}
    assert angular_error(list(found.values()), 10.0).max() <= 1
