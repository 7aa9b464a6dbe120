import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.features.directions import beam_agreement, cell_agreement
from tselcli.features.gcc import cross_phat, gcc_phat, phases, recording_gcc
from tselcli.features.srp import (
    MANY_MICS,
    SteeringTable,
    srp_of_blocks,
    srp_phat,
    steered_response,
    steering,
    turning,
    weighted_cross,
)
from tselcli.features.stft import mel_bands, spread_share, stft, stft_blocks

RATE, N_FFT, HOP = 16_000, 256, 100
GRID = np.arange(-180.0, 180.0, 10.0)
ARRAYS = ["circular:3:0.05", f"circular:{MANY_MICS}:0.05", "circular:11:0.1"]


def noise(channels, samples=40_000, batch=2):
    signal = np.random.default_rng(0).standard_normal((batch, channels, samples))
    signal[:, :, 5000:7000] = 0
    return torch.from_numpy(signal).float()


@pytest.mark.parametrize("samples", [1, 99, 100, 101, 40_000])
def test_blocks_of_frames_are_the_whole_spectrum(samples, monkeypatch):
    monkeypatch.setattr("tselcli.features.stft.AT_ONCE", 2**16 // torch.get_num_threads())
    signal = noise(4, samples)
    blocks = list(stft_blocks(signal, N_FFT, HOP))
    torch.testing.assert_close(torch.cat(blocks, dim=2), stft(signal, N_FFT, HOP))
    assert (len(blocks) > 2) == (samples == 40_000)


@pytest.mark.parametrize("name", ARRAYS)
def test_every_way_of_summing_pairs_is_the_plain_one(name):
    array = parse_array(name)
    spectrum = stft(noise(len(array.mics), 4000), N_FFT, HOP)
    weights = torch.rand(2, 3, *spectrum.shape[2:], generator=torch.Generator().manual_seed(0))
    plain = torch.einsum("bqtf,bptf->bqpf", weights.cfloat(), cross_phat(spectrum))
    summed = weighted_cross(phases(spectrum), weights)
    torch.testing.assert_close(summed, plain, atol=1e-4, rtol=1e-4)
    alike = weighted_cross(phases(spectrum))[:, 0]
    torch.testing.assert_close(alike, cross_phat(spectrum).sum(dim=2), atol=1e-4, rtol=1e-4)
    table = SteeringTable(array.positions, GRID, RATE, N_FFT)
    steer = steering(array.positions, GRID, RATE, N_FFT)
    wanted = steered_response(plain, steer)
    torch.testing.assert_close(table.respond(summed), wanted, atol=0.05, rtol=1e-4)
    torch.testing.assert_close(table.respond(summed, 3), wanted[..., ::3], atol=0.05, rtol=1e-4)


@pytest.mark.parametrize("name", ARRAYS)
def test_blocks_are_steered_like_the_whole(name):
    array = parse_array(name)
    signal = noise(len(array.mics))
    spectrum = stft(signal, N_FFT, HOP)
    plain = steered_response(
        cross_phat(spectrum).sum(dim=2), steering(array.positions, GRID, RATE, N_FFT)
    )
    pairs = len(array.mics) * (len(array.mics) - 1) // 2
    plain = plain / (pairs * spectrum.shape[2] * spectrum.shape[3])
    blocks = stft_blocks(signal, N_FFT, HOP)
    for found in (
        srp_of_blocks(blocks, array.positions, GRID, RATE),
        srp_phat(spectrum, array.positions, GRID, RATE),
    ):
        torch.testing.assert_close(found, plain, atol=1e-6, rtol=1e-3)


def test_blocks_are_correlated_like_the_whole():
    signal = noise(4)
    spectrum = stft(signal, N_FFT, HOP)
    mask = torch.rand(spectrum[:, 0].shape, generator=torch.Generator().manual_seed(0))
    plain = torch.fft.irfft(cross_phat(spectrum) * mask[:, None], n=N_FFT)
    plain = torch.roll(plain, 10, dims=-1)[..., :21]
    torch.testing.assert_close(gcc_phat(spectrum, 21, mask), plain, atol=1e-6, rtol=1e-5)
    whole = gcc_phat(spectrum, 21)
    torch.testing.assert_close(recording_gcc(signal, N_FFT, HOP, 21), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("pool", [1, 3])
def test_beams_agree_with_cells_as_pairs_do(name, pool):
    array = parse_array(name)
    spectrum = stft(noise(len(array.mics), batch=1), N_FFT, HOP)
    share = spread_share(mel_bands(RATE, N_FFT, 12))
    turned = turning(array.positions, GRID, RATE, N_FFT)
    steer = steering(array.positions, GRID, RATE, N_FFT)
    wanted = cell_agreement(cross_phat(spectrum)[0], steer, share, pool)
    found = beam_agreement(phases(spectrum)[0], turned, share, pool)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
