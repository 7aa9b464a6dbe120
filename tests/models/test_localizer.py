from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from tselcli.acoustics.ambisonics import encode, from_acn_sn3d
from tselcli.acoustics.geometry import delays, parse_array
from tselcli.errors import DataError
from tselcli.features import stft as transform
from tselcli.features.srp import srp_phat
from tselcli.features.stft import stft
from tselcli.features.streamed import Streamed
from tselcli.models import choosing, hearing, scoring
from tselcli.models import localizer as module
from tselcli.models.losses import audible
from tselcli.models.posterior import AZIMUTHS, find_peaks
from tselcli.models.scoring import voices

RATE = 16_000
SQUARE = parse_array("square:0.12")


def plane_wave(azimuth_deg, array=SQUARE, seconds=1.0, rate=RATE):
    count = int(seconds * rate)
    source = np.fft.rfft(np.random.default_rng(0).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    late = delays(array.positions, [azimuth_deg])[0]
    wave = np.fft.irfft(source * np.exp(-2j * np.pi * hertz * late[:, None]), count)
    return (0.1 * wave).astype(np.float32)


def ambisonics(azimuth_deg, array, seconds=1.0):
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
    wave = encode(azimuth_deg, 10.0)[:, None] * noise
    return from_acn_sn3d(wave.astype(np.float32), array.foa)


@pytest.mark.parametrize("name", ["square:0.12", "tetra:0.042", "circular:6:0.05"])
@pytest.mark.parametrize("azimuth", [-135.0, 0.0, 62.0])
def test_one_source_is_found_whatever_the_query_and_the_array(localizer, name, azimuth):
    array = parse_array(name)
    answer = localizer.locate(plane_wave(azimuth, array), RATE, ["anything"], array)[0]
    assert abs((answer.azimuth_deg - azimuth + 180) % 360 - 180) < 1.0
    assert answer.posterior.sum() == pytest.approx(1, abs=1e-4)
    assert 0 <= answer.confidence <= 1
    assert 0 <= answer.presence <= 1


@pytest.mark.parametrize("name", ["foa", "foa-n3d", "foa-fuma"])
@pytest.mark.parametrize("azimuth", [-135.0, -20.5, 0.0, 62.0, 179.0])
def test_one_source_is_found_in_every_convention_of_ambisonics(localizer, name, azimuth):
    array = parse_array(name)
    answer = localizer.locate(ambisonics(azimuth, array), RATE, ["anything"], array)[0]
    assert abs((answer.azimuth_deg - azimuth + 180) % 360 - 180) < 1.0
    assert answer.posterior.sum() == pytest.approx(1, abs=1e-4)


def test_the_picture_of_ambisonics_is_that_of_a_microphone_at_their_place(localizer):
    array, alone = parse_array("foa-fuma"), parse_array("linear:2:0.1")
    signal = ambisonics(40, array)
    w = np.sqrt(np.float32(2)) * signal[:1]
    audio = localizer.prepare(signal, RATE, array)
    picture = localizer.picture(localizer.steering(array).reference(audio))
    plain = localizer.prepare(np.concatenate([w, w]), RATE, alone)
    torch.testing.assert_close(picture, localizer.picture(plain), rtol=1e-4, atol=1e-4)


def response_of(localizer, audio, weights, array):
    """Steer a recording under weights of its mel cells."""
    return localizer.steering(array).response(localizer.spectra(audio), weights)


def test_blocks_of_ambisonics_change_nothing_but_the_networks_context(localizer, monkeypatch):
    array = parse_array("foa")
    signal = np.concatenate([ambisonics(40, array, 1.7), ambisonics(-100, array, 2.2)], axis=1)
    audio = localizer.prepare(signal, RATE, array)
    weights = torch.rand(2, 98, 64, generator=torch.Generator().manual_seed(0))
    whole = response_of(localizer, audio, weights, array)
    cells = localizer.steering(array).agreement(localizer.spectra(audio), [80, 220])
    monkeypatch.setattr(module, "BLOCK_S", 0.7)
    torch.testing.assert_close(response_of(localizer, audio, weights, array), whole)
    again = localizer.steering(array).agreement(localizer.spectra(audio), [80, 220])
    torch.testing.assert_close(again, cells)


def test_three_channels_are_no_ambisonics(localizer):
    with pytest.raises(DataError, match=r"3 channel\(s\).*foa has 4 ambisonic channels; .*--array"):
        localizer.locate(np.ones((3, RATE), np.float32), RATE, ["noise"], parse_array("foa"))


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_sampling_rate_gives_the_same_direction(localizer, rate):
    answer = localizer.locate(plane_wave(40, rate=rate), rate, ["noise"], SQUARE)[0]
    # Half of the band, at 8 kHz, makes a broader peak.
    assert answer.azimuth_deg == pytest.approx(40, abs=2.5 if rate == 8000 else 1)


def test_blocks_change_nothing_but_the_networks_context(localizer, monkeypatch):
    signal = np.concatenate([plane_wave(40, seconds=1.7), plane_wave(-100, seconds=2.2)], axis=1)
    audio = localizer.prepare(signal, RATE, SQUARE)
    whole = localizer.picture(audio)
    weights = torch.rand(2, *whole.shape[1:], generator=torch.Generator().manual_seed(0))
    response = response_of(localizer, audio, weights, SQUARE)
    monkeypatch.setattr(module, "BLOCK_S", 0.7)
    assert len(list(localizer.spectra(audio))) > 3
    torch.testing.assert_close(localizer.picture(audio), whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        response_of(localizer, audio, weights, SQUARE), response, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", ["square:0.12", "foa-fuma"])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_file_read_in_blocks_is_answered_like_the_whole(
    localizer, monkeypatch, tmp_path, name, rate
):
    array = parse_array(name)
    if array.foa is None:
        signal = np.concatenate([plane_wave(a, array, 1.3, rate) for a in (40, -100)], axis=1)
    else:
        signal = np.concatenate([ambisonics(a, array, 1.3) for a in (40, -100)], axis=1)
    soundfile.write(tmp_path / "a.wav", signal.T, rate, subtype="FLOAT")
    monkeypatch.setattr(module, "BLOCK_S", 0.7)
    whole = localizer.locate(signal, rate, ["a dog", "rain"], array, track=True)
    monkeypatch.setattr(hearing, "WHOLE_SAMPLES", 0)
    monkeypatch.setattr(scoring, "MAX_CELLS", 1)  # a query at a time
    audio = localizer.open(tmp_path / "a.wav", array)
    assert isinstance(audio, Streamed)
    for one, other in zip(
        localizer.ask(audio, ["a dog", "rain"], array, track=True), whole, strict=True
    ):
        np.testing.assert_allclose(one.posterior, other.posterior, atol=1e-4)
        assert one.presence == pytest.approx(other.presence, abs=1e-5)
        np.testing.assert_allclose(one.track.azimuth_deg, other.track.azimuth_deg, atol=1e-3)
        np.testing.assert_allclose(one.track.confidence, other.track.confidence, atol=1e-4)


def test_a_part_of_a_file_is_answered_as_if_it_were_all(localizer, monkeypatch, tmp_path):
    signal = np.concatenate([plane_wave(40), plane_wave(-100)], axis=1)
    soundfile.write(tmp_path / "a.wav", signal.T, RATE, subtype="FLOAT")
    for size in (hearing.WHOLE_SAMPLES, 0):
        monkeypatch.setattr(hearing, "WHOLE_SAMPLES", size)
        audio = localizer.open(tmp_path / "a.wav", SQUARE, start_s=1.0, stop_s=2.0)
        answer = localizer.ask(audio, ["rain"], SQUARE)[0]
        assert answer.azimuth_deg == pytest.approx(-100, abs=1)


def test_a_stream_that_has_come_to_its_end_says_what_the_file_says(localizer):
    signal = plane_wave(40, seconds=2.0)
    blocks = [np.zeros((4, 4000), np.float32), signal[:, :0], *np.split(signal, 4, axis=1)]
    moments = list(localizer.stream(blocks, RATE, ["rain", "a dog"], SQUARE, window_s=2.0))
    assert [moment.time_s for moment in moments] == [0.25, 0.75, 1.25, 1.75, 2.25]
    assert [moment.window_s for moment in moments] == [0.25, 0.75, 1.25, 1.75, 2.0]
    assert moments[0].answers == []  # silence
    whole = localizer.locate(signal, RATE, ["rain", "a dog"], SQUARE)
    assert [answer.query for answer in moments[-1].answers] == ["rain", "a dog"]
    for answer, expected in zip(moments[-1].answers, whole, strict=True):
        np.testing.assert_allclose(answer.posterior, expected.posterior, atol=1e-6)
    with pytest.raises(DataError, match="has 4 microphones"):
        next(localizer.stream([signal[:3]], RATE, ["rain"], SQUARE))


def test_even_weights_are_steering_without_a_mask(localizer):
    audio = localizer.prepare(plane_wave(25), RATE, SQUARE)
    shape = localizer.picture(audio).shape
    ours = response_of(localizer, audio, torch.ones(shape), SQUARE)[0]
    spectrum = stft(audio, 1024, 320)[None]
    covered = (localizer.bands.sum(dim=1) > 0).float().expand(1, spectrum.shape[2], -1)
    plain = srp_phat(spectrum, SQUARE.positions, AZIMUTHS, RATE, covered)[0]
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4)


def test_cells_are_shared_by_who_is_likely_there(localizer, monkeypatch):
    given = []

    def noted(blocks, heard, checkpoint, likely):
        given.extend(likely)
        return voices(blocks, heard, checkpoint, likely)

    monkeypatch.setattr(choosing, "voices", noted)
    heard = localizer.hear(localizer.prepare(plane_wave(60), RATE, SQUARE), ["rain"], SQUARE)
    (chosen,) = choosing.choose(localizer, heard)
    (chances,) = (likely.exp() for likely in given)
    assert len(chances) == len(chosen.candidates)
    assert chances.max() > 0.5 > chances.min() > 0


@pytest.mark.parametrize("name", ["square:0.12", "foa"])
def test_times_that_count_nothing_are_not_asked_and_change_nothing(localizer, monkeypatch, name):
    """Silence of 3 s between two sounds: whole blocks of the spectrum have no cell that counts."""
    monkeypatch.setattr(transform, "AT_ONCE", 2**17 // torch.get_num_threads())
    array = parse_array(name)
    wave = ambisonics if array.foa else plane_wave
    first, last = (wave(azimuth, array) for azimuth in (60, -90))
    signal = np.concatenate([first, np.zeros((4, 3 * RATE), np.float32), last], axis=1)
    audio = localizer.prepare(signal, RATE, array)
    heard = localizer.hear(audio, ["rain"], array)
    asked, agreement = [], type(heard.steering).agreement

    def noted(self, spectra, indices):
        asked.extend(part.shape[2] for part in spectra)
        return agreement(self, spectra, indices)

    monkeypatch.setattr(type(heard.steering), "agreement", noted)
    (chosen,) = choosing.choose(localizer, heard)
    assert 0 < sum(asked) < 0.5 * signal.shape[1] / localizer.features.hop
    asked.clear()
    every = replace(heard, new=heard.new + 1e-15)
    monkeypatch.setattr(scoring, "audible", lambda picture: audible(picture) + 1e-15)
    (wanted,) = choosing.choose(localizer, every)
    assert sum(asked) == 1 + signal.shape[1] // localizer.features.hop
    assert chosen.candidates == wanted.candidates
    np.testing.assert_allclose(chosen.table, wanted.table, rtol=1e-3, atol=1e-4)


def test_queries_share_one_pass_and_do_not_disturb_each_other(localizer):
    signal = plane_wave(10)
    both = localizer.locate(signal, RATE, ["a dog", "a very long description of rain"], SQUARE)
    alone = localizer.locate(signal, RATE, ["a dog"], SQUARE)
    assert [answer.query for answer in both] == ["a dog", "a very long description of rain"]
    assert both[0].azimuth_deg == pytest.approx(alone[0].azimuth_deg, abs=1e-3)
    assert both[0].confidence == pytest.approx(alone[0].confidence, abs=1e-4)


@pytest.mark.parametrize("gain", [1e-20, 1e-4, 1e4, 1e18])
def test_the_level_of_a_recording_does_not_matter(localizer, gain):
    one = localizer.locate(plane_wave(10), RATE, ["a dog"], SQUARE)[0]
    other = localizer.locate(plane_wave(10) * np.float32(gain), RATE, ["a dog"], SQUARE)[0]
    assert other.azimuth_deg == pytest.approx(one.azimuth_deg, abs=0.01)
    assert other.confidence == pytest.approx(one.confidence, abs=1e-3)


def test_silent_ambisonics_are_refused(localizer):
    with pytest.raises(DataError, match="silent"):
        localizer.locate(np.zeros((4, RATE), np.float32), RATE, ["noise"], parse_array("foa"))


@pytest.mark.parametrize("seconds", [0.1, 0.005])
def test_a_very_short_clip_is_answered(localizer, seconds):
    answer = localizer.locate(plane_wave(90, seconds=seconds), RATE, ["a click"], SQUARE)[0]
    assert answer.azimuth_deg == pytest.approx(90, abs=3)


def test_a_line_answers_the_front_and_offers_the_back(localizer):
    line = parse_array("linear:4:0.03")
    answer = localizer.locate(plane_wave(150, line), RATE, ["noise"], line)[0]
    assert answer.azimuth_deg == pytest.approx(30, abs=1)
    assert answer.alternatives[0][0] == pytest.approx(150, abs=1)
    assert answer.alternatives[0][1] == pytest.approx(answer.confidence, rel=0.05)


def test_the_wrong_number_of_channels_names_the_way_out(localizer):
    with pytest.raises(DataError, match=r"2 channel\(s\).*4 microphones; .*--array"):
        localizer.locate(plane_wave(0)[:2], RATE, ["noise"], SQUARE)


def test_silence_is_refused(localizer):
    with pytest.raises(DataError, match="silent"):
        localizer.locate(np.zeros((4, RATE), np.float32), RATE, ["noise"], SQUARE)


def test_peaks_are_apart_ordered_and_refined():
    away = (AZIMUTHS - 40.3 + 180) % 360 - 180
    bump = 0.7 * np.exp(-0.5 * (away / 5) ** 2)
    away = (AZIMUTHS + 179.0 + 180) % 360 - 180
    bump = bump + 0.3 * np.exp(-0.5 * (away / 5) ** 2)
    peaks = find_peaks(bump / bump.sum(), 3)
    assert peaks[0][0] == pytest.approx(40.3, abs=0.05)
    assert peaks[1][0] == pytest.approx(-179.0, abs=0.05)
    assert peaks[0][1] == pytest.approx(0.7 * 0.964, abs=0.02)
    assert all(-180 <= azimuth < 180 for azimuth, _ in peaks)


def test_a_peak_on_the_seam_wraps():
    away = (AZIMUTHS - 179.8 + 180) % 360 - 180
    bump = np.exp(-0.5 * (away / 5) ** 2)
    (azimuth, mass), *_ = find_peaks(bump / bump.sum(), 1)
    assert azimuth == pytest.approx(179.8, abs=0.05)
    assert mass > 0.95
