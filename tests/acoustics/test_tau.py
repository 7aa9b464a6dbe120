import pickle
import shutil

import h5py
import numpy as np
import pytest
import scipy.io

from tselcli.acoustics.geometry import direction, wrap_deg
from tselcli.acoustics.measured import open_bank
from tselcli.errors import DataError

C = 343.0


def track_of(bank, room, name):
    (track,) = [t for t in bank.tracks if (t.room, t.name) == (room, name)]
    return track


def each_direction(bank, step=1):
    for track in bank.tracks:
        indices = range(0, len(track.azimuth_deg), step)
        for index, rirs in zip(indices, bank.rirs(track, indices), strict=True):
            yield track, index, rirs


def test_tracks_are_the_rows_of_the_rooms_in_their_order(tau):
    bank = open_bank(tau)
    listed = [(t.number, t.room, t.name, len(t.azimuth_deg), t.closed) for t in bank.tracks]
    assert listed == [
        (2, "gym", "t0h0", 12, True),
        (2, "gym", "t0h1", 12, True),
        (9, "tb103", "t0h0", 5, False),
        (9, "tb103", "t0h1", 6, False),
        (9, "tb103", "t0h2", 7, False),
        (9, "tb103", "t1h0", 4, False),
        (9, "tb103", "t1h1", 5, False),
        (9, "tb103", "t1h2", 8, False),
    ]
    assert (bank.name, bank.sample_rate) == ("tau-srir:foa", 24_000)
    assert bank.missing == ("rirs_04_pc226.mat",)


def test_directions_are_those_of_the_table(tau):
    track = track_of(open_bank(tau), "tb103", "t0h1")
    assert track.azimuth_deg == pytest.approx(wrap_deg(np.linspace(125, 235, 6)))
    assert min(track.elevation_deg) > 0  # the second height is above the array
    assert max(track_of(open_bank(tau), "tb103", "t0h0").elevation_deg) < 0


def test_arrays_are_those_that_measured(tau):
    foa, mic = open_bank(tau, "foa").array, open_bank(tau, "mic").array
    assert (foa.name, foa.mics, foa.foa) == ("foa", ((0.0, 0.0, 0.0),) * 4, "acn-sn3d")
    expected = 0.042 * direction([45, -45, 135, -135], [35, -35, -35, 35])
    assert mic.positions == pytest.approx(expected)
    assert mic.foa is None


def test_noise_from_every_direction_is_seen_there(tau, seen):
    by_delay, by_intensity = seen
    mic, foa = open_bank(tau, "mic"), open_bank(tau, "foa")
    for track, index, rirs in each_direction(mic, step=3):
        found = by_delay(rirs, mic.array.positions, mic.sample_rate)
        assert abs(wrap_deg(found - track.azimuth_deg[index])) <= 2.0, (track.name, index)
    for track, index, rirs in each_direction(foa):
        found = by_intensity(rirs, foa.sample_rate)
        assert abs(wrap_deg(found - track.azimuth_deg[index])) <= 0.5, (track.name, index)


def test_the_direct_sound_comes_after_its_distance(tau):
    bank = open_bank(tau)
    for track, index, rirs in each_direction(bank):
        metres = np.abs(rirs[0]).argmax() / bank.sample_rate * C
        assert metres == pytest.approx(track.distance_m[index], abs=0.01)


def test_directions_may_be_asked_for_in_any_order(tau):
    bank = open_bank(tau, "mic")
    track = track_of(bank, "gym", "t0h0")
    one_by_one = [bank.rirs(track, [index])[0] for index in (7, 2, 7)]
    together = bank.rirs(track, [7, 2, 7])
    assert together.dtype == np.float32
    assert np.array_equal(together, np.stack(one_by_one))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("index", [-1, 12])
def test_there_is_nothing_before_the_first_or_after_the_last(tau, index):
    bank = open_bank(tau)
    with pytest.raises(IndexError, match=f"direction {index} of a track that has 12"):
        bank.rirs(track_of(bank, "gym", "t0h0"), [0, index])
    with pytest.raises(IndexError, match="no direction asked for"):
        bank.rirs(track_of(bank, "gym", "t0h0"), [])


def test_a_bank_goes_to_workers_without_its_files(tau, monkeypatch):
    bank = open_bank(tau)
    track = track_of(bank, "tb103", "t1h2")
    before = bank.rirs(track, [3])
    copy = pickle.loads(pickle.dumps(bank))
    assert len(copy._files._files) == 0
    assert np.array_equal(copy.rirs(track, [3]), before)
    monkeypatch.setattr("os.getpid", lambda: -1)  # as in a forked worker
    assert np.array_equal(bank.rirs(track, [3]), before)
    assert len(bank._files._files) == 1


def test_without_the_plan_no_distance_is_known(tau):
    (tau / "measinfo.mat").unlink()
    assert {d for track in open_bank(tau).tracks for d in track.distance_m} == {None}
    (tau / "measinfo.mat").write_bytes(b"rubbish" * 100)
    assert {d for track in open_bank(tau).tracks for d in track.distance_m} == {None}


def test_a_plan_with_other_names_is_read_by_position(tau):
    table = scipy.io.loadmat(tau / "measinfo.mat")["measinfo"]
    expected = open_bank(tau).tracks
    renamed = np.empty(table.shape, dtype=[(f"name_{number}", object) for number in range(11)])
    for place in np.ndindex(table.shape):
        row = [np.zeros(1)] * 11
        row[6], row[9] = table[place]["distances"], table[place]["trajectoryType"]
        renamed[place] = tuple(row)
    scipy.io.savemat(tau / "measinfo.mat", {"measinfo": renamed})
    assert open_bank(tau).tracks == expected
    scipy.io.savemat(tau / "measinfo.mat", {"measinfo": renamed[:2]})
    assert {d for track in open_bank(tau).tracks for d in track.distance_m} == {None}


def test_the_folder_may_be_the_one_above(tau):
    assert open_bank(tau.parent).tracks == open_bank(tau).tracks


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_cut_room_is_one_line(tau):
    cut(tau / "rirs_02_gym.mat")
    with pytest.raises(DataError, match=r"rirs_02_gym.mat: cannot be read .*truncated.*get it"):
        open_bank(tau)


def test_a_room_that_is_no_hdf5_is_one_line(tau):
    (tau / "rirs_02_gym.mat").write_bytes(b"<html>Too many requests</html>" * 99)
    with pytest.raises(DataError, match=r"rirs_02_gym.mat: cannot be read .*signature not found"):
        open_bank(tau)


@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b"MATLAB 5.0" * 99)])
def test_a_damaged_table_is_one_line(tau, damage):
    damage(tau / "rirdata.mat")
    with pytest.raises(DataError, match=r"rirdata.mat: cut, damaged .*tsel data fetch tau-srir"):
        open_bank(tau)


def test_without_the_table_nothing_is_known(tau):
    (tau / "rirdata.mat").unlink()
    with pytest.raises(DataError, match=r"rirdata.mat: no such file, and without it no direction"):
        open_bank(tau)


def test_without_rooms_there_is_no_bank(tau):
    for path in tau.glob("rirs_*.mat"):
        path.unlink()
    with pytest.raises(DataError, match=r"holds no rirs_NN_room.mat; `tsel data fetch tau-srir`"):
        open_bank(tau)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rirs_11_gim.mat", "knows no room 'gim'; did you mean 'gym'"),
        ("rirs_gym.mat", "knows no room 'rirs_gym'"),
        ("rirs_09_gym.mat", "gym is room 2, not 9; rename the file"),
    ],
)
def test_a_file_must_bear_the_name_of_its_room(tau, name, message):
    shutil.move(tau / "rirs_02_gym.mat", tau / name)
    with pytest.raises(DataError, match=f"{name}: .*{message}"):
        open_bank(tau)


def test_responses_must_be_as_many_as_directions(tau):
    with h5py.File(tau / "rirs_09_tb103.mat", "r+") as file:
        table = file["rirs/foa"]
        table[1, 0], table[2, 0] = table[2, 0], table[1, 0]
    expected = r"trajectory 0, height 1 of 'foa' has shape \(7, 4, 600\) instead of \(6, 4"
    with pytest.raises(DataError, match=expected):
        open_bank(tau, "foa")
    assert len(open_bank(tau, "mic").tracks) == 8


def test_axes_must_be_those_of_the_table(tau):
    with h5py.File(tau / "rirs_09_tb103.mat", "r+") as file:
        table = file["rirs/foa"][()].T
        del file["rirs/foa"]
        file.create_dataset("rirs/foa", data=table, dtype=h5py.ref_dtype)
    with pytest.raises(DataError, match=r"shape \(2, 3\) instead of \(3, 2\)"):
        open_bank(tau)


def test_counts_must_agree_with_directions(tau):
    table = scipy.io.loadmat(tau / "rirdata.mat")["rirdata"]
    table[0, 0]["room"][1, 0]["nRirs"][1, 2] += 1
    scipy.io.savemat(tau / "rirdata.mat", {"rirdata": table})
    with pytest.raises(DataError, match=r"as nRirs says: tb103, trajectory 1, height 2"):
        open_bank(tau)


def test_samples_must_be_numbers(tau):
    with h5py.File(tau / "rirs_02_gym.mat", "r+") as file:
        file[file["rirs/foa"][1, 0]][5, 0, 7] = np.nan
    bank = open_bank(tau)
    track = track_of(bank, "gym", "t0h1")
    assert bank.rirs(track, [4]).any()
    with pytest.raises(DataError, match=r"t0h1 of gym holds samples that are no numbers"):
        bank.rirs(track, [4, 5])


def test_a_file_that_goes_away_is_one_line(tau):
    bank = pickle.loads(pickle.dumps(open_bank(tau)))
    (tau / "rirs_02_gym.mat").unlink()
    with pytest.raises(DataError, match=r"rirs_02_gym.mat: no such file"):
        bank.rirs(bank.tracks[0], [0])


def test_shared_rooms_are_seen_where_their_labels_say(shared, seen):
    """Simulated rooms with reflections; FOA by the direct sound, MIC by the whole response."""
    by_delay, by_intensity = seen
    foa, mic = open_bank(shared("tau"), "foa"), open_bank(shared("tau"), "mic")
    assert len(foa.missing) == 4
    for track, index, rirs in each_direction(foa, step=9):
        onset = round(track.distance_m[index] / C * foa.sample_rate)
        assert abs(np.abs(rirs[0]).argmax() - onset) <= 1
        found = by_intensity(rirs[:, : onset + 12], foa.sample_rate)
        assert abs(wrap_deg(found - track.azimuth_deg[index])) <= 1.0
    errors = [
        abs(wrap_deg(by_delay(rirs, mic.array.positions, 24_000) - track.azimuth_deg[index]))
        for track, index, rirs in each_direction(mic, step=17)
    ]
    assert np.max(errors) <= 4.0
