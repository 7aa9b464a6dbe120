import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import soundfile

from tselcli.acoustics.geometry import direction, parse_array
from tselcli.corpora.clip import Clip, Corpus
from tselcli.sections import RoomRecipe, SceneRecipe

RATE = 8_000


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Six bursts of noise of different kinds, lengths and levels."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(6):
        burst = rng.standard_normal(RATE // 4 + 700 * number) * 0.02 * (number + 1)
        path = tmp_path / f"burst{number}.wav"
        soundfile.write(path, burst, RATE, subtype="FLOAT")
        label = f"kind {number}"
        words = (f"a {label}", f"the {label}")
        clips.append(Clip(path.stem, label, words, "train", frozenset(), path, 0, "bursts"))
    return Corpus("bursts", tuple(clips))


@pytest.fixture
def quick() -> SceneRecipe:
    """Short scenes in small rooms with few reflections."""
    room = RoomRecipe(
        length_m=(4.0, 6.0), width_m=(4.0, 6.0), height_m=(3.0, 4.0), rt60_s=(0.4, 0.5), max_order=3
    )
    return SceneRecipe(sample_rate=RATE, duration_s=1.0, room=room)


C = 343.0
BANK_RATE = 24_000
BAND = (200, 4_000)  # Hz; above, an elevation that is not steered to counts too much
AZIMUTHS = np.arange(-180, 180)
ROOMS = {  # name: (number, kind, distance of each trajectory or its line at x, azimuths by [t][h])
    "gym": (2, "circular", [2.0], [[np.arange(0, 360, 30.0), np.arange(1, 361, 30.0)]]),
    "tb103": (
        9,
        "linear",
        [-2.5, 1.5],
        [
            [np.linspace(130, 230, 5), np.linspace(125, 235, 6), np.linspace(120, 240, 7)],
            [np.linspace(50, -50, 4), np.linspace(55, -55, 5), np.linspace(45, -45, 8)],
        ],
    ),
    "pc226": (4, "circular", [1.0], [[np.arange(0, 360, 40.0)]]),  # has no file
}


def pulse(samples, length):
    """A band-limited pulse at each of ``samples`` (...): (..., length)."""
    return np.sinc(np.arange(length) - np.asarray(samples)[..., None]).astype(np.float32)


def free_field(places, mics, rate, length):
    """Responses (D, C, L) of free sources at places (D, 3) to microphones (C, 3)."""
    metres = np.linalg.norm(np.asarray(places)[:, None] - np.asarray(mics), axis=-1)
    return pulse(metres / C * rate, length)


def struct_array(rows, names):
    """A MATLAB struct array (len(rows), 1) for scipy.io.savemat."""
    table = np.empty((len(rows), 1), dtype=[(name, object) for name in names])
    for number, row in enumerate(rows):
        table[number, 0] = tuple(row[name] for name in names)
    return table


@pytest.fixture
def shared():
    """Find a file that is handed from one workplace to the next, or skip the test."""
    folder = Path(os.environ.get("TSEL_SHARED") or Path(__file__).parents[3] / "shared")

    def find(name):
        if not (folder / name).exists():
            pytest.skip(f"no {name} in {folder}; name its folder with TSEL_SHARED")
        return folder / name

    return find


def tau_places(kind, range_m, azimuths, height):
    """Where the directions of a trajectory and height are (D, 3), seen from the array."""
    flat = direction(azimuths)[:, :2]
    metres = np.full(len(flat), range_m) if kind == "circular" else range_m / flat[:, 0]
    return np.column_stack([flat * metres[:, None], np.full(len(flat), 0.4 * height - 0.3)])


def write_room(path, kind, ranges, azimuths, length):
    """Write a room as MATLAB v7.3 does: reversed axes, references in a struct of arrays."""
    mics = parse_array("tetra:0.042").positions
    shape = (len(azimuths[0]), len(azimuths))  # (heights, trajectories)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name in ("mic", "foa"):
            table = file.create_dataset(f"rirs/{name}", shape, dtype=h5py.ref_dtype)
            for trajectory, rows in enumerate(azimuths):
                for height, row in enumerate(rows):
                    places = tau_places(kind, ranges[trajectory], row, height)
                    if name == "mic":
                        responses = free_field(places, mics, BANK_RATE, length)
                    else:
                        x, y, z = (places / np.linalg.norm(places, axis=1)[:, None]).T
                        gains = np.stack([np.ones_like(x), y, z, x], axis=1)  # W Y Z X
                        responses = gains[..., None] * free_field(
                            places, np.zeros((1, 3)), BANK_RATE, length
                        )
                    item = file.create_dataset(
                        f"#refs#/{name}{trajectory}{height}", data=responses.astype(np.float64)
                    )
                    table[height, trajectory] = item.ref


@pytest.fixture
def tau(tmp_path):
    """A folder like TAU-SRIR, free field, with two of three rooms; its nRirs are bytes."""
    folder = tmp_path / "TAU-SRIR_DB"
    folder.mkdir()
    rooms, plans = [], []
    for name, (number, kind, ranges, azimuths) in ROOMS.items():
        if name != "pc226":
            path = folder / f"rirs_{number:02d}_{name}.mat"
            write_room(path, kind, ranges, azimuths, 600)
        grid = np.empty((len(azimuths), len(azimuths[0])), dtype=[("doa_xyz", object)])
        counts = np.zeros(grid.shape, dtype=np.uint8)
        for (trajectory, height), _ in np.ndenumerate(counts):
            row = azimuths[trajectory][height]
            places = tau_places(kind, ranges[trajectory], row, height)
            units = places / np.linalg.norm(places, axis=1)[:, None]
            grid[trajectory, height] = (units,)
            counts[trajectory, height] = len(units)
        rooms.append({"name": name, "year": 2019, "rirs": grid, "nRirs": counts})
        plan = np.array([ranges])
        if kind == "linear":  # (2 ends, x y z, trajectories)
            plan = np.array([[ranges, [3.0, 3.0], [0, 0]], [ranges, [-3.0, -3.0], [0, 0]]])
        plans.append({"room": name, "distances": plan, "trajectoryType": kind})
    top = {
        "fs": BANK_RATE,
        "room": struct_array(rooms, rooms[0]),
        "a": 0.042,
        "b": np.zeros((4, 2)),
    }
    scipy.io.savemat(folder / "rirdata.mat", {"rirdata": struct_array([top], top)})
    scipy.io.savemat(folder / "measinfo.mat", {"measinfo": struct_array(plans, plans[0])})
    return folder


@pytest.fixture
def write_sofa(tmp_path):
    """Write a SOFA file: variables by name, with "Type" where a second item names it."""

    def write(name, convention="SingleRoomSRIR", kind="FIR", rate=16_000, **variables):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs["Conventions"] = np.bytes_("SOFA")
            file.attrs["SOFAConventions"] = np.bytes_(convention)
            file.attrs["DataType"] = np.bytes_(kind)
            file["Data.SamplingRate"] = np.array([float(rate)])
            for key, value in variables.items():
                values, of_kind = value if isinstance(value, tuple) else (value, None)
                key = key.replace("Data_", "Data.")
                file[key] = np.asarray(values, dtype=np.float64)
                if of_kind:
                    file[key].attrs["Type"] = np.bytes_(of_kind)
        return path

    return write


@pytest.fixture
def seen():
    """Tell the azimuth of white noise that sounds through responses (C, L)."""
    import torch

    from tselcli.acoustics.render import convolve
    from tselcli.features.srp import srp_phat
    from tselcli.features.stft import stft

    def spectrum_of(rirs, rate):
        noise = np.random.default_rng(0).standard_normal(rate // 2).astype(np.float32)
        return stft(torch.from_numpy(convolve(noise, rirs))[None], 1024, 512)

    def by_delay(rirs, mics, rate, band=BAND, search=AZIMUTHS):
        spectrum = spectrum_of(rirs, rate)
        hertz = np.arange(spectrum.shape[-1]) * rate / 1024
        mask = torch.from_numpy((hertz >= band[0]) & (hertz <= band[1])).float()
        mask = mask.expand(1, *spectrum.shape[2:])
        return search[int(srp_phat(spectrum, mics, search, rate, mask).argmax())]

    def by_intensity(rirs, rate):
        w, y, _, x = spectrum_of(rirs, rate)[0]
        flow = [float((w.conj() * axis).real.sum()) for axis in (y, x)]
        return np.degrees(np.arctan2(*flow))

    return by_delay, by_intensity
