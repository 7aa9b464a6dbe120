import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.features.gcc import cross_phat, gcc_phat, pair_indices, phases
from tselcli.features.srp import srp_phat, steered_response, steering, weighted_cross
from tselcli.features.stft import stft

RATE = 16_000
N_FFT = 1024
SQUARE = parse_array("square:0.12")
GRID = np.arange(-180.0, 180.0)


def plane_wave(azimuth_deg, mics, seconds=0.5, seed=0):
    """White noise from far away: every channel is the source delayed by physics, (C, N)."""
    count = int(seconds * RATE)
    source = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    late = delays(mics, [azimuth_deg])[0]  # (C,)
    return np.fft.irfft(source * np.exp(-2j * np.pi * hertz * late[:, None]), count)


def spectrum_of(signal):
    return stft(torch.from_numpy(signal).float()[None], N_FFT, 320)


@pytest.mark.parametrize("azimuth", [-150, -30, 0, 45, 90, 179])
def test_gcc_peaks_where_physics_says(azimuth):
    late = delays(SQUARE.positions, [azimuth])[0]
    first, second = (index.numpy() for index in pair_indices(4))
    expected = (late[first] - late[second]) * RATE  # samples
    spectrum = spectrum_of(plane_wave(azimuth, SQUARE.positions))
    peaks = gcc_phat(spectrum, n_lags=96)[0].mean(dim=1).argmax(dim=-1) - 48
    assert np.abs(peaks.numpy() - expected).max() <= 0.5 + 1e-6


def test_gcc_equals_a_plain_correlation_of_whitened_signals():
    signal = plane_wave(20, SQUARE.positions)[:2, :N_FFT]
    spectrum = torch.fft.rfft(torch.from_numpy(signal))[None, :, None]
    white = np.fft.rfft(signal) / np.abs(np.fft.rfft(signal))
    first, second = np.fft.irfft(white, N_FFT)
    wanted = [np.dot(first, np.roll(second, lag)) for lag in range(-48, 48)]
    np.testing.assert_allclose(gcc_phat(spectrum, 96)[0, 0, 0], wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["square:0.12", "tetra:0.042", "circular:6:0.05"])
@pytest.mark.parametrize("azimuth", [-170, -60, 0, 37, 120])
def test_srp_finds_a_plane_wave(name, azimuth):
    array = parse_array(name)
    spectrum = spectrum_of(plane_wave(azimuth, array.positions))
    response = srp_phat(spectrum, array.positions, GRID, RATE)[0]
    assert abs(GRID[int(response.argmax())] - azimuth) <= 1
    assert float(response.max()) > 0.9


def test_a_line_of_microphones_cannot_tell_front_from_back():
    array = parse_array("linear:4:0.03")
    response = srp_phat(spectrum_of(plane_wave(30, array.positions)), array.positions, GRID, RATE)
    front, back = response[0, GRID == 30], response[0, GRID == 150]
    assert float(front - back) == pytest.approx(0, abs=1e-5)


def test_a_mask_chooses_between_two_sources():
    low, high = plane_wave(60, SQUARE.positions, seed=1), plane_wave(-100, SQUARE.positions, seed=2)
    edges = np.fft.rfftfreq(low.shape[1], 1 / RATE) < 2500
    low = np.fft.irfft(np.fft.rfft(low) * edges, low.shape[1])
    high = np.fft.irfft(np.fft.rfft(high) * ~edges, high.shape[1])
    spectrum = spectrum_of(low + high)
    below = (torch.linspace(0, RATE / 2, spectrum.shape[-1]) < 2400).float()
    for mask, azimuth in ((below, 60), (1 - below, -100)):
        weights = mask.expand(1, spectrum.shape[2], -1)
        response = srp_phat(spectrum, SQUARE.positions, GRID, RATE, weights)
        assert abs(GRID[int(response[0].argmax())] - azimuth) <= 2


def test_a_mask_of_ones_is_no_mask():
    spectrum = spectrum_of(plane_wave(10, SQUARE.positions))
    ones = torch.ones(spectrum[:, 0].shape)
    torch.testing.assert_close(gcc_phat(spectrum, 96, ones), gcc_phat(spectrum, 96))
    masked = srp_phat(spectrum, SQUARE.positions, GRID, RATE, ones)
    torch.testing.assert_close(masked, srp_phat(spectrum, SQUARE.positions, GRID, RATE))


def test_summing_before_steering_equals_steering_every_frame():
    spectrum = spectrum_of(plane_wave(75, SQUARE.positions))
    weights = torch.rand(1, 3, *spectrum.shape[2:], generator=torch.Generator().manual_seed(0))
    cross, steer = cross_phat(spectrum), steering(SQUARE.positions, GRID[::30], RATE, N_FFT)
    phase = phases(spectrum)
    slow = torch.einsum("bqtf,bptf,apf->bqa", weights.cfloat(), cross, steer).real
    fast = steered_response(weighted_cross(phase, weights), steer)
    torch.testing.assert_close(fast, slow, rtol=1e-3, atol=0.05)


def test_silence_gives_zeros_and_a_gradient():
    spectrum = torch.zeros(1, 4, 5, N_FFT // 2 + 1, dtype=torch.complex64)
    assert not gcc_phat(spectrum, 96).any()
    mask = torch.full((1, 5, N_FFT // 2 + 1), 0.5, requires_grad=True)
    srp_phat(spectrum, SQUARE.positions, GRID, RATE, mask).sum().backward()
    assert torch.isfinite(mask.grad).all()


def test_the_response_is_differentiable_in_the_mask():
    spectrum = spectrum_of(plane_wave(0, SQUARE.positions, 0.1)).cdouble()
    mask = torch.rand(1, *spectrum.shape[2:], dtype=torch.float64, requires_grad=True)
    front = srp_phat(spectrum, SQUARE.positions, np.array([0.0]), RATE, mask)
    (slope,) = torch.autograd.grad(front.sum(), mask)
    nudge = torch.zeros_like(mask)
    nudge[0, 3, 100] = 1e-3
    moved = srp_phat(spectrum, SQUARE.positions, np.array([0.0]), RATE, mask.detach() + nudge)
    change = float(moved - front.detach())
    assert change == pytest.approx(1e-3 * float(slope[0, 3, 100]), abs=1e-9, rel=1e-2)


def test_too_many_lags_are_refused():
    spectrum = torch.zeros(1, 2, 1, 33, dtype=torch.complex64)
    with pytest.raises(ValueError, match="n_lags=96 exceeds the 64 lags"):
        gcc_phat(spectrum, 96)


def test_agrees_with_pyroomacoustics():
    import pyroomacoustics as pra

    signal = plane_wave(61, SQUARE.positions)
    frames = spectrum_of(signal)[0].numpy().transpose(0, 2, 1)  # (C, F, T)
    theirs = pra.doa.SRP(
        SQUARE.positions[:, :2].T, RATE, N_FFT, azimuth=np.deg2rad(np.arange(360.0))
    )
    theirs.locate_sources(frames, freq_range=[100, 7000])
    mask = torch.zeros(1, frames.shape[2], frames.shape[1])
    mask[..., int(100 / RATE * N_FFT) : int(7000 / RATE * N_FFT)] = 1
    ours = srp_phat(spectrum_of(signal), SQUARE.positions, GRID, RATE, mask)[0]
    found = np.rad2deg(theirs.azimuth_recon[0])
    assert abs(GRID[int(ours.argmax())] - found) <= 1
