import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.features.directions import onsets
from tselcli.features.precedence import (
    BLOCK,
    DECAY,
    N_BANDS,
    OnsetHistogram,
    listening_window,
    votes,
)
from tselcli.features.stft import mel_bands, mel_power, reference_power, spread_share, stft

RATE = 16_000
ARRAY = parse_array("square:0.12")
GRID = np.arange(-180.0, 180.0, 4.0)
NOBODY = torch.zeros(0, 2, 1)


def arriving(*waves, samples=RATE):
    """Bursts of noise (azimuth, start in seconds, level) as plane waves: (C, N)."""
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    total = np.zeros((4, samples))
    for number, (azimuth, start, level) in enumerate(waves):
        burst = np.zeros(samples)
        first, length = round(start * RATE), RATE // 4
        noise = np.random.default_rng(number).standard_normal(length)
        burst[first : first + length] = level * noise * np.exp(-6 * np.arange(length) / length)
        late = delays(ARRAY.positions, np.array([azimuth]))[0]
        turned = np.fft.rfft(burst) * np.exp(-2j * np.pi * hertz * late[:, None])
        total += np.fft.irfft(turned, samples)
    return torch.from_numpy(total).float()


def counted(count, signal):
    """Of all sounds."""
    return count(signal)[0]


@pytest.fixture(scope="module")
def count():
    return OnsetHistogram(ARRAY.positions, GRID, RATE)


@pytest.mark.parametrize("azimuth", [-176, -92, 0, 44, 120])
def test_a_sound_counts_where_it_comes_from(count, azimuth):
    assert GRID[int(counted(count, arriving((azimuth, 0.2, 1.0))).argmax())] == azimuth


def test_two_sounds_count_both(count):
    histogram = counted(count, arriving((-100, 0.1, 1.0), (40, 0.6, 1.0)))
    highest = sorted(GRID[histogram.argsort(descending=True)[:2].numpy()])
    assert highest == [-100, 40]


def test_an_echo_a_little_later_hardly_counts(count):
    """As loud a repetition, 20 ms later, from elsewhere: steering alone could not tell."""
    direct = arriving((40, 0.2, 1.0))
    echo = torch.roll(arriving((-100, 0.2, 1.0)), RATE // 50, dims=1)
    histogram = counted(count, direct + 0.8 * echo)
    assert GRID[int(histogram.argmax())] == 40
    assert float(histogram[GRID == -100] / histogram.max()) < 0.25


def test_level_changes_nothing_but_the_scale(count):
    signal = arriving((40, 0.2, 1.0), (-80, 0.5, 0.7))
    one, other = counted(count, signal), counted(count, 1e-3 * signal)
    torch.testing.assert_close(other / other.max(), one / one.max(), rtol=1e-3, atol=1e-4)


def test_blocks_add_up(count, monkeypatch):
    """Also one of silence between two sounds."""
    signal = arriving((40, 0.2, 1.0), (-80, 0.7, 0.7))
    whole = counted(count, signal)
    monkeypatch.setattr("tselcli.features.precedence.BLOCK", 37)
    assert BLOCK > 400
    torch.testing.assert_close(counted(count, signal), whole, rtol=1e-4, atol=1e-6)


def test_directions_are_asked_of_few_frames_and_the_count_is_that_of_all(count, monkeypatch):
    """Two bursts; in the frames between, nothing begins."""
    signal = arriving((40, 0.2, 1.0), (-80, 0.6, 0.7))
    few = counted(count, signal)
    asked, agree = [], OnsetHistogram._agree

    def spied(self, spectrum, share):
        asked.append(spectrum.shape[2])
        return agree(self, spectrum, share)

    monkeypatch.setattr(OnsetHistogram, "_agree", spied)
    counted(count, signal)
    window, hop = listening_window(RATE)
    bands = mel_bands(RATE, window, N_BANDS)
    spectrum = stft(signal[None], window, hop, centred=False)
    power = mel_power(reference_power(spectrum), bands, 1)[0]
    every = agree(count, spectrum, spread_share(bands))
    nobody = torch.zeros(0, *power.shape)
    all_frames = votes(every, power, onsets(power, DECAY)[0], nobody)[0, : len(GRID)]
    torch.testing.assert_close(few, all_frames)
    assert 0 < sum(asked) < 0.3 * spectrum.shape[2]


def test_silence_and_less_than_a_window_count_nothing(count):
    assert not counted(count, torch.zeros(4, RATE)).any()
    assert not counted(count, torch.ones(4, 100)).any()


def test_a_mixed_cell_votes_less_than_a_pure_one():
    agreement = torch.zeros(2, 1, 90)
    agreement[0, 0, 10], agreement[1, 0, 40] = 1.0, 0.5
    histogram = votes(agreement, torch.ones(2, 1), torch.ones(2, 1), NOBODY)[0]
    assert float(histogram[40] / histogram[10]) == pytest.approx(0.5**4, rel=0.01)


def test_a_louder_cell_votes_more_but_not_in_proportion():
    agreement = torch.zeros(2, 1, 90)
    agreement[0, 0, 10] = agreement[1, 0, 40] = 1.0
    histogram = votes(agreement, torch.tensor([[1.0], [1e-4]]), torch.ones(2, 1), NOBODY)[0]
    assert float(histogram[40] / histogram[10]) == pytest.approx(0.1, rel=0.01)


def test_a_mask_counts_the_beginnings_of_its_sound_alone(count):
    signal = arriving((-100, 0.1, 1.0), (40, 0.6, 1.0))
    masks = torch.zeros(2, 10, 32)  # cells of 100 ms
    masks[0, :4], masks[1, 4:] = 1.0, 1.0
    everything, early, late = count(signal, masks, 0.1)
    assert GRID[int(early.argmax())] == -100
    assert GRID[int(late.argmax())] == 40
    torch.testing.assert_close(early + late, everything, rtol=1e-4, atol=1e-5)


def test_a_mask_of_half_the_bands_counts_less(count):
    signal = arriving((40, 0.2, 1.0))
    masks = torch.ones(2, 10, 32)
    masks[1, :, 16:] = 0.0
    everything, whole, low = count(signal, masks, 0.1)
    torch.testing.assert_close(whole, everything)
    assert 0.05 < float(low.sum() / whole.sum()) < 0.95
