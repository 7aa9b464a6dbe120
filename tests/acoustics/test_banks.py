"""Every bank obeys physics: what is heard of single sources against the labels, as a table.

    pytest tests/acoustics/test_banks.py

prints a line per bank; it needs the measured and simulated responses that `shared` finds.
Sources are white noise through whole responses, reflections and all.
"""

import sys

import numpy as np
import pytest

from tselcli.acoustics.geometry import direction, wrap_deg
from tselcli.acoustics.measured import open_bank
from tselcli.acoustics.render import convolve
from tselcli.acoustics.subarray import choose_mics
from tselcli.acoustics.tracks import measured_rirs
from tselcli.acoustics.trajectory import arc_length, convolve_moving, walk

C = 343.0
SOUNDING = 40  # directions of a bank, evenly taken
FRONT = np.arange(-90, 91)
EARS = {"band": (200, 1_500), "search": FRONT}  # above, a head casts shadows


def some(bank, count=SOUNDING):
    """Take directions evenly from all tracks of a bank: (track, index, responses)."""
    every = [(track, k) for track in bank.tracks for k in range(len(track.azimuth_deg))]
    for track, index in every[:: max(1, len(every) // count)]:
        yield track, index, bank.rirs(track, [index])[0]


def tell(capsys, name, errors, onsets=()):
    """Print a bank's line: angles in degrees, times in milliseconds."""
    line = f"{name:34} n {len(errors):3}  median {np.median(errors):4.1f}  "
    line += f"90 % {np.quantile(errors, 0.9):4.1f}  worst {np.max(errors):4.1f}"
    if len(onsets):
        line += f"  onset - d/c {1000 * np.median(onsets):+.2f} ms"
    with capsys.disabled():
        sys.stdout.write(f"\n{line}")


def onset_s(response, rate):
    """When a response (C, L) begins: first sample above a quarter of the peak, over channels."""
    loud = np.abs(response) > 0.25 * np.abs(response).max(axis=-1, keepdims=True)
    return np.median(loud.argmax(axis=-1)) / rate


@pytest.mark.parametrize(("channels", "median"), [("foa", 1.5), ("mic", 1.5)])
def test_simulated_rooms_in_the_layout_of_tau(shared, seen, capsys, channels, median):
    by_delay, by_intensity = seen
    bank = open_bank(shared("tau"), channels)
    errors, onsets = [], []
    for track, index, response in some(bank):
        if channels == "foa":
            found = by_intensity(response, bank.sample_rate)
        else:
            found = by_delay(response, bank.array.positions, bank.sample_rate)
        errors.append(abs(wrap_deg(found - track.azimuth_deg[index])))
        onsets.append(onset_s(response[:1], bank.sample_rate) - track.distance_m[index] / C)
    tell(capsys, f"tau, simulated, {channels}", errors, onsets)
    assert np.median(errors) <= median
    assert abs(np.median(onsets)) <= 0.0002


def test_a_moving_source_crosses_its_directions_in_time(shared, capsys):
    """Ten seconds along measured trajectories, half a second around every third 100 ms."""
    bank = open_bank(shared("tau"), "foa")
    rate, errors = bank.sample_rate, []
    noise = np.random.default_rng(0).standard_normal(10 * rate).astype(np.float32)
    for track in bank.tracks[::4]:
        path = arc_length(track.azimuth_deg, track.elevation_deg, track.closed)
        runs = walk(path, 0, 20.0, 100, track.closed)
        rirs = measured_rirs(bank, track.room, track.name, [k for _, k in runs], rate)
        starts = [round(frame * 0.1 * rate) for frame, _ in runs]
        sound = convolve_moving(noise, rirs, starts, rate)
        truth = np.zeros(100)
        for frame, k in runs:
            truth[frame:] = track.azimuth_deg[k]
        for frame in range(5, 95, 3):
            piece = sound[:, int((frame - 2) * 0.1 * rate) : int((frame + 3) * 0.1 * rate)]
            flow = [float(np.mean(piece[0] * piece[axis])) for axis in (1, 3)]
            errors.append(abs(wrap_deg(np.degrees(np.arctan2(*flow)) - truth[frame])))
    tell(capsys, "tau, simulated, foa, moving", errors)
    assert np.median(errors) <= 2.0


@pytest.mark.parametrize("first", [4, 14, 24])
def test_runs_of_four_of_the_measured_line(shared, seen, capsys, first):
    """Front and back folded; sources beside the loudspeakers' beams are left out."""
    by_delay, _ = seen
    bank = open_bank(shared("rirs/polimi_ula32.sofa"))
    part = choose_mics(bank, range(first, first + 4))
    errors, onsets = [], []
    for track, index, response in some(part):
        if abs(track.azimuth_deg[index]) <= 50:
            found = by_delay(response, part.array.positions, part.sample_rate, (300, 5500), FRONT)
            errors.append(abs(found - track.azimuth_deg[index]))
            onsets.append(onset_s(response, part.sample_rate) - track.distance_m[index] / C)
    tell(capsys, f"polimi, microphones {first} to {first + 3}, folded", errors, onsets)
    assert np.median(errors) <= 1.5
    assert 0 < np.median(onsets) <= 0.0004  # the chain of measurement: 0.16 to 0.23 ms


@pytest.mark.parametrize(
    ("name", "sense", "median"),
    [("iosr_room_a_16k", "clockwise", 6.0), ("kemar_netzwerkakademie", "counter-clockwise", 12.0)],
)
def test_two_ears_as_a_line_of_two_microphones(shared, seen, capsys, name, sense, median):
    """Front and back folded. A head delays sound from the side by more than free field does.

    So the ears are right about the front, and tens of degrees off at the sides. The head of
    the second file stood some 7 degrees off its labels.
    """
    by_delay, _ = seen
    bank = open_bank(shared(f"rirs/{name}.sofa"), azimuth=sense)
    errors = [
        abs(by_delay(rirs, bank.array.positions, bank.sample_rate, **EARS) - t.azimuth_deg[k])
        for t, k, rirs in some(bank)
    ]
    tell(capsys, f"{name}, ears, folded", errors)
    assert np.median(errors) <= median


def test_rooms_of_our_own_simulation(seen, capsys):
    from tselcli.acoustics.ambisonics import figures_of_eight
    from tselcli.acoustics.geometry import parse_array
    from tselcli.acoustics.rirs import Room, shoebox_rirs

    by_delay, by_intensity = seen
    room, centre, mics = Room((7.0, 6.0, 3.5), 0.5), (3.2, 2.9, 1.1), parse_array("square:0.12")
    azimuths = np.arange(-175, 180, 30)
    places = centre + 2.0 * direction(azimuths)
    four = shoebox_rirs(room, mics.positions + centre, places, 16_000, 15)
    foa = shoebox_rirs(room, [centre] * 4, places, 16_000, 15, figures_of_eight())
    delayed = [by_delay(rirs, mics.positions, 16_000) for rirs in four]
    flowing = [by_intensity(rirs, 16_000) for rirs in foa]
    for name, found, median in (("square", delayed, 1.0), ("foa", flowing, 4.0)):
        errors = np.abs(wrap_deg(np.array(found) - azimuths))
        tell(capsys, f"shoebox, {name}", errors)
        assert np.median(errors) <= median
    assert convolve(np.ones(4, dtype=np.float32), four[0]).shape == (4, 4)
