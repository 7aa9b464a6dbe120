import numpy as np
import pytest
import soundfile

from tselcli.corpora.audio import read_audio, resample
from tselcli.corpora.recording import Recording
from tselcli.errors import DataError


def write(path, rate=24_000, seconds=3.3):
    count = 2 if path.suffix == ".mp3" else 3
    noise = 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), count))
    soundfile.write(path, noise, rate)
    return path


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_pieces_in_any_order_are_those_of_the_whole_resampled(tmp_path, rate):
    path = write(tmp_path / "a.wav", rate)
    whole = resample(read_audio(path)[0], rate, 16_000)
    recording = Recording(path, rate=16_000)
    assert (recording.channels, recording.samples) == whole.shape
    for first in (0, 7001, 7000, 30_000, recording.samples - 500, 1):
        last = min(first + 9000, recording.samples)
        np.testing.assert_allclose(recording.read(first, last), whole[:, first:last], atol=1e-7)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_a_part_is_read_from_where_it_begins(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}")
    part = Recording(path, start_s=1.0, stop_s=2.5)
    expected = read_audio(path)[0][:, 24_000:60_000]
    for first in (20_000, 0, 10_000):
        np.testing.assert_allclose(
            part.read(first, first + 12_000), expected[:, first : first + 12_000], atol=1e-6
        )


def test_levels_are_of_each_channel(tmp_path):
    samples = np.zeros((50_000, 3), dtype=np.float32)
    samples[40_000, 1] = -0.25
    samples[30_000:31_000, 2] = 1.0
    soundfile.write(tmp_path / "a.wav", samples, 2000 * 8, subtype="FLOAT")
    levels = Recording(tmp_path / "a.wav").levels()
    assert levels.peak.tolist() == [0, 0.25, 1]
    assert levels.clipped == pytest.approx([0, 0, 999 / 50_000])


def test_a_file_that_ends_too_early_is_told_when_it_is_met(tmp_path):
    path = write(tmp_path / "a.flac", seconds=20)
    path.write_bytes(path.read_bytes()[:-400_000])
    recording = Recording(path)
    recording.read(0, 24_000)
    with pytest.raises(DataError, match=r"a\.flac: damaged"):
        recording.levels()


def test_a_file_that_cannot_even_be_begun_is_damaged(tmp_path):
    path = write(tmp_path / "a.flac", seconds=20)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"a\.flac: damaged"):
        Recording(path).levels()


def test_not_a_number_is_told_with_its_time(tmp_path):
    samples = np.zeros((48_000, 1), dtype=np.float32)
    samples[36_000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 24_000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"the first at 1\.500 s"):
        Recording(tmp_path / "a.wav", start_s=0.5).levels()
