import numpy as np
import pytest

from tselcli.teachers.yamnet import log_mel_frames


def test_a_tone_lies_in_its_band_and_ten_times_the_sound_adds_a_log():
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 1000 * time)
    picture = log_mel_frames(tone)
    assert picture.shape == (98, 64)
    edges = np.linspace(*(1127 * np.log1p(np.array([125.0, 7500.0]) / 700)), 66)
    wanted = np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    assert set(picture.argmax(axis=1)) == {wanted}
    louder = log_mel_frames(10 * tone)[50, wanted] - picture[50, wanted]
    assert louder == pytest.approx(0.9908 * np.log(10), abs=1e-3)


def test_silence_and_short_sounds_fill_one_patch():
    silence = log_mel_frames(np.zeros(100))
    assert silence.shape == (96, 64)
    np.testing.assert_allclose(silence, np.log(0.001) * 0.9908 + 1.3994, rtol=1e-6)
