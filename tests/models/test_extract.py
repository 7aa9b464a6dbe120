import numpy as np
import pytest

from tselcli.acoustics.ambisonics import encode
from tselcli.acoustics.geometry import delays, parse_array
from tselcli.models import localizer as module
from tselcli.models.extract import extract

RATE = 16_000


def noise(seed, seconds=2.0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


def heard(source, azimuth_deg, array):
    if array.foa is not None:
        return (encode(azimuth_deg)[:, None] * source).astype(np.float32)
    hertz = np.fft.rfftfreq(len(source), 1 / RATE)
    late = delays(array.positions, [azimuth_deg])[0][:, None]
    wave = np.fft.irfft(np.fft.rfft(source) * np.exp(-2j * np.pi * hertz * late), len(source))
    return wave.astype(np.float32)


def level_db(signal):
    return 10 * np.log10(np.mean(np.square(signal)))


@pytest.mark.parametrize("name", ["square:0.12", "foa"])
@pytest.mark.parametrize("block_s", [20.0, 0.64])
def test_a_sound_alone_comes_through_unchanged(localizer, monkeypatch, name, block_s):
    monkeypatch.setattr(module, "BLOCK_S", block_s)
    array, source = parse_array(name), noise(0)
    audio = localizer.prepare(heard(source, 70, array), RATE, array)
    share = np.ones(localizer.picture(audio).shape[1:], np.float32)
    out = np.concatenate(list(extract(localizer, audio, array, share, 70)))
    assert out.shape == source.shape
    low, high = 100, 7500  # where mel bands are; beyond them the mask has nothing to say
    hertz = np.fft.rfftfreq(len(source), 1 / RATE)
    band = (hertz > low) & (hertz < high)
    difference = np.fft.rfft(out - source)[band]
    assert level_db(np.abs(difference)) < level_db(np.abs(np.fft.rfft(source)[band])) - 25


def test_what_the_mask_leaves_out_is_turned_away_from(localizer):
    """The rival sounds alone first, so that the beam knows it; then both at once."""
    array, target, rival = parse_array("square:0.12"), noise(0), noise(1)
    target[:RATE] = 0
    audio = localizer.prepare(heard(target, 70, array) + heard(rival, -60, array), RATE, array)
    share = np.ones(localizer.picture(audio).shape[1:], np.float32)
    share[: len(share) // 2] = 0
    # Seen a little beside it, a beam that turned from all it hears would turn from the target too.
    out = np.concatenate(list(extract(localizer, audio, array, share, 74)))
    late = slice(RATE + 2000, 2 * RATE - 2000)
    gain = out[late] @ target[late] / (target[late] @ target[late])
    rest = out[late] - gain * target[late]
    assert gain == pytest.approx(1, abs=0.15)
    assert level_db(rest) < level_db(rival[late]) - 8  # one microphone: 0 dB
    assert level_db(out[: RATE - 2000]) < level_db(rival) - 30  # the mask's floor
