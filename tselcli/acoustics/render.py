"""A scene becomes sound: read the clips, convolve them with their RIRs, balance, add noise.

Every source has the same level at the array, before its ``level_db``: the RMS over the frames
in which it is heard (within 40 dB of its loudest frame), over all channels, after convolution.
Whoever rendered it, and however many workers there were: the bits are the same.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import Floats, direction, turn
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.noise import diffuse_noise
from tselcli.acoustics.places import MeasuredRoom
from tselcli.acoustics.rirs import Samples, measure_rt60, shoebox_rirs
from tselcli.acoustics.scene import Point, Scene, Source, scene_rng
from tselcli.acoustics.tracks import measured_rirs
from tselcli.acoustics.trajectory import FRAME_S, convolve_moving
from tselcli.corpora.clip import Clip, Corpus, read_clip
from tselcli.errors import DataError

ACTIVE_DB = -40.0
PEAK = 0.5
NOISE_STREAM = 1


@dataclass(frozen=True)
class Rendered:
    """What a scene sounds like.

    Attributes:
        scene: the same scene, with what only rendering can tell filled in.
        signal: the recording (C, N), peak 0.5.
        images: what each source contributes (S, C, N); their sum is the signal without noise.
    """

    scene: Scene
    signal: Samples
    images: Samples

    @property
    def rt60_measured_s(self) -> float | None:
        """As `Scene.rt60_measured_s`."""
        return self.scene.rt60_measured_s


def render_scene(scene: Scene, corpus: Corpus, bank: RirBank | None = None) -> Rendered:
    """Render a scene; the same scene and corpus always give the same bits.

    Args:
        scene: what to render.
        corpus: that the clips were drawn from.
        bank: that the responses of a measured room are in.

    Raises:
        DataError: a clip is not in the corpus, cannot be read, or is silent; a response cannot
            be read.
    """
    clips = [_dry(scene, source, corpus) for source in scene.sources]
    heard = responses(scene, bank)
    rate = scene.sample_rate
    images = np.stack(
        [
            _image(clip, *heard[number], rate)
            if number < len(heard)
            else np.tile(clip, (len(scene.array.mics), 1))
            for number, clip in enumerate(clips)
        ]
    )
    gains = _balance(scene, images)
    images *= gains[:, None, None]
    signal = images.sum(axis=0)
    if scene.noise_snr_db is not None:
        signal += _noise(scene, signal, scene.noise_snr_db)
    scale = np.float32(PEAK / np.abs(signal).max())
    sources = tuple(
        replace(
            source, gain=float(gain * scale), active=_runs(active_frames(clip, scene.sample_rate))
        )
        for source, gain, clip in zip(scene.sources, gains, clips, strict=True)
    )
    rt60 = measure_rt60(heard[0][0][0, 0], scene.sample_rate)
    measured = None if np.isnan(rt60) else round(rt60, 4)
    return Rendered(
        replace(scene, sources=sources, rt60_measured_s=measured), signal * scale, images * scale
    )


def responses(scene: Scene, bank: RirBank | None = None) -> list[tuple[Samples, list[int]]]:
    """Give what every directional source is heard through.

    Returns:
        For each: the responses (K, C, L) in the order in which they are heard, and the sample
        at which each takes over (K,). A source at rest has one.

    Raises:
        DataError: the bank does not have them.
    """
    sources = [source for source in scene.sources if source.kind == "directional"]
    if isinstance(scene.room, MeasuredRoom):
        return [_measured(scene, scene.room, source, bank) for source in sources]
    places, order, starts = _waypoints(scene, sources)
    rirs = shoebox_rirs(scene.room, scene.mics_m, places, scene.sample_rate, scene.max_order)
    return [(rirs[numbers], start) for numbers, start in zip(order, starts, strict=True)]


def _waypoints(
    scene: Scene, sources: list[Source]
) -> tuple[Floats, list[list[int]], list[list[int]]]:
    """List the places (P, 3) of all sources once, and for each source which follow when."""
    places: dict[Point, int] = {}
    order, starts = [], []
    for source in sources:
        assert source.position_m is not None
        way = [(0, source.position_m)]
        if source.positions is not None:
            way = [(frame, _world(scene, az, el, away)) for frame, az, el, away in source.positions]
        order.append([places.setdefault(place, len(places)) for _, place in way])
        starts.append([round(frame * FRAME_S * scene.sample_rate) for frame, _ in way])
    return np.array(list(places)), order, starts


def _world(scene: Scene, azimuth: float, elevation: float, distance: float | None) -> Point:
    """Turn a place in the array frame into one in the room, to 0.1 mm."""
    assert distance is not None  # only measured rooms leave it open
    seen = distance * direction(azimuth, elevation)
    place = turn(seen, scene.array_yaw_deg) + scene.array_position_m
    x, y, z = np.round(place, 4).tolist()
    return x, y, z


def _measured(
    scene: Scene, room: MeasuredRoom, source: Source, bank: RirBank | None
) -> tuple[Samples, list[int]]:
    if bank is None or bank.name != room.bank:
        given = "none was given" if bank is None else f"'{bank.name}' was given"
        raise DataError(f"scene {scene.index}: needs the responses of '{room.bank}'; {given}")
    runs = source.directions or ((0, -1),)
    rirs = measured_rirs(bank, room.name, source.track, [k for _, k in runs], scene.sample_rate)
    return rirs, [round(frame * FRAME_S * scene.sample_rate) for frame, _ in runs]


def _image(clip: Samples, rirs: Samples, starts: list[int], sample_rate: int) -> Samples:
    if len(starts) == 1:
        return convolve(clip, rirs[0])
    return convolve_moving(clip, rirs, starts, sample_rate)


def _dry(scene: Scene, source: Source, corpus: Corpus) -> Samples:
    """Read a source's clip and place it in time: mono (N,)."""
    clip = _find(corpus, source)
    recorded = read_clip(clip, scene.sample_rate)
    onset = round(source.onset_s * scene.sample_rate)
    dry = np.zeros(scene.samples, dtype=np.float32)
    heard = recorded[: len(dry) - onset]
    dry[onset : onset + len(heard)] = heard
    if not dry.any():
        raise DataError(
            f"clip '{clip.id}' of {clip.source}: silent in its first {len(heard)} samples; "
            f"remove it from the corpus"
        )
    return dry


def _find(corpus: Corpus, source: Source) -> Clip:
    for clip in corpus.clips:
        if clip.id == source.clip_id:
            return clip
    raise DataError(
        f"{corpus.name}: holds no clip '{source.clip_id}'; "
        f"open the corpus and split that the scene was drawn from ({source.corpus})"
    )


def convolve(clip: Samples, rirs: Samples) -> Samples:
    """Let a clip (N,) sound through responses (C, L); the tail beyond N is cut: (C, N)."""
    length = scipy.fft.next_fast_len(len(clip) + rirs.shape[-1] - 1, real=True)
    spectrum = scipy.fft.rfft(clip, length) * scipy.fft.rfft(rirs, length)
    return np.asarray(scipy.fft.irfft(spectrum, length)[..., : len(clip)], dtype=np.float32)


def active_frames(signal: npt.ArrayLike, sample_rate: int) -> npt.NDArray[np.bool_]:
    """Say in which frames of 100 ms a signal (..., N) sounds: (T,).

    Active is a frame within 40 dB of the loudest one; a silent signal has none. The last
    frame may be shorter.
    """
    power = _frame_power(np.asarray(signal), sample_rate)[0]
    return np.asarray(power > power.max() * 10 ** (ACTIVE_DB / 10))


def active_rms(signal: npt.ArrayLike, sample_rate: int) -> float:
    """Measure the level of a signal (..., N) over its active frames and all channels."""
    power, lengths = _frame_power(np.asarray(signal), sample_rate)
    active = active_frames(signal, sample_rate)
    return float(np.sqrt(np.average(power[active], weights=lengths[active])))


def _frame_power(
    signal: npt.NDArray[Any], sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_]]:
    """Average the squared signal (..., N) over each frame and all channels.

    Returns:
        The power (T,) and the length of each frame in samples (T,).
    """
    power = np.square(signal, dtype=np.float64).reshape(-1, signal.shape[-1]).mean(axis=0)
    starts = np.arange(0, len(power), round(FRAME_S * sample_rate))
    lengths = np.diff(np.append(starts, len(power)))
    return np.add.reduceat(power, starts) / lengths, lengths


def _balance(scene: Scene, images: Samples) -> Samples:
    """Find the gains (S,) that bring the images (S, C, N) to their levels."""
    gains = [
        10 ** (source.level_db / 20) / active_rms(image, scene.sample_rate)
        for source, image in zip(scene.sources, images, strict=True)
    ]
    return np.array(gains, dtype=np.float32)


def _noise(scene: Scene, signal: Samples, snr_db: float) -> Samples:
    """Make diffuse noise (C, N) that lies ``snr_db`` under the signal (C, N)."""
    rng = scene_rng(scene.seed, scene.split, scene.index, NOISE_STREAM)
    noise = diffuse_noise(scene.mics_m, scene.samples, scene.sample_rate, rng)
    wanted = active_rms(signal, scene.sample_rate) * 10 ** (-snr_db / 20)
    return noise * np.float32(wanted / np.sqrt(np.mean(np.square(noise, dtype=np.float64))))


def _runs(active: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Write flags as runs: 0 1 1 0 1 -> (1, 3), (4, 5)."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))
