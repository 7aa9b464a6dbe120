import struct

import numpy as np
import pytest
import soundfile

from tselcli.corpora.audio import MAX_SAMPLES, read_audio, resample, write_audio
from tselcli.errors import DataError

RATE = 16_000


@pytest.fixture
def noise():
    return (0.1 * np.random.default_rng(0).standard_normal((2, RATE))).astype(np.float32)


def sine(frequency, rate, seconds=1.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_reads_every_format_with_channels_in_order(tmp_path, suffix):
    """Left 440 Hz, right 1 kHz: the order of the channels survives every codec."""
    left, right = 0.5 * sine(440, RATE), 0.5 * sine(1000, RATE)
    path = tmp_path / f"two{suffix}"
    soundfile.write(path, np.stack([left, right], axis=1), RATE)
    signal, rate = read_audio(path)
    assert rate == RATE
    assert signal.dtype == np.float32
    assert signal.shape == (2, RATE)
    loudest = np.abs(np.fft.rfft(signal)).argmax(axis=1)  # bins of 1 Hz
    np.testing.assert_allclose(loudest, [440, 1000], atol=2)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_written_file_reads_back_within_half_a_step(tmp_path, noise, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, noise, RATE)
    signal, rate = read_audio(path)
    assert rate == RATE
    assert np.abs(signal - noise).max() <= 1 / 2**15
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no temporary file stays


def test_writing_twice_gives_the_same_bytes(tmp_path, noise):
    for name in ("a.flac", "b.flac"):
        write_audio(tmp_path / name, noise, RATE)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_part_is_that_part_of_the_whole(tmp_path, noise):
    path = tmp_path / "a.flac"
    write_audio(path, noise, RATE)
    whole, _ = read_audio(path)
    np.testing.assert_array_equal(read_audio(path, 0.25, 0.5)[0], whole[:, 4000:8000])
    np.testing.assert_array_equal(read_audio(path, 0.75)[0], whole[:, 12000:])
    np.testing.assert_array_equal(read_audio(path, 0.75, 99.0)[0], whole[:, 12000:])
    with pytest.raises(DataError, match=r"ends at 1\.00 s, before 1 s"):
        read_audio(path, 1.0)
    with pytest.raises(ValueError, match="0 <= start < stop"):
        read_audio(path, 0.5, 0.5)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_cut_file_is_refused(tmp_path, noise, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise.T, RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut short|damaged"):
        read_audio(path)


def test_wav_of_unknown_length_from_a_pipe_is_whole(tmp_path, noise):
    path = tmp_path / "pipe.wav"
    soundfile.write(path, noise.T, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert read_audio(path)[0].shape == (2, RATE)


def test_hostile_header_allocates_nothing(tmp_path, noise):
    """A FLAC header may promise 2**36 samples in a few bytes; it is refused before reading."""
    path = tmp_path / "bomb.flac"
    soundfile.write(path, noise.T, RATE)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the four highest bits of STREAMINFO's number of samples
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"more than the limit of {MAX_SAMPLES}"):
        read_audio(path)


def test_limit_counts_the_part_that_is_read(tmp_path, noise):
    path = tmp_path / "a.wav"
    write_audio(path, noise, RATE)
    assert read_audio(path, max_samples=2 * RATE)[0].shape == (2, RATE)
    with pytest.raises(DataError, match="2 channels x 16000 samples are more than the limit"):
        read_audio(path, max_samples=2 * RATE - 1)
    assert read_audio(path, 0.0, 0.5, max_samples=2 * RATE - 1)[0].shape == (2, RATE // 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.wav", b"", "empty file"),
        ("words.wav", b"these are words\n" * 100, "not audio"),
        ("zeros.flac", bytes(5000), "not audio"),
        ("notes.txt", b"words", "unknown kind of audio '.txt'"),
    ],
)
def test_what_is_no_audio_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_audio(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_folder_and_endless_names(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(DataError, match="no such file"):
        read_audio(tmp_path / ("x" * 5000 + ".wav"))
    with pytest.raises(DataError, match="is a folder"):
        read_audio(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_broken_samples_are_found_and_placed(tmp_path, noise, bad):
    path = tmp_path / "a.wav"
    noise[1, 8000] = bad
    soundfile.write(path, noise.T, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"1 samples are NaN or infinite, the first at 0\.500 s"):
        read_audio(path)


@pytest.mark.parametrize("rate", [4_000, 200_000])
def test_unusual_rates_are_refused(tmp_path, noise, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise.T, rate)
    with pytest.raises(DataError, match=f"sample rate {rate} Hz is outside"):
        read_audio(path)


def test_file_without_samples_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((0, 2)), RATE)
    with pytest.raises(DataError, match="holds no samples"):
        read_audio(path)


@pytest.mark.parametrize(("rate", "new_rate"), [(44_100, 16_000), (16_000, 48_000)])
def test_resampled_sine_is_the_sine_at_the_new_rate(rate, new_rate):
    slower = resample(np.stack([sine(440, rate), sine(1000, rate)]), rate, new_rate)
    expected = np.stack([sine(440, new_rate), sine(1000, new_rate)])
    assert slower.dtype == np.float32
    assert slower.shape == expected.shape
    middle = slice(new_rate // 10, -new_rate // 10)  # away from the filter's ends
    np.testing.assert_allclose(slower[:, middle], expected[:, middle], atol=2e-3)


def test_resampling_removes_what_would_alias(noise):
    high = resample(sine(7000, 16_000), 16_000, 8_000)
    assert np.sqrt(np.mean(high[800:-800] ** 2)) < 0.01
    assert resample(noise, RATE, RATE) is noise
    with pytest.raises(ValueError, match="must be positive"):
        resample(noise, RATE, 0)


@pytest.mark.parametrize("peak", [1.01, np.nan])
def test_write_refuses_what_would_clip(tmp_path, noise, peak):
    noise[0, 0] = peak
    with pytest.raises(ValueError, match="above 1"):
        write_audio(tmp_path / "a.flac", noise, RATE)
    assert list(tmp_path.iterdir()) == []


def test_new_file_takes_the_place_of_the_old_one_whole(tmp_path, noise):
    """A second name of the old file keeps the old sound: nothing is written into it."""
    path, second_name = tmp_path / "a.flac", tmp_path / "old.flac"
    write_audio(path, noise, RATE)
    second_name.hardlink_to(path)
    write_audio(path, -noise, RATE)
    np.testing.assert_allclose(read_audio(second_name)[0], noise, atol=1 / 2**15)
    np.testing.assert_allclose(read_audio(path)[0], -noise, atol=1 / 2**15)


def test_failed_write_keeps_the_old_file(tmp_path, noise):
    path = tmp_path / "a.flac"
    write_audio(path, noise, RATE)
    before = path.read_bytes()
    with pytest.raises(DataError, match="cannot be written"):
        write_audio(path, np.tile(noise, (5, 1)), RATE)  # FLAC holds eight channels
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]


def test_write_names_what_it_cannot_write(tmp_path, noise):
    with pytest.raises(DataError, match=r"use \.flac or \.wav"):
        write_audio(tmp_path / "a.mp3", noise, RATE)
    with pytest.raises(DataError, match="no such folder"):
        write_audio(tmp_path / "none" / "a.wav", noise, RATE)
    with pytest.raises(ValueError, match="channels, samples"):
        write_audio(tmp_path / "a.wav", noise[0], RATE)
