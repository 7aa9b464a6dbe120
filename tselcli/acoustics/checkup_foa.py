"""Is an ambisonic recording in the order and the scale that is declared?

Over all directions the three figures of eight hold as much power together as W does with the scale
SN3D, twice as much in FuMa (where W is turned down by 3 dB) and three times as much with N3D; a
plane wave and a diffuse field agree in that. Most sounds come from near the horizon, so that the
weakest of the three, when sounds begin, is the vertical one: the third channel in the order ACN
(W Y Z X) and the last in FuMa's (W X Y Z).
"""

import numpy as np

from tselcli.acoustics.ambisonics import PLACES, SCALES
from tselcli.acoustics.checkup import BAND_HZ, DECAY, N_FFT, Samples, spectra
from tselcli.acoustics.findings import Finding
from tselcli.acoustics.geometry import FOA, Ambisonics

TOLERANCE = 1.25  # of the ratio of powers; the scales are 1, 2 and 3
FLAT = 3.0  # times that a vertical channel is weaker than both others, to be known as such


def check_ambisonics(signal: Samples, rate: int, declared: Ambisonics) -> list[Finding]:
    """Compare order and scale with those that are declared.

    Args:
        signal: four channels (4, N), in the recording's order.
        rate: Hz.
        declared: convention.
    """
    ratio = power_ratio(signal, rate)
    seen = {name: (others / pressure) ** 2 for name, (pressure, others) in SCALES.items()}
    fits = {name: abs(np.log(ratio / wanted)) for name, wanted in seen.items()}
    likely = min(fits, key=lambda name: fits[name])
    vertical = vertical_channel(signal, rate)
    order_fits = vertical is None or vertical == PLACES[declared][2]
    scale_fits = fits[likely] > np.log(TOLERANCE) or likely == declared
    if scale_fits and order_fits:
        return []
    if scale_fits and not order_fits and likely == declared:
        likely = next(name for name in PLACES if PLACES[name][2] == vertical)
    names = {convention: name for name, convention in FOA.items()}
    what = (
        f"the channels are probably {LABELS[likely]}, not {LABELS[declared]} (the directional "
        f"channels have {ratio:.1f} times the power of W"
        + ("" if vertical is None else f", and channel {vertical + 1} looks like the vertical one")
        + ")"
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
