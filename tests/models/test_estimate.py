import numpy as np
import pytest
import soundfile
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.errors import DataError
from tselcli.models.estimate import estimate_logits, open_estimate

RATE = 16_000
SQUARE = parse_array("square:0.12")


def wave(seed, azimuth_deg, band_hz):
    """A plane wave of noise that beats ten times in two seconds."""
    count = 2 * RATE
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    rng = np.random.default_rng(seed)
    beats = (np.sin(2 * np.pi * (5 + seed) * np.arange(count) / RATE) > 0) + 0.01
    source = np.fft.rfft(rng.standard_normal(count) * beats)
    source[(hertz < band_hz[0]) | (hertz > band_hz[1])] *= 0.03
    late = delays(SQUARE.positions, [azimuth_deg])[0][:, None]
    return 0.1 * np.fft.irfft(source * np.exp(-2j * np.pi * hertz * late), count)


@pytest.mark.parametrize("gain", [1.0, 30.0])
@pytest.mark.parametrize("chosen", [0, 1])
def test_the_estimate_says_which_of_two_sounds_is_meant(localizer, tmp_path, chosen, gain):
    waves = [wave(0, 40, (200, 1500)), wave(1, -100, (1500, 6000))]
    soundfile.write(tmp_path / "one.wav", gain * waves[chosen][0], RATE, subtype="FLOAT")
    audio = localizer.prepare(np.sum(waves, axis=0).astype(np.float32), RATE, SQUARE)
    estimate = open_estimate(localizer, tmp_path / "one.wav", 0.0, None)
    (answer,) = localizer.ask(audio, ["one"], SQUARE, estimate=estimate)
    assert answer.azimuth_deg == pytest.approx((40, -100)[chosen], abs=2)
    assert answer.present


def test_an_estimate_louder_than_the_mixture_is_turned_down_to_it(localizer):
    audio = localizer.prepare(wave(0, 40, (200, 1500)).astype(np.float32), RATE, SQUARE)
    rival = localizer.prepare(wave(1, 40, (1500, 6000)).astype(np.float32), RATE, SQUARE)
    one, other = (estimate_logits(localizer, audio, gain * rival) for gain in (3, 300))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    quiet = estimate_logits(localizer, audio, 0.01 * rival)  # and one that is softer stays so
    assert quiet.mean() < one.mean() - 2


def test_an_estimate_of_another_time_is_refused(localizer, tmp_path):
    soundfile.write(tmp_path / "one.wav", wave(0, 40, (200, 1500))[0][:RATE], RATE)
    audio = localizer.prepare(wave(0, 40, (200, 1500)).astype(np.float32), RATE, SQUARE)
    estimate = open_estimate(localizer, tmp_path / "one.wav", 0.0, None)
    with pytest.raises(DataError, match=r"lasts 1\.00 s and the recording 2\.00 s"):
        localizer.ask(audio, ["one"], SQUARE, estimate=estimate)


def test_a_silent_estimate_is_told(localizer, tmp_path):
    soundfile.write(tmp_path / "one.wav", np.zeros(RATE), RATE)
    with pytest.raises(DataError, match=r"one\.wav: the estimate is silent"):
        open_estimate(localizer, tmp_path / "one.wav", 0.0, None)
