import math

import numpy as np
import pyroomacoustics as pra
import pytest
from scipy.signal import resample

from tselcli.acoustics.geometry import delays, direction, parse_array
from tselcli.acoustics.rirs import Room, measure_rt60, shoebox_rirs

RATE = 16_000
OFFICE = Room((6.0, 5.0, 3.0), 0.4)
CENTRE = np.array([2.5, 2.2, 1.2])
MICS = parse_array("square:0.12").positions + CENTRE
SOURCES = np.array([(4.6, 3.4, 1.6), (1.2, 4.0, 0.9)])


def test_direct_sound_comes_after_distance_over_c_and_falls_with_distance():
    rirs = shoebox_rirs(OFFICE, MICS, SOURCES, RATE, max_order=0)
    distances = np.linalg.norm(SOURCES[:, None] - MICS, axis=-1)
    fine = resample(rirs, rirs.shape[-1] * 32, axis=-1)  # between the samples
    assert fine.argmax(axis=-1) / 32 == pytest.approx(distances / 343.0 * RATE, abs=0.1)
    assert fine.max(axis=-1) == pytest.approx(1 / distances, rel=0.05)


def test_first_reflection_comes_from_the_mirrored_source():
    rirs = shoebox_rirs(Room((6.0, 5.0, 3.0), 0.4), [(3.0, 2.5, 0.4)], [(3.0, 1.0, 0.4)], RATE)
    floor = np.linalg.norm([0.0, 1.5, 0.8]) / 343.0 * RATE
    around = slice(round(floor) - 3, round(floor) + 4)
    assert np.abs(rirs[0, 0, around]).argmax() == pytest.approx(floor - round(floor) + 3, abs=0.6)
    reflected = math.sqrt(1 - OFFICE.rt60_min_s / 0.4) / 1.7
    assert rirs[0, 0, around].max() == pytest.approx(reflected, rel=0.35)


def test_settings_of_pyroomacoustics_neither_matter_nor_change():
    ours = shoebox_rirs(OFFICE, MICS, SOURCES, RATE, max_order=3)
    before = {name: pra.constants.get(name) for name in ("c", "num_threads", "rir_hpf_enable")}
    pra.constants.set("c", 300.0)
    try:
        np.testing.assert_array_equal(shoebox_rirs(OFFICE, MICS, SOURCES, RATE, max_order=3), ours)
        assert pra.constants.get("c") == 300.0
    finally:
        pra.constants.set("c", before["c"])
    assert {name: pra.constants.get(name) for name in before} == before


def test_as_many_reflections_as_pyroomacoustics_thinks_the_reverberation_needs():
    for size, rt60 in (((6.0, 5.0, 3.0), 0.4), ((12.0, 7.5, 9.0), 0.9)):
        _, order = pra.inverse_sabine(rt60, size)
        assert Room(size, rt60).order == order


@pytest.mark.parametrize("azimuth", [-120, 0, 30, 90])
def test_a_distant_source_reaches_the_microphones_by_their_delays(azimuth):
    hall = Room((60.0, 60.0, 60.0), 3.0)
    mics = parse_array("square:0.12").positions
    rirs = shoebox_rirs(hall, mics + 30, 25 * direction([azimuth]) + 30, RATE, max_order=0)[0]
    fine = resample(rirs, rirs.shape[-1] * 16, axis=-1)
    expected = delays(mics, [azimuth])[0]
    for mic in range(1, 4):
        lags = np.correlate(fine[mic, -40_000:], fine[0, -40_000:][200:-200], mode="valid")
        lag = (lags.argmax() - 200) / 16
        assert lag == pytest.approx((expected[mic] - expected[0]) * RATE, abs=0.15)


@pytest.mark.parametrize(("size", "rt60"), [((8.0, 6.0, 5.0), 0.6), ((6.0, 7.0, 5.5), 0.9)])
def test_sound_decays_about_as_fast_as_requested(size, rt60):
    rir = shoebox_rirs(Room(size, rt60), MICS[:1], SOURCES[:1], RATE)[0, 0]
    assert measure_rt60(rir, RATE) == pytest.approx(rt60, rel=0.3)
    slots = np.add.reduceat(rir[:8000].astype(float) ** 2, np.arange(0, 8000, 1600))
    assert (np.diff(slots) < 0).all()


def test_decay_of_known_slope_is_measured():
    rng = np.random.default_rng(0)
    seconds = np.arange(RATE) / RATE
    for rt60 in (0.2, 0.5, 0.8):
        rir = rng.standard_normal(RATE) * 10 ** (-3 * seconds / rt60)
        assert measure_rt60(rir, RATE) == pytest.approx(rt60, rel=0.05)


def test_a_response_that_ends_early_is_measured_by_the_shorter_range():
    seconds = np.arange(int(0.25 * RATE)) / RATE
    rir = np.random.default_rng(0).standard_normal(len(seconds)) * 10 ** (-3 * seconds / 0.5)
    assert measure_rt60(rir, RATE) == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize("rir", [np.zeros(100), np.zeros(0), np.eye(1, 500)[0]])
def test_no_decay_has_no_reverberation_time(rir):
    assert math.isnan(measure_rt60(rir, RATE))


def test_no_false_pressure_is_left_at_0_hz():
    rir = shoebox_rirs(OFFICE, MICS[:1], SOURCES[:1], RATE)[0, 0]
    spectrum = np.abs(np.fft.rfft(rir, 65_536))
    assert spectrum[0] < 0.01 * spectrum[400:4000].mean()


def test_sabine_limits_how_dry_a_room_can_be():
    assert OFFICE.rt60_min_s == pytest.approx(0.161 * 90 / 126, rel=0.01)
    absorption, _ = pra.inverse_sabine(0.4, OFFICE.size_m)
    assert OFFICE.rt60_min_s / 0.4 == pytest.approx(absorption)
    with pytest.raises(ValueError, match="below the room's least"):
        shoebox_rirs(Room(OFFICE.size_m, 0.1), MICS, SOURCES, RATE)


def test_a_source_outside_the_room_is_refused():
    with pytest.raises(ValueError, match="not all inside"):
        shoebox_rirs(OFFICE, MICS, [(7.0, 1.0, 1.0)], RATE)


def test_reflections_are_counted_before_they_are_followed():
    assert Room((3.0, 3.0, 3.0), 20.0).reflections() > 1e8
    assert Room((3.0, 3.0, 3.0), 20.0).reflections(max_order=2) == pytest.approx(36)
