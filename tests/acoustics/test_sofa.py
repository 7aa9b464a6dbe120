import csv
import pickle

import numpy as np
import pytest
from scipy.signal import resample_poly

from tselcli.acoustics.geometry import azimuth_of, direction, parse_array, sized_array, wrap_deg
from tselcli.acoustics.measured import open_bank
from tselcli.acoustics.sofa import read_sofa_array
from tselcli.errors import DataError, RecipeError

C, RATE = 343.0, 16_000
MICS = parse_array("square:0.12").positions
AZIMUTHS = np.array([-150.0, -30.0, 0.0, 45.0, 90.0, 179.0])
PLACES = 1.5 * direction(AZIMUTHS, 5.0)


def delays_of(places):
    """Samples to each microphone: places (..., 3) -> (..., R)."""
    return np.linalg.norm(np.asarray(places)[..., None, :] - MICS, axis=-1) / C * RATE


def responses(places, length=300):
    return np.sinc(np.arange(length) - delays_of(places)[..., None])


def spherical(places):
    away = np.linalg.norm(places, axis=-1)
    elevation = np.degrees(np.arcsin(places[..., 2] / away))
    return np.stack([azimuth_of(places) % 360, elevation, away], axis=-1)


@pytest.fixture
def room(write_sofa):
    """Write a room with sources at PLACES; what is given replaces what it would hold."""

    def write(name="room.sofa", **changes):
        variables = {
            "Data_IR": responses(PLACES),
            "SourcePosition": (PLACES, "cartesian"),
            "ReceiverPosition": (MICS[..., None], "cartesian"),
            "ListenerPosition": (np.zeros((1, 3)), "cartesian"),
            "ListenerView": (np.array([[1.0, 0, 0]]), "cartesian"),
            "ListenerUp": np.array([[0.0, 0, 1]]),
            **changes,
        }
        return write_sofa(name, **variables)

    return write


def test_directions_and_distances_are_those_of_the_sources(room):
    bank = open_bank(room())
    (track,) = bank.tracks
    assert (bank.name, bank.sample_rate, track.room, track.number) == ("sofa:room", RATE, "room", 0)
    assert track.azimuth_deg == pytest.approx(AZIMUTHS)
    assert track.elevation_deg == pytest.approx([5.0] * 6)
    assert track.distance_m == pytest.approx([1.5] * 6)
    assert bank.array.positions == pytest.approx(MICS)


def test_noise_is_seen_where_the_source_stands(room, seen):
    by_delay, _ = seen
    bank = pickle.loads(pickle.dumps(open_bank(room())))
    rirs = bank.rirs(bank.tracks[0], range(6))
    assert rirs.dtype == np.float32
    for azimuth, response in zip(AZIMUTHS, rirs, strict=True):
        found = by_delay(response, bank.array.positions, RATE)
        assert abs(wrap_deg(found - azimuth)) <= 1.0


def test_spherical_is_cartesian_in_other_words(room):
    here = open_bank(room()).tracks[0]
    there = open_bank(room("other.sofa", SourcePosition=(spherical(PLACES), "spherical"))).tracks[0]
    assert there.azimuth_deg == pytest.approx(here.azimuth_deg)
    assert there.elevation_deg == pytest.approx(here.elevation_deg)
    assert there.distance_m == pytest.approx(here.distance_m)


def test_a_radius_of_zero_is_an_unknown_distance(room):
    angles = spherical(PLACES) * (1, 1, 0)
    track = open_bank(room(SourcePosition=(angles, "spherical"))).tracks[0]
    assert track.azimuth_deg == pytest.approx(AZIMUTHS)
    assert track.distance_m == (None,) * 6


def test_files_that_count_clockwise_are_turned_round(room, seen):
    by_delay, _ = seen
    path = room(SourcePosition=(spherical(PLACES * (1, -1, 1)), "spherical"))
    assert open_bank(path).tracks[0].azimuth_deg == pytest.approx(wrap_deg(-AZIMUTHS))
    bank = open_bank(path, azimuth="clockwise")
    assert bank.tracks[0].azimuth_deg == pytest.approx(AZIMUTHS)
    found = by_delay(bank.rirs(bank.tracks[0], [3])[0], bank.array.positions, RATE)
    assert abs(found - 45) <= 1


def test_azimuth_is_seen_from_the_listener_and_where_he_looks(room):
    """He stands at (2, 3, 1) and looks along +y, then along -x, with a spherical view."""
    ahead = np.array([[2.0, 5.0, 1.0], [2.0, 5.0, 1.0]])
    track = open_bank(
        room(
            Data_IR=responses(PLACES[:2]),
            SourcePosition=(ahead, "cartesian"),
            ListenerPosition=(np.array([[2.0, 3.0, 1.0]]), "cartesian"),
            ListenerView=(np.array([[90.0, 0, 1], [180.0, 0, 1]]), "spherical"),
            ListenerUp=(np.array([[0.0, 0, 1]]), "cartesian"),
        )
    ).tracks[0]
    assert track.azimuth_deg == pytest.approx([0.0, -90.0], abs=1e-9)
    assert track.distance_m == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize(("kind", "axis"), [("FIR-E", 3), ("FIRE", 2)])
def test_each_emitter_of_one_measurement_is_a_direction(room, kind, axis):
    """Loudspeakers round a source position that is turned by 90 degrees: +x of it is +y."""
    turned = np.column_stack([PLACES[:, 1], -PLACES[:, 0], PLACES[:, 2]])
    bank = open_bank(
        room(
            convention="MultiSpeakerBRIR" if axis == 2 else "SingleRoomMIMOSRIR",
            kind=kind,
            Data_IR=np.moveaxis(responses(PLACES)[None], 1, axis),
            SourcePosition=(np.zeros((1, 3)), "cartesian"),
            SourceView=(np.array([[0.0, 1, 0]]), "cartesian"),
            SourceUp=np.array([[0.0, 0, 1]]),
            EmitterPosition=(turned[..., None], "cartesian"),
        )
    )
    (track,) = bank.tracks
    assert (track.name, track.azimuth_deg) == ("e", pytest.approx(AZIMUTHS))
    assert track.distance_m == pytest.approx([1.5] * 6)
    rirs = bank.rirs(track, range(6))
    assert rirs.argmax(axis=-1) == pytest.approx(delays_of(PLACES), abs=0.5)


def test_each_emitter_of_many_measurements_is_a_track(room):
    """The listener turns by 90 degrees: what was in front is then at the right."""
    bank = open_bank(
        room(
            convention="SingleRoomMIMOSRIR",
            kind="FIR-E",
            Data_IR=np.moveaxis(responses(np.stack([PLACES, PLACES[::-1]])), 1, 3),
            SourcePosition=(np.zeros((1, 3)), "cartesian"),
            EmitterPosition=(PLACES[..., None], "cartesian"),
            ListenerView=(np.array([[1.0, 0, 0], [0, 1, 0]]), "cartesian"),
        )
    )
    assert [track.name for track in bank.tracks] == [f"e{number}" for number in range(6)]
    assert bank.tracks[2].azimuth_deg == pytest.approx([0.0, -90.0], abs=1e-9)
    rirs = bank.rirs(bank.tracks[1], [1, 0])
    expected = delays_of(np.stack([PLACES[4], PLACES[1]]))
    assert rirs.argmax(axis=-1) == pytest.approx(expected, abs=0.5)


def test_delays_of_the_file_are_put_back(room):
    """Responses of which the file keeps the first part as a number, for each receiver its own."""
    delays = np.array([[3.0, 0.5, 0.0, 12.25]])
    early = np.sinc(np.arange(300) - delays_of(PLACES)[..., None] + delays[..., None])
    bank = open_bank(room(Data_IR=early, Data_Delay=delays))
    rirs = bank.rirs(bank.tracks[0], range(6))
    assert rirs.shape == (6, 4, 313)
    assert rirs[..., :280] == pytest.approx(responses(PLACES, 313)[..., :280], abs=0.02)


def test_four_receivers_at_one_place_are_ambisonics(room):
    array = read_sofa_array(room(ReceiverPosition=(np.zeros((4, 3, 1)), "cartesian")))
    assert (array.name, array.foa, array.mics) == ("room", "acn-sn3d", ((0.0, 0.0, 0.0),) * 4)


def test_the_command_line_takes_the_array_of_a_file(room):
    path = room(ReceiverPosition=(spherical(MICS), "spherical"))
    assert parse_array(str(path)).positions == pytest.approx(MICS)
    assert sized_array(str(path), 0.1) == parse_array(f" {path} ")
    with pytest.raises(DataError, match=r"gone.sofa: no such file"):
        parse_array(str(path.with_name("gone.sofa")))
    with pytest.raises(RecipeError, match=r"or a \.sofa file"):
        parse_array("squire:1")


def test_a_folder_is_one_bank_of_one_array(room):
    folder = room("rooms/one.sofa").parent
    room("rooms/two.sofa", SourcePosition=(PLACES[::-1].copy(), "cartesian"))
    bank = open_bank(folder)
    assert (bank.name, bank.array.name) == ("sofa:rooms", "rooms")
    assert [track.room for track in bank.tracks] == ["one", "two"]
    assert bank.tracks[1].azimuth_deg == pytest.approx(AZIMUTHS[::-1])
    room("rooms/zoo.sofa", ReceiverPosition=(MICS * 1.1, "cartesian"))
    with pytest.raises(DataError, match=r"zoo.sofa: another array or sample rate than one.sofa"):
        open_bank(folder)
    room("rooms/zoo.sofa", rate=48_000)
    with pytest.raises(DataError, match=r"zoo.sofa: another array or sample rate than one.sofa"):
        open_bank(folder)


NOWHERE = PLACES * np.array([[1], [1], [0], [1], [1], [1]])
BAD = [
    (
        {"convention": "SimpleFreeFieldTF"},
        r"'SimpleFreeFieldTF' .* not supported; .*SingleRoomSRIR",
    ),
    ({"kind": "TF"}, r"with data 'TF' is not supported; convert it to SingleRoomSRIR, "),
    ({"Data_IR": responses(PLACES)[:, :3]}, r"shape \(6, 3, 300\) does not fit 4 receivers"),
    ({"Data_IR": responses(PLACES)[:5]}, r"6 positions for 5 measurements"),
    ({"Data_IR": np.zeros((1, 4, 300, 2, 2))}, r"not laid out as SOFA says \(Data.IR of shape"),
    ({"rate": 44_100.5}, r"SamplingRate is \[44100.5\]; one rate"),
    ({"SourcePosition": (PLACES, "spherical harmonics")}, r"is 'spherical harmonics'; cartesian"),
    ({"SourcePosition": (NOWHERE, "cartesian")}, r"stands inside the array and has no direction"),
    ({"SourcePosition": (PLACES * np.nan, "cartesian")}, r"not laid out as SOFA says \(SourcePos"),
    ({"ListenerUp": np.array([[2.0, 0, 0]])}, r"ListenerView and ListenerUp say no direction"),
    ({"Data_Delay": np.full((1, 4), -1.0)}, r"Data.Delay is not within 0 and 1 s"),
    ({"Data_Delay": np.full((1, 4), np.nan)}, r"Data.Delay is not within 0 and 1 s"),
    ({"ReceiverPosition": (MICS[[0, 1, 0]], "cartesian")}, r"two receivers at the same place"),
    ({"ReceiverPosition": (MICS[:1], "cartesian")}, r"1 receivers up to .* are no array"),
    ({"ReceiverPosition": (MICS * 1000, "cartesian")}, r"4 receivers up to .* are no array"),
    (
        {"ReceiverPosition": (np.stack([MICS, 2 * MICS], axis=2), "cartesian")},
        r"its receivers move; split it",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_cannot_be_used_is_one_line(room, changes, message):
    with pytest.raises(DataError, match=rf"room\.sofa: .*{message}") as caught:
        open_bank(room(**changes))
    assert "\n" not in str(caught.value)


def test_what_lacks_is_named(write_sofa):
    with pytest.raises(DataError, match=r"says \(no Data.IR, ReceiverPosition, SourcePosition\)"):
        open_bank(write_sofa("bare.sofa"))


def test_a_cut_file_is_one_line(room):
    path = room()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"room\.sofa: cannot be read as HDF5 \(truncated file\)"):
        open_bank(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"room\.sofa: cannot be read as HDF5"):
        read_sofa_array(path)


def test_shared_line_of_microphones_is_seen_where_the_table_says(shared, seen):
    """Runs of four microphones of a measured office, beside the loudspeakers' beams left out."""
    by_delay, _ = seen
    bank = open_bank(shared("rirs/polimi_ula32.sofa"))
    rirs = bank.rirs(bank.tracks[0], range(6))
    errors = []
    with shared("rirs/polimi_ula32.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if abs(float(row["azimuth_deg"])) <= 50]
    for row in rows[::9]:
        run = list(map(int, row["channels"].split()))
        mics = bank.array.positions[run] - bank.array.positions[run].mean(axis=0)
        response = rirs[int(row["measurement"])][run]
        found = by_delay(response, mics, bank.sample_rate, (300, 5_500), np.arange(-90, 91))
        errors.append(abs(found - float(row["azimuth_deg"])))
    assert np.median(errors) <= 1.0
    assert np.max(errors) <= 8.0


def test_shared_line_hears_each_source_after_its_distance(shared):
    """The chain of measurement adds 0.16 to 0.23 ms (see the README of the files)."""
    bank = open_bank(shared("rirs/polimi_ula32.sofa"))
    (track,) = bank.tracks
    places = np.array(track.distance_m)[:, None] * direction(track.azimuth_deg, track.elevation_deg)
    metres = np.linalg.norm(places[:, None] - bank.array.positions, axis=-1)
    rirs = np.abs(bank.rirs(track, range(6)))
    onsets = (rirs > 0.25 * rirs.max(axis=-1, keepdims=True)).argmax(axis=-1) / bank.sample_rate
    assert np.median(onsets - metres / C, axis=1) == pytest.approx([0.0002] * 6, abs=1e-4)


def heard_by_ears(rirs, rate, ear_m=0.09):
    """Azimuth in [-90, 90] of the direct sound at two ears (2, L).

    Their lag is where the correlation of 3.5 ms about the onset peaks; Woodworth's sphere
    turns it into an angle: lag = r / c (a + sin a). Front and back are alike to it.
    """
    fine = resample_poly(rirs.astype(np.float64), 16, 1, axis=-1)
    onset = (np.abs(fine) > 0.3 * np.abs(fine).max(axis=-1, keepdims=True)).argmax(axis=-1).min()
    left, right = fine[:, onset - round(0.016 * rate) : onset + round(0.04 * rate)]
    lag = np.correlate(right, left, "full").argmax() - (len(left) - 1)
    angles = np.radians(np.arange(-90, 91))
    lags = ear_m / C * (angles + np.sin(angles)) * 16 * rate
    return np.abs(lags - lag).argmin() - 90


@pytest.mark.parametrize(
    ("name", "sense", "worst"),
    [
        ("iosr_room_a_16k", "clockwise", 6),
        ("kemar_netzwerkakademie", "counter-clockwise", 12),  # its head stood some 7 degrees off
    ],
)
def test_shared_heads_hear_first_with_the_near_ear(shared, name, sense, worst):
    bank = open_bank(shared(f"rirs/{name}.sofa"), azimuth=sense)
    (track,) = bank.tracks
    assert bank.array.positions == pytest.approx(np.array([[0, 0.09, 0], [0, -0.09, 0]]))
    for index, azimuth in enumerate(track.azimuth_deg):
        found = heard_by_ears(bank.rirs(track, [index])[0], bank.sample_rate)
        assert abs(found - azimuth) <= worst
