"""The likeliest way through a circle of directions over time (Viterbi).

A way may turn at most so far from one frame to the next and pays for every degree that it turns,
so it stays on a source that rests, follows one that moves, and does not jump to a rival:

    azimuth  |    . . o o o .        o  on the way
             |  o o o . . . o o      .  within reach of the frame before
             +-------------------> frame

G. D. Forney, "The Viterbi algorithm", Proc. IEEE 61(3), 1973.
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from tselcli.acoustics.geometry import wrap_deg

Floats = npt.NDArray[np.float64]
Bins = npt.NDArray[np.intp]

REFINE_BINS, REFINE_FRAMES, SMOOTH_FRAMES = 5, 5.0, 2.0


class Ways:
    """The best way to and from every direction in every frame.

    Args:
        worth: of being in a direction in a frame, (T, A); the A directions close a circle.
        reach: bins that a way may turn from one frame to the next.
        cost: of turning by one bin.
    """

    def __init__(self, worth: Floats, reach: int, cost: float) -> None:
        self.size = worth.shape[1]
        self._before = _pointers(worth, reach, cost)
        self._after = _pointers(worth[::-1], reach, cost)

    def through(self, frame: int, index: int) -> Bins:
        """Give the best way that is at a direction in one frame: bins (T,)."""
        total = len(self._before)
        early = self._trace(self._before, frame, index)
        late = self._trace(self._after, total - 1 - frame, index)
        return np.array([*early[::-1], *late[1:]], dtype=np.intp)

    def _trace(self, pointers: Bins, frame: int, index: int) -> list[int]:
        way = [index]
        for row in pointers[frame:0:-1]:
            index = int(row[index])
            way.append(index)
        return way


def _pointers(worth: Floats, reach: int, cost: float) -> Bins:
    """Say where the best way to every direction was one frame earlier: (T, A), row 0 unused."""
    size = worth.shape[1]
    turns = np.array(sorted(range(-reach, reach + 1), key=abs))  # of equals the least turn wins
    reached = (np.arange(size) - turns[:, None]) % size  # (turns, A)
    toll = cost * np.abs(turns)[:, None]
    pointers = np.zeros(worth.shape, dtype=np.intp)
    best = worth[0]
    for frame in range(1, len(worth)):
        arriving = best[reached] - toll
        chosen = arriving.argmax(axis=0)
        pointers[frame] = reached[chosen, np.arange(size)]
        best = arriving[chosen, np.arange(size)] + worth[frame]
        best = best - best.max()  # hours of evidence stay finite
    return pointers


def gathered(values: Floats, window: int) -> Floats:
    """Sum frames (T, ...) over a window of so many frames around each; nothing beyond the ends."""
    padded = np.pad(values, [(window // 2, window // 2), *[(0, 0)] * (values.ndim - 1)])
    return np.asarray(sliding_window_view(padded, window, axis=0).sum(axis=-1))


def refined(way: Bins, response: Floats, grid_deg: float) -> Floats:
    """Find the azimuths (T,) between the bins of a way, degrees in [-180, 180).

    Seen from the way, a source stays in place: its response, gathered over half a second and a
    little from everywhere, has its summit by a parabola.

    Args:
        way: bins (T,); bin 0 is -180 degrees.
        response: of every frame (T, A), weighted by the sound in it.
        grid_deg: of a bin.
    """
    from scipy.ndimage import gaussian_filter1d  # who asks for no track does not wait for it

    turns = np.arange(-REFINE_BINS, REFINE_BINS + 1)
    along = response[np.arange(len(way))[:, None], (way[:, None] + turns) % response.shape[1]]
    along = gaussian_filter1d(along, REFINE_FRAMES, axis=0, mode="constant") + 1e-3 * along.mean(0)
    top = along[:, 1:-1].argmax(axis=1) + 1
    before, here, after = (along[np.arange(len(way)), top + k] for k in (-1, 0, 1))
    bend = np.minimum(before - 2 * here + after, -1e-30)
    shift = turns[top] + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    straight = np.unwrap(way * grid_deg, period=360.0) + grid_deg * shift
    return wrap_deg(gaussian_filter1d(straight, SMOOTH_FRAMES, mode="nearest") - 180.0)


def certainty(worth: Floats, way: Bins, lobe: int) -> Floats:
    """Give the probability of each frame (T, A), in nats, within ``lobe`` bins of a way: (T,)."""
    chances = np.exp(worth - worth.max(axis=1, keepdims=True))
    near = (way[:, None] + np.arange(-lobe, lobe + 1)) % worth.shape[1]
    return np.asarray(np.take_along_axis(chances, near, axis=1).sum(axis=1) / chances.sum(axis=1))


def hysteresis(energy: Floats, on_db: float, off_db: float) -> npt.NDArray[np.bool_]:
    """Say when a sound is heard: from where it rises over one level until it falls under another.

    Args:
        energy: (T,), not negative.
        on_db: over the loudest frame.
        off_db: over the loudest frame; lower.

    Returns:
        (T,): the runs of frames over ``off_db`` in which one is over ``on_db``.
    """
    from scipy.ndimage import label

    top = float(energy.max())
    lasting = (energy > 0) & (energy >= top * 10 ** (off_db / 10))
    runs, count = label(lasting)
    started = np.unique(runs[lasting & (energy >= top * 10 ** (on_db / 10))])
    return np.isin(runs, started) & (runs > 0) if count else lasting
