"""A clip heard through responses: block by block, so that transforms stay in the cache.

    clip   |--- hop ---|--- hop ---|--- hop ---|      every block is read with the L - 1 samples
    block  <-- L - 1 --|--- hop ---|                  before it, whose own sound is thrown away

The spectrum of a block serves all channels. Silence after a clip's end costs nothing.
"""

import numpy as np
import numpy.typing as npt
import scipy.fft

Samples = npt.NDArray[np.float32]

BLOCK = 80_000  # samples; with few channels, what a cache of 2 MB holds


def convolve(clip: Samples, rirs: Samples, out: Samples | None = None) -> Samples:
    """Let a clip (N,) sound through responses (C, L); the tail beyond N is cut.

    Args:
        clip: mono.
        rirs: one response for each channel.
        out: (C, N), zeros, to be filled; None is a new one.

    Returns:
        (C, N) float32.
    """
    taps = rirs.shape[-1]
    sound = np.zeros((len(rirs), len(clip)), dtype=np.float32) if out is None else out
    loud = clip != 0
    if not taps or not loud.any():
        return sound
    first, stop = (
        int(loud.argmax()),
        min(len(clip) - int(loud[::-1].argmax()) - 1 + taps, len(clip)),
    )
    blocks = max(round((stop - first) / max(BLOCK - taps, taps)), 1)
    hop = -(-(stop - first) // blocks)
    length = scipy.fft.next_fast_len(hop + taps - 1, real=True)
    padded = np.zeros(taps - 1 + blocks * hop, dtype=np.float32)
    padded[taps - 1 : taps - 1 + stop - first] = clip[first:stop]
    pieces = np.lib.stride_tricks.sliding_window_view(padded, hop + taps - 1)[::hop]
    spectra = scipy.fft.rfft(pieces, length)
    filters = scipy.fft.rfft(rirs.astype(np.float32, copy=False), length)
    product = np.empty_like(filters)
    for number, spectrum in enumerate(spectra):
        begin = first + number * hop
        heard = scipy.fft.irfft(np.multiply(filters, spectrum, out=product), length)
        end = min(begin + hop, stop)
        sound[:, begin:end] = heard[:, taps - 1 : taps - 1 + end - begin]
    return sound
