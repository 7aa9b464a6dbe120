import numpy as np
import pytest
import scipy.signal
import torch

from tselcli.features.stft import (
    frames_of,
    log_mel,
    mel_bands,
    mel_power,
    reference_power,
    spread_mask,
    spread_share,
    stft,
)

RATE = 16_000


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape)).float()


def test_stft_equals_scipy():
    signal = noise(4800)
    window = scipy.signal.get_window("hann", 1024)
    theirs = scipy.signal.ShortTimeFFT(window, hop=320, fs=RATE, scale_to=None)
    wanted = theirs.stft(signal.double().numpy(), p0=0, p1=15, k_offset=0).T
    # scipy's window is centred a hop later in phase: compare magnitudes, and one phase ramp.
    np.testing.assert_allclose(stft(signal, 1024, 320)[:15].abs(), np.abs(wanted), atol=2e-3)


def test_a_tone_stands_in_its_bin():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    power = stft(tone, 1024, 320)[10].abs()
    assert int(power.argmax()) == 1000 * 1024 // RATE


def test_uncentred_frames_of_a_padded_signal_are_the_centred_ones():
    signal = noise(2, 5000)
    padded = torch.nn.functional.pad(signal, (512, 512))
    whole = stft(padded, 1024, 320, centred=False)
    torch.testing.assert_close(whole, stft(signal, 1024, 320))


def test_reference_power_does_not_depend_on_the_order_of_microphones():
    spectrum = stft(noise(1, 4, 3200), 1024, 320)
    torch.testing.assert_close(
        reference_power(spectrum), reference_power(spectrum[:, [2, 0, 3, 1]])
    )


def test_mel_bands_cover_and_pool_keeps_the_mean():
    bands = mel_bands(RATE, 1024, 64)
    assert (bands.sum(dim=0) > 0).all()
    power = torch.rand(1, 11, 513)
    pooled = mel_power(power, bands, 2)
    assert pooled.shape == (1, 6, 64)
    torch.testing.assert_close(pooled[:, 0], (power[:, :2] @ bands).mean(dim=1))
    torch.testing.assert_close(pooled[:, 5], (power[:, 10] @ bands) / 2)  # padded with silence


@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
def test_the_picture_does_not_depend_on_the_level(gain):
    mel = torch.rand(2, 20, 64) + 0.01
    torch.testing.assert_close(log_mel(gain * mel), log_mel(mel), rtol=1e-4, atol=1e-4)


def test_the_picture_spans_eighty_decibels():
    mel = torch.full((1, 3, 4), 1.0)
    mel[0, 1] = 1e-4
    mel[0, 2] = 0
    torch.testing.assert_close(
        log_mel(mel)[0, :, 0], torch.tensor([1.0, 0.5, 0.0]), atol=1e-3, rtol=0
    )


def test_silence_is_a_black_picture():
    assert not log_mel(torch.zeros(1, 5, 8)).any()


def test_frames_of_cells_are_theirs_and_end_with_the_recording():
    cells = torch.tensor([False, True, False, True])
    assert frames_of(cells, 2, 8).tolist() == [2, 3, 6, 7]
    assert frames_of(cells, 2, 7).tolist() == [2, 3, 6]
    assert frames_of(cells[:1], 3, 2).tolist() == []


def test_spreading_keeps_a_flat_mask_flat():
    bands = mel_bands(RATE, 1024, 64)
    spread = spread_mask(torch.full((1, 5, 64), 0.3), bands, 2, 9)
    covered = bands.sum(dim=1) > 0
    assert spread.shape == (1, 9, 513)
    torch.testing.assert_close(spread[..., covered], torch.full((1, 9, int(covered.sum())), 0.3))
    assert not spread[..., ~covered].any()


def test_a_band_spreads_to_its_own_frequencies():
    bands = mel_bands(RATE, 1024, 64)
    mask = torch.zeros(1, 1, 64)
    mask[..., 40] = 1
    spread = spread_mask(mask, bands, 1, 1)[0, 0]
    assert set(torch.nonzero(spread)[:, 0].tolist()) <= set(
        torch.nonzero(bands[:, 40])[:, 0].tolist()
    )
    torch.testing.assert_close(spread_share(bands).sum(dim=0).amax(), torch.tensor(1.0))
