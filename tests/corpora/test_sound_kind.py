"""The finish: what goes in may be offset, clicking and of any level."""

import numpy as np
import pytest

from tselcli.corpora.sound_kind import STEPS, finish

RATE = 16_000


@pytest.mark.parametrize("gain", [1e-4, 1.0, 300.0])
def test_finish_makes_any_signal_fit_to_mix(gain):
    noisy = gain * (3 + np.random.default_rng(0).standard_normal(RATE))
    done = finish(noisy, RATE)
    assert done.dtype == np.float32
    assert np.abs(done).max() == pytest.approx(0.9, abs=1 / STEPS)
    assert abs(done.mean()) < 1e-4
    assert done[[0, -1]].tolist() == [0, 0]
    assert np.abs(done[:8]).max() < 0.05  # half a millisecond into the fade


def test_finish_keeps_the_shape_of_an_audible_tone():
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    middle = slice(RATE // 4, -RATE // 4)
    np.testing.assert_allclose(finish(tone, RATE)[middle], 0.9 * tone[middle], atol=0.06)


def test_finish_cuts_after_eight_seconds():
    assert len(finish(np.random.default_rng(0).standard_normal(10 * RATE), RATE)) == 8 * RATE


def test_finish_rounds_away_the_last_digits():
    signal = np.random.default_rng(0).standard_normal(4000)
    steps = finish(signal, RATE).astype(np.float64) * STEPS
    np.testing.assert_array_equal(steps, np.round(steps))
    np.testing.assert_array_equal(finish(signal * (1 + 1e-13), RATE), finish(signal, RATE))
