import numpy as np
import pytest
import torch

from tselcli.acoustics.ambisonics import encode
from tselcli.acoustics.geometry import parse_array
from tselcli.features.intensity import (
    azimuth_votes,
    foa_agreement,
    foa_response,
    intensity,
    steered_intensity,
)
from tselcli.features.steering import FoaSteering, steering_of
from tselcli.features.stft import mel_bands, spread_share, stft
from tselcli.sections import FeatureRecipe

RATE, N_FFT, HOP = 16_000, 512, 256
GRID = np.arange(-180.0, 180.0)
SHARE = spread_share(mel_bands(RATE, N_FFT, 32))


def plane_wave(azimuth_deg, elevation_deg=0.0, samples=8000, seed=0):
    noise = np.random.default_rng(seed).standard_normal(samples)
    return torch.from_numpy(encode(azimuth_deg, elevation_deg)[:, None] * noise).float()


def spectrum_of(signal):
    return stft(signal[None], N_FFT, HOP)


@pytest.mark.parametrize("elevation", [-50.0, 0.0, 30.0])
@pytest.mark.parametrize("azimuth", [-180, -92, 0, 44, 90, 179])
def test_the_vector_of_a_plane_wave_is_its_direction(azimuth, elevation):
    vectors = intensity(spectrum_of(plane_wave(azimuth, elevation)))[0]
    _, y, z, x = encode(azimuth, elevation)
    wanted = torch.tensor([x, y, z]).float()[:, None, None].expand_as(vectors)
    torch.testing.assert_close(vectors, wanted, atol=1e-4, rtol=1e-4)


def test_opposite_waves_cancel_and_silence_is_zero():
    """The same sound from the left and the right: pressure, but no flow."""
    vectors = intensity(spectrum_of(plane_wave(90) + plane_wave(-90)))
    assert float(vectors.abs().max()) < 1e-4
    silent = spectrum_of(torch.zeros(4, 2000))
    assert not intensity(silent).any()
    assert float(steered_intensity(silent, 360).abs().max()) < 1e-9


def test_vectors_are_never_longer_than_one():
    noise = torch.randn(3, 4, 4000, generator=torch.Generator().manual_seed(0))
    length = intensity(stft(noise, N_FFT, HOP)).norm(dim=1)
    assert float(length.max()) <= 1 + 1e-5
    assert float(length.mean()) < 0.8


@pytest.mark.parametrize("azimuth", [-176, -92, 0, 44, 120])
def test_every_cell_of_a_plane_wave_points_to_it(azimuth):
    vectors = intensity(spectrum_of(plane_wave(azimuth)))[0]
    agreement = foa_agreement(vectors, GRID, SHARE, 2)
    assert agreement.shape == (-(-vectors.shape[1] // 2), 32, 360)
    assert (GRID[agreement[1:-1].argmax(dim=-1)] == azimuth).all()
    assert float(agreement[1:-1].amax(dim=-1).min()) > 0.99


def test_the_response_of_a_plane_wave_is_one_at_its_azimuth_and_a_bell_around():
    response = steered_intensity(spectrum_of(plane_wave(30)), 360)[0]
    assert GRID[int(response.argmax())] == 30
    assert float(response.max()) == pytest.approx(1, abs=1e-3)
    assert float(response[GRID == 30 + 20]) == pytest.approx(
        np.exp(40 * (np.cos(np.radians(20)) - 1)), abs=1e-3
    )


def test_two_sounds_that_share_the_bins_are_two_peaks():
    """A cosine pattern would have one, between them."""
    bands = torch.arange(257) // 8 % 2  # each has every other band
    first, second = spectrum_of(plane_wave(-20, seed=1)), spectrum_of(plane_wave(35, seed=2))
    response = steered_intensity(first * bands + second * (1 - bands), 360)[0]
    rising = (response > response.roll(1)) & (response > response.roll(-1)) & (response > 0.1)
    assert GRID[rising.numpy()].tolist() == [-20, 35]


@pytest.mark.parametrize("apart", [110, 150])
def test_two_noises_at_once_are_two_peaks_when_far_apart(apart):
    both = plane_wave(-20, seed=1) + plane_wave(apart - 20, seed=2)
    response = steered_intensity(spectrum_of(both), 360)[0]
    rising = (response > response.roll(1)) & (response > response.roll(-1)) & (response > 0.02)
    assert GRID[rising.numpy()] == pytest.approx([-20, apart - 20], abs=10)


def test_votes_of_blocks_add_up_and_weights_choose():
    signal = torch.cat([plane_wave(60), plane_wave(-120)], dim=1)
    vectors = intensity(spectrum_of(signal))[0]
    count = vectors.shape[1]
    weights = torch.zeros(2, *vectors.shape[1:])
    weights[0, : count // 2 - 2], weights[1, count // 2 + 2 :] = 1, 1
    whole = azimuth_votes(vectors, weights, 360)
    parts = [
        azimuth_votes(vectors[:, piece], weights[:, piece], 360)
        for piece in (slice(0, 17), slice(17, None))
    ]
    torch.testing.assert_close(sum(parts), whole, atol=1e-3, rtol=1e-4)
    response = foa_response(whole, weights.sum(dim=(1, 2)))
    assert GRID[response.argmax(dim=1).numpy()].tolist() == [60, -120]


def test_the_response_can_be_learnt_through():
    signal = plane_wave(10.3).requires_grad_(True)
    mask = torch.full((1, 32, 257), 0.5, requires_grad=True)
    steered_intensity(spectrum_of(signal), 360, mask).square().sum().backward()
    for gradient in (signal.grad, mask.grad):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_steering_hears_loudness_in_w_and_onsets_where_they_are():
    steering = steering_of(parse_array("foa-n3d"), GRID, 4, FeatureRecipe(), "cpu")
    assert isinstance(steering, FoaSteering)
    silence = torch.zeros(4, RATE // 4)
    signal = torch.cat([silence, plane_wave(-64), silence], dim=1)
    assert torch.equal(steering.reference(signal), signal[:1])
    histogram = steering.onsets(signal)[0]
    assert GRID[::4][int(histogram.argmax())] == -64
    assert not steering.onsets(silence).any()
