import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.features.directions import cell_agreement, onsets
from tselcli.features.gcc import cross_phat
from tselcli.features.srp import srp_phat, steering
from tselcli.features.stft import mel_bands, spread_share, stft

RATE, N_FFT, HOP = 16_000, 512, 256
ARRAY = parse_array("square:0.12")
GRID = np.arange(-180.0, 180.0, 4.0)


def plane_wave(azimuth_deg, samples=8000):
    """Noise that reaches every microphone after its own delay, by a turn of phase: (C, N)."""
    noise = np.fft.rfft(np.random.default_rng(0).standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    late = delays(ARRAY.positions, np.array([azimuth_deg]))[0]
    turned = noise * np.exp(-2j * np.pi * hertz * late[:, None])
    return torch.from_numpy(np.fft.irfft(turned, samples)).float()


def agreement_of(signal, pool=2):
    spectrum = stft(signal[None], N_FFT, HOP)
    share = spread_share(mel_bands(RATE, N_FFT, 32))
    steer = steering(ARRAY.positions, GRID, RATE, N_FFT)
    return cell_agreement(cross_phat(spectrum)[0], steer, share, pool), spectrum, share


@pytest.mark.parametrize("azimuth", [-176, -92, 0, 44, 120])
def test_every_cell_of_a_plane_wave_points_to_it(azimuth):
    agreement, _, _ = agreement_of(plane_wave(azimuth))
    inner = agreement[1:-1, 8:]  # the lowest bands are too wide to point
    assert (GRID[inner.argmax(dim=-1)] == azimuth).all()
    assert float(inner[..., azimuth == GRID].min()) > 0.9


def test_cells_add_up_to_the_steered_response():
    signal = plane_wave(30) + plane_wave(-100).flip(1)
    agreement, spectrum, share = agreement_of(signal, pool=1)
    mask = share.sum(dim=0).expand(1, spectrum.shape[2], -1)
    whole = srp_phat(spectrum, ARRAY.positions, GRID, RATE, mask)[0]
    weight = share.sum(dim=1)
    summed = (agreement * weight[:, None]).mean(dim=0).sum(dim=0) / weight.sum()
    torch.testing.assert_close(summed, whole, atol=1e-5, rtol=1e-4)


def test_pooled_frames_are_averages():
    signal = plane_wave(30)
    fine, _, _ = agreement_of(signal, pool=1)
    coarse, _, _ = agreement_of(signal, pool=3)
    assert len(coarse) == -(-len(fine) // 3)
    torch.testing.assert_close(coarse[1], fine[3:6].mean(dim=0), atol=1e-5, rtol=1e-4)


def test_what_dies_away_is_no_onset_and_what_begins_is():
    decay = 0.8
    power = torch.full((30, 2), 1e-8)
    power[5:, 0] = 0.7 ** torch.arange(25.0)  # dies faster than an echo may
    power[5:, 1] = 1.0  # goes on
    new, _ = onsets(power, decay)
    assert float(new[5].min()) > 0.99
    assert float(new[6:, 0].max()) == 0
    torch.testing.assert_close(new[6:, 1], torch.full((24,), 1 - decay))


def test_an_echo_hides_for_as_long_as_it_takes_to_decay():
    power = torch.full((10, 1), 1e-3)
    power[0] = 1.0
    new = onsets(power, 0.1)[0][:, 0]
    assert new[1:3].tolist() == [0, 0]
    assert float(new[5]) == pytest.approx(0.9, abs=0.01)


def test_onsets_of_blocks_are_those_of_the_whole():
    power = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) ** 4
    power[20:30] = 0
    whole, left = onsets(power, 0.9)
    first, carried = onsets(power[:17], 0.9)
    second, ended = onsets(power[17:], 0.9, carried)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(ended, left)


def test_onsets_follow_their_recursion():
    power = torch.rand(40, 2, generator=torch.Generator().manual_seed(1)) ** 4
    left = torch.zeros(2)
    for frame, new in enumerate(onsets(power, 0.8)[0]):
        torch.testing.assert_close(new, (1 - left / power[frame]).clamp_min(0))
        left = 0.8 * torch.maximum(left, power[frame])
