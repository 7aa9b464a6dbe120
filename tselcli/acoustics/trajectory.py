"""Sources that move: where they are in every frame of 100 ms, and how that sounds.

In a shoebox a source walks on a circle around the array, at a constant angular speed, and turns
back where the circle leaves the room. Among measured responses it walks along a trajectory of
the database, direction by direction, and turns back at its ends (a closed one has none).

Sound of a moving source: its clip is cut where the response changes, every piece is convolved
with its own response, and the pieces are added. Neighbours overlap by 20 ms with raised-cosine
flanks that add up to one, so a source that does not move is convolved as one at rest, nothing
clicks, and the level is that of a source at rest: flanks are a small part of every piece.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import Floats, wrap_deg

Samples = npt.NDArray[np.float32]
Runs = tuple[tuple[int, int], ...]  # (first frame, what holds from there), ascending

FRAME_S = 0.1
FLANK_S = 0.02


def walk(path_deg: Floats, start: int, speed_deg_s: float, n_frames: int, closed: bool) -> Runs:
    """Walk along a polyline of directions at a constant angular speed.

    Args:
        path_deg: angle walked from its beginning to each direction, ascending, (D,); for a
            closed path, one more: the angle walked when back at the first.
        start: direction to begin at.
        speed_deg_s: degrees a second; negative walks backwards.
        n_frames: frames of 100 ms.
        closed: whether the last direction is followed by the first; otherwise it turns back.

    Returns:
        Runs of (frame, nearest direction).
    """
    length = float(path_deg[-1])
    walked = path_deg[start] + speed_deg_s * FRAME_S * np.arange(n_frames)
    if length <= 0:
        return ((0, start),)
    if closed:
        place = np.mod(walked, length)
    else:
        place = length - np.abs(np.mod(walked, 2 * length) - length)
    nearest = np.abs(place[:, None] - path_deg).argmin(axis=1) % (len(path_deg) - closed)
    return runs_of(nearest.tolist())


def runs_of(values: Sequence[int]) -> Runs:
    """Keep the frames in which a value changes: 3 3 5 -> (0, 3), (2, 5)."""
    changes = [0, *(k for k in range(1, len(values)) if values[k] != values[k - 1])]
    return tuple((frame, int(values[frame])) for frame in changes)


def arc_length(azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike, closed: bool) -> Floats:
    """Measure the angle walked along successive directions.

    Args:
        azimuth_deg: (D,).
        elevation_deg: (D,).
        closed: also walk from the last direction to the first.

    Returns:
        Degrees from the first direction to each, (D,) or, if closed, (D + 1,). Equal
        neighbours are no step.
    """
    azimuth, elevation = (
        np.asarray(angle, dtype=np.float64) for angle in (azimuth_deg, elevation_deg)
    )
    if closed:
        azimuth, elevation = np.append(azimuth, azimuth[0]), np.append(elevation, elevation[0])
    flat = wrap_deg(np.diff(azimuth)) * np.cos(np.radians((elevation[1:] + elevation[:-1]) / 2))
    steps = np.hypot(flat, np.diff(elevation))
    return np.concatenate([[0.0], np.cumsum(steps)])


def convolve_moving(
    clip: Samples, rirs: Samples, starts: Sequence[int], sample_rate: int
) -> Samples:
    """Let a clip sound through responses that take turns.

    Args:
        clip: (N,).
        rirs: (K, C, L), in the order in which they are heard.
        starts: sample at which each response takes over (K,); ascending, the first is 0.
        sample_rate: Hz.

    Returns:
        (C, N); the tail beyond N is cut.
    """
    if len(rirs) != len(starts) or starts[0] != 0:
        raise ValueError(f"{len(rirs)} responses need as many starts, the first 0: {starts}")
    half = round(FLANK_S * sample_rate / 2)
    ends = [*starts[1:], len(clip)]
    total = np.zeros((rirs.shape[1], len(clip)), dtype=np.float32)
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first = max(start - half, 0) if number else 0
        stop = min(end + half, len(clip)) if number + 1 < len(rirs) else len(clip)
        if stop <= first:
            continue
        gain = _gain(np.arange(first, stop), start, end, half, number == 0, number + 1 == len(rirs))
        _add(total, clip[first:stop] * gain, rirs[number], first)
    return total


def _gain(
    time: npt.NDArray[np.int_], start: int, end: int, half: int, first: bool, last: bool
) -> Samples:
    """Draw a piece's window: flanks of 2 ``half`` samples around its ends, sum of all is 1."""
    rise = np.ones(len(time)) if first else _flank(time - start, half)
    fall = np.zeros(len(time)) if last else _flank(time - end, half)
    return np.asarray(rise - fall, dtype=np.float32)


def _flank(time: npt.NDArray[np.int_], half: int) -> Floats:
    """Rise from 0 at -half to 1 at half as a raised cosine."""
    if half == 0:
        return np.asarray(time >= 0, dtype=np.float64)
    return np.asarray(0.5 + 0.5 * np.sin(np.pi / 2 * np.clip(time / half, -1.0, 1.0)))


def _add(total: Samples, piece: Samples, rirs: Samples, first: int) -> None:
    """Add a piece (n,) through responses (C, L) to (C, N) from sample ``first`` on."""
    room = total.shape[1] - first
    if not piece.any():
        return
    length = scipy.fft.next_fast_len(len(piece) + rirs.shape[-1] - 1, real=True)
    spectrum = scipy.fft.rfft(piece, length) * scipy.fft.rfft(rirs, length)
    sound = scipy.fft.irfft(spectrum, length)[:, : min(room, len(piece) + rirs.shape[-1] - 1)]
    total[:, first : first + sound.shape[1]] += sound
