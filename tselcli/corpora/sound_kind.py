"""What a kind of synthetic sound is, and the finish that every one of them gets.

A kind is a recipe for a sound and the words that people would use for it. Its generator returns
any float64 signal; :func:`finish` makes it fit to be mixed: no constant offset, no clicks at the
ends, one peak level, and samples on the 16-bit grid, so that a last-digit difference between two
machines' sine functions is rounded away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from tselcli.corpora.oscillators import Signal, length, swell

PEAK = 0.9
FADE_S = 0.005
LONGEST_S = 8.0
STEPS = 32_768  # of the 16-bit grid, per unit


@dataclass(frozen=True)
class SoundKind:
    """A sound that can be made, with its captions.

    Attributes:
        label: its name, unique.
        captions_train: sentences for training and validation.
        captions_test: other sentences, never seen in training.
        groups: kinds that share an entry could be meant by the same words, so they must not stand
            in one scene.
        synthesise: ``(rng, sample_rate)`` to a mono signal (N,) of 0.5 to 8 seconds.
    """

    label: str
    captions_train: tuple[str, ...]
    captions_test: tuple[str, ...]
    groups: frozenset[str]
    synthesise: Callable[[np.random.Generator, int], Signal]


def finish(signal: Signal, rate: int) -> NDArray[np.float32]:
    """Make a raw sound (N,) fit to be mixed.

    Returns:
        (N,) float32 of peak 0.9 and mean 0 that starts and ends at 0, on the 16-bit grid;
        what is longer than 8 s is cut.
    """
    signal = signal[: length(LONGEST_S, rate)]
    high_pass = butter(2, 20, "highpass", fs=rate, output="sos")  # rumble that nobody hears
    fade = swell(len(signal), rate, FADE_S, FADE_S)
    shaped = fade * sosfilt(high_pass, signal)
    shaped -= fade * (shaped.sum() / fade.sum())
    scaled = PEAK * shaped / np.abs(shaped).max()
    return np.asarray(np.round(scaled * STEPS) / STEPS, dtype=np.float32)
