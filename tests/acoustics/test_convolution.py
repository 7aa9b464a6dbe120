import numpy as np
import pytest
from scipy.signal import fftconvolve

from tselcli.acoustics.convolution import convolve

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "taps", "begin", "end"),
    [
        (5000, 300, 0, 5000),  # several blocks
        (5000, 300, 700, 4900),  # silence at both ends
        (5000, 300, 4999, 5000),
        (400, 3000, 0, 400),  # a response longer than the clip
        (5000, 1, 10, 4000),
        (1, 1, 0, 1),
    ],
)
def test_block_by_block_is_all_at_once(samples, taps, begin, end):
    clip, rirs = noise(samples), noise(3, taps)
    clip[:begin] = clip[end:] = 0
    expected = fftconvolve(clip[None].astype(float), rirs.astype(float), axes=-1)[:, :samples]
    heard = convolve(clip, rirs)
    assert heard.dtype == np.float32
    assert heard == pytest.approx(expected, abs=2e-6 * np.sqrt(taps) * np.abs(clip).max() * 10)
    assert not heard[:, :begin].any()


def test_silence_and_empty_responses_stay_silent():
    assert not convolve(np.zeros(100, dtype=np.float32), noise(2, 10)).any()
    assert not convolve(noise(100), noise(2, 0)).any()


def test_sound_is_put_where_it_is_wanted():
    clip, rirs, out = noise(900), noise(2, 50), np.zeros((2, 900), dtype=np.float32)
    assert convolve(clip, rirs, out) is out
    assert np.array_equal(out, convolve(clip, rirs))
