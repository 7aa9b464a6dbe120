"""Is an ambisonic recording in the order and the scale that is declared?

Over all directions the three figures of eight hold as much power together as W does with the scale
SN3D, twice as much in FuMa (where W is turned down by 3 dB) and three times as much with N3D; a
plane wave and a diffuse field agree in that. The order comes with the scale. Most sounds are near
the horizon, so that the vertical channel, where sounds begin, is weak: the third in the order ACN
(W Y Z X) and the last in FuMa's (W X Y Z); where that can be seen it is said, and no more, since a
source on an axis makes another channel weak.
"""

import numpy as np

from tselcli.acoustics.ambisonics import PLACES, SCALES
from tselcli.acoustics.checkup import BAND_HZ, DECAY, N_FFT, Samples, spectra
from tselcli.acoustics.findings import Finding
from tselcli.acoustics.geometry import FOA, Ambisonics

TOLERANCE = 1.35  # of the ratio of powers; the scales are 1, 2 and 3
FLAT = 3.0  # times that a vertical channel is weaker than both others, to be known as such


def check_ambisonics(signal: Samples, rate: int, declared: Ambisonics) -> list[Finding]:
    """Compare order and scale with those that are declared, by the powers.

    Args:
        signal: four channels (4, N), in the recording's order.
        rate: Hz.
        declared: convention.
    """
    ratio = power_ratio(signal, rate)
    seen = {name: (others / pressure) ** 2 for name, (pressure, others) in SCALES.items()}
    within = min(max(ratio, min(seen.values())), max(seen.values()))
    fits = {name: abs(np.log(within / wanted)) for name, wanted in seen.items()}
    likely = min(fits, key=lambda name: fits[name])
    if likely == declared or fits[likely] > np.log(TOLERANCE):
        return []
    names = {convention: name for name, convention in FOA.items()}
    flat = vertical_channel(signal, rate) == PLACES[likely][2] != PLACES[declared][2]
    height = f", and channel {PLACES[likely][2] + 1} looks like the vertical one" if flat else ""
    what = (
        f"the channels are probably {LABELS[likely]}, not {LABELS[declared]}: "
        f"the directional ones have {ratio:.1f} times the power of W{height}"
    )
    return [Finding("ambisonics", (), what, f"try --array {names[likely]}")]


LABELS: dict[Ambisonics, str] = {
    "acn-sn3d": "W Y Z X of scale SN3D (AmbiX)",
    "acn-n3d": "W Y Z X of scale N3D",
    "fuma": "W X Y Z of FuMa",
}


def power_ratio(signal: Samples, rate: int) -> float:
    """Divide the power of the directional channels by that of W."""
    power = (np.abs(_band(signal, rate)) ** 2).sum(axis=(1, 2))
    return float(power[1:].sum() / max(float(power[0]), 1e-30))


def vertical_channel(signal: Samples, rate: int) -> int | None:
    """Find the channel (1 to 3) that is much weaker than both others where sounds begin."""
    power = (np.abs(_band(signal, rate)) ** 2).sum(axis=2)  # (4, T)
    rise = np.maximum(power[0, 1:] - DECAY * power[0, :-1], 0)
    begun = (power[1:, 1:] * (rise > 0.05 * rise.max())).sum(axis=1)
    order = np.argsort(begun)
    if begun[order[1]] < FLAT * begun[order[0]]:
        return None
    return int(order[0]) + 1


def _band(signal: Samples, rate: int) -> np.ndarray:  # type: ignore[type-arg]
    hertz = np.arange(N_FFT // 2 + 1) * rate / N_FFT
    return np.asarray(spectra(signal)[:, :, (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])])
