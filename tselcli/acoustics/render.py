"""A scene becomes sound: read the clips, convolve them with their RIRs, balance, add noise.

Every source has the same level at the array, before its ``level_db``: the RMS over the frames
in which it is heard (within 40 dB of its loudest frame), over all channels, after convolution;
of ambisonics only W counts, which is the pressure. A source without a place sounds alike in all
channels; in ambisonics it sounds in W alone, which is what alike from all sides would be.
Whoever rendered it, and however many workers there were: the bits are the same.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.ambience import Ambience, read_ambience
from tselcli.acoustics.ambisonics import from_acn_sn3d
from tselcli.acoustics.convolution import convolve
from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.methods import Shoebox
from tselcli.acoustics.noise import diffuse_foa_noise, diffuse_noise
from tselcli.acoustics.places import MeasuredRoom
from tselcli.acoustics.responses import Layer, first_response, responses
from tselcli.acoustics.rirs import Samples, measure_rt60
from tselcli.acoustics.scene import Scene, Source, scene_rng
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


def render_scene(
    scene: Scene, corpus: Corpus, bank: RirBank | None = None, shoebox: Shoebox | None = None
) -> Rendered:
    """Render a scene; the same scene and corpus always give the same bits.

    Args:
        scene: what to render.
        corpus: that the clips were drawn from.
        bank: that the responses of a measured room are in.
        shoebox: what computes responses by the method ``torch``.

    Raises:
        DataError: a clip is not in the corpus, cannot be read, or is silent; a response cannot
            be read.
    """
    clips = [_dry(scene, source, corpus) for source in scene.sources]
    heard = responses(scene, bank, shoebox)
    rate = scene.sample_rate
    images = np.zeros((len(clips), len(scene.array.mics), scene.samples), dtype=np.float32)
    for number, (clip, image) in enumerate(zip(clips, images, strict=True)):
        if number < len(heard):
            _fill_image(image, clip, heard[number], rate)
        else:
            image[:] = _everywhere(clip, scene.array)
    gains = _balance(scene, images)
    images *= gains[:, None, None]
    signal = images.sum(axis=0)
    if scene.noise_snr_db is not None:
        signal += _noise(scene, signal, scene.noise_snr_db, bank)
    scale = np.float32(PEAK / max(signal.max(), -signal.min()))
    signal *= scale
    images *= scale
    sources = tuple(
        replace(
            source, gain=float(gain * scale), active=_runs(active_frames(clip, scene.sample_rate))
        )
        for source, gain, clip in zip(scene.sources, gains, clips, strict=True)
    )
    rt60 = measure_rt60(first_response(heard[0])[0], scene.sample_rate)
    measured = None if np.isnan(rt60) else round(rt60, 4)
    return Rendered(replace(scene, sources=sources, rt60_measured_s=measured), signal, images)


def _fill_image(image: Samples, clip: Samples, layers: list[Layer], sample_rate: int) -> None:
    """Let a clip (N,) sound through layers of responses: into (C, N) zeros."""
    for rirs, starts in layers:
        if len(layers) == len(starts) == 1:
            convolve(clip, rirs[0], image)
        elif len(starts) == 1:
            image += convolve(clip, rirs[0])
        else:
            image += convolve_moving(clip, rirs, starts, sample_rate)


def _everywhere(clip: Samples, array: MicArray) -> Samples:
    """Let a clip (N,) sound alike in all channels, or in W alone of ambisonics: (C, N)."""
    alike = np.tile(clip, (len(array.mics), 1))
    if array.foa is None:
        return alike
    alike[1:] = 0
    return from_acn_sn3d(alike, array.foa)


def _pressure(signal: Samples, array: MicArray) -> Samples:
    """Keep the channels (..., C, N) that tell how loud it is: all, or W of ambisonics."""
    return signal if array.foa is None else signal[..., :1, :]


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


def active_frames(signal: npt.ArrayLike, sample_rate: int) -> npt.NDArray[np.bool_]:
    """Say in which frames of 100 ms a signal (..., N) sounds: (T,).

    Active is a frame within 40 dB of the loudest one; a silent signal has none. The last
    frame may be shorter.
    """
    return _active(_frame_power(np.asarray(signal), sample_rate)[0])


def active_rms(signal: npt.ArrayLike, sample_rate: int) -> float:
    """Measure the level of a signal (..., N) over its active frames and all channels."""
    power, lengths = _frame_power(np.asarray(signal), sample_rate)
    active = _active(power)
    return float(np.sqrt(np.average(power[active], weights=lengths[active])))


def _active(power: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.asarray(power > power.max() * 10 ** (ACTIVE_DB / 10))


def _frame_power(
    signal: npt.NDArray[Any], sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_]]:
    """Average the squared signal (..., N) over each frame and all channels.

    Returns:
        The power (T,) and the length of each frame in samples (T,).
    """
    channels = signal.reshape(-1, signal.shape[-1])
    frame = round(FRAME_S * sample_rate)
    whole = channels.shape[1] // frame
    frames = channels[:, : whole * frame].reshape(len(channels), whole, frame)
    energy = np.einsum("ctn,ctn->ct", frames, frames).sum(axis=0, dtype=np.float64)
    lengths = np.full(whole, frame)
    rest = channels[:, whole * frame :]
    if rest.size:
        energy = np.append(energy, np.square(rest, dtype=np.float64).sum())
        lengths = np.append(lengths, rest.shape[1])
    return energy / (lengths * len(channels)), lengths


def _balance(scene: Scene, images: Samples) -> Samples:
    """Find the gains (S,) that bring the images (S, C, N) to their levels."""
    gains = [
        10 ** (source.level_db / 20) / active_rms(_pressure(image, scene.array), scene.sample_rate)
        for source, image in zip(scene.sources, images, strict=True)
    ]
    return np.array(gains, dtype=np.float32)


def _noise(scene: Scene, signal: Samples, snr_db: float, bank: RirBank | None) -> Samples:
    """Bring the room's own or diffuse noise (C, N) to ``snr_db`` under the signal (C, N)."""
    noise = _diffuse(scene) if scene.ambience is None else _ambience(scene, scene.ambience, bank)
    heard = np.square(_pressure(noise, scene.array), dtype=np.float64)
    level = active_rms(_pressure(signal, scene.array), scene.sample_rate)
    return noise * np.float32(level * 10 ** (-snr_db / 20) / np.sqrt(np.mean(heard)))


def _diffuse(scene: Scene) -> Samples:
    rng = scene_rng(scene.seed, scene.split, scene.index, NOISE_STREAM)
    if scene.array.foa is None:
        return diffuse_noise(scene.mics_m, scene.samples, scene.sample_rate, rng)
    plain = diffuse_foa_noise(scene.samples, scene.sample_rate, rng)
    return from_acn_sn3d(plain, scene.array.foa)


def _ambience(scene: Scene, ambience: Ambience, bank: RirBank | None) -> Samples:
    room = scene.room.name if isinstance(scene.room, MeasuredRoom) else ""
    path = None if bank is None else bank.ambiences.get(room)
    channels = len(scene.array.mics)
    noise = read_ambience(ambience, path, channels, scene.samples, scene.sample_rate)
    return noise if scene.array.foa is None else from_acn_sn3d(noise, scene.array.foa)


def _runs(active: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Write flags as runs: 0 1 1 0 1 -> (1, 3), (4, 5)."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))
