"""Real recordings with labels per frame, as the trials that rendered scenes are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tselcli.acoustics.geometry import MicArray, parse_array, wrap_deg
from tselcli.acoustics.rirs import Room
from tselcli.acoustics.scene import Scene, Source
from tselcli.corpora.audio import read_audio
from tselcli.corpora.starss import QUERIES, Event, Window, find_windows
from tselcli.dataset import Trial
from tselcli.frame_metrics import FrameTruth

ARRAYS = {"mic": "tetra:0.042", "foa": "foa"}
PREFIXES = ("starss:", "starss-foa:")


def is_starss(data: Path | None) -> bool:
    """Say whether ``--data`` names STARSS: ``starss:DIR`` or ``starss-foa:DIR``."""
    return data is not None and str(data).startswith(PREFIXES)


def starss_trials(data: Path, split: str) -> tuple[int, Iterator[Trial]]:
    """Read the questions of STARSS: their number, and the trials one by one.

    Args:
        data: ``starss:DIR``, which takes the microphones where they are there and ambisonics
            elsewhere, or ``starss-foa:DIR``.
        split: train or test.

    Raises:
        DataError: not a folder of STARSS, or (while reading) a recording that cannot be read.
        RecipeError: ambisonics cannot be steered.
    """
    prefix, _, place = str(data).partition(":")
    folder = Path(place)
    kind = "mic" if prefix == "starss" and (folder / "mic_dev").is_dir() else "foa"
    windows = find_windows(folder, split, kind)
    array = parse_array(ARRAYS[kind])
    return len(windows), (
        _trial(window, index, split, array) for index, window in enumerate(windows)
    )


def _trial(window: Window, index: int, split: str, array: MicArray) -> Trial:
    signal, rate = read_audio(window.audio, window.start_s, window.stop_s)
    nowhere = (float("nan"),) * 3
    scene = Scene(
        index=index,
        seed=0,
        split=split,
        sample_rate=rate,
        duration_s=window.stop_s - window.start_s,
        room=Room(nowhere, float("nan")),
        max_order=None,
        array=array,
        array_position_m=(0.0, 0.0, 0.0),
        array_yaw_deg=0.0,
        sources=tuple(_source(window, event) for event in window.events),
        noise_snr_db=None,
    )
    places = np.stack([event.place[:, 0] for event in window.events], axis=1)
    active = np.stack([event.active for event in window.events], axis=1)
    labels = FrameTruth(places[:, 0], active[:, 0], places[:, 1:], active[:, 1:])
    return Trial(scene, signal, labels=labels)


def _source(window: Window, event: Event) -> Source:
    """Sum an event up as a source at rest, in the middle of where it sounded."""
    azimuth, elevation, distance = event.place[event.active].T
    middle = np.exp(1j * np.deg2rad(azimuth)).mean()
    return Source(
        kind="directional",
        clip_id=f"{window.audio.stem}@{window.start_s:g}",
        corpus="starss",
        label=QUERIES[event.label],
        caption=QUERIES[event.label],
        position_m=None,
        azimuth_deg=float(wrap_deg(np.rad2deg(np.angle(middle)))),
        elevation_deg=float(elevation.mean()),
        distance_m=float(distance.mean()),
        onset_s=0.0,
        level_db=float("nan"),  # nobody knows it
    )
