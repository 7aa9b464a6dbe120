"""Do all channels run by one clock?

In every second of sound the direction is found from all other channels; a channel on the same
clock then comes exactly when the direction says, whether the source moves or rests. One on
another clock comes later and later: a straight line over time.
"""

import numpy as np

from tselcli.acoustics.checkup import AZIMUTHS, Samples
from tselcli.acoustics.findings import Finding
from tselcli.acoustics.geometry import Floats, delays

WINDOW_S, STEP_S = 1.0, 0.5
REACH_S = 0.02  # lags that are looked at
TOP_HZ = 4000.0
LEAST_WINDOWS = 6
QUIET = 0.01  # power of a window, relative to the loudest, that is mostly echo
LEAST_S = 1.2e-4  # of lag over the recording; one clock gives 9e-5 at most, where sources change
STRAIGHT = 0.06  # typical distance from the line, as a share of the whole lag


def check_clocks(signal: Samples, rate: int, mics: Floats, channels: list[int]) -> list[Finding]:
    """Look for a channel that drifts, or that is late all the time.

    Args:
        signal: (C, N), none of them silent.
        rate: Hz.
        mics: positions (C, 3), metres; all the same for ambisonics.
        channels: of the recording, from 0, that the microphones are on.
    """
    lags = channel_lags(signal, rate, mics)  # (W, C)
    if len(lags) < LEAST_WINDOWS:
        return []
    lines = [_line(lags[:, channel]) for channel in range(lags.shape[1])]
    # The others are heard beside a beam that holds the drifting one: their lines are less straight.
    straight = [
        channel
        for channel, (_, drift, off) in enumerate(lines)
        if abs(drift) > LEAST_S and off < STRAIGHT * abs(drift)
    ]
    if straight:
        worst = min(straight, key=lambda channel: lines[channel][2] / abs(lines[channel][1]))
        name, ppm = channels[worst] + 1, 1e6 * abs(lines[worst][1]) / (len(lags) * STEP_S)
        what = f"channel {name} drifts by about {ppm:.0f} ppm against the others: another clock"
        remedy = "record all channels with one device, or resample the one that drifts"
        return [Finding("drift", (name,), what, remedy)]
    late = int(np.argmax([abs(line[0]) for line in lines]))
    middle, _, off = lines[late]
    second = max(abs(line[0]) for k, line in enumerate(lines) if k != late)
    if abs(middle) > 4 * LEAST_S and off < STRAIGHT * abs(middle) and second < abs(middle) / 2:
        what = f"channel {channels[late] + 1} is {1000 * middle:+.1f} ms late against the others"
        remedy = "shift that channel, or record all channels with one device"
        return [Finding("offset", (channels[late] + 1,), what, remedy)]
    return []


def channel_lags(signal: Samples, rate: int, mics: Floats) -> Floats:
    """Say how late each channel is beside what the others' direction lets expect.

    Returns:
        Seconds (W, C) for every window that is loud enough.
    """
    size, step = round(WINDOW_S * rate), round(STEP_S * rate)
    starts = range(0, signal.shape[1] - size + 1, step)
    powers = [float((signal[:, start : start + size] ** 2).mean()) for start in starts]
    rows = [
        _window_lags(signal[:, start : start + size], rate, mics)
        for start, power in zip(starts, powers, strict=True)
        if power > QUIET * max(powers)
    ]
    return np.array(rows).reshape(-1, len(mics))


def _window_lags(piece: Samples, rate: int, mics: Floats) -> Floats:
    """Find the lags (C,) of one window."""
    size = 2 * piece.shape[1]
    spectrum = np.fft.rfft(piece * np.hanning(piece.shape[1]), n=size)
    spectrum /= np.maximum(np.abs(spectrum), 1e-12)
    hertz = np.fft.rfftfreq(size, 1 / rate)
    spectrum *= (hertz > 100) & (hertz < TOP_HZ)
    reach = round(REACH_S * rate)
    late = delays(mics, AZIMUTHS)  # (A, C)
    lags = np.zeros(len(mics))
    for channel in range(len(mics)):
        others = [index for index in range(len(mics)) if index != channel]
        azimuth = _best_azimuth(spectrum[others], hertz, late[:, others])
        beam = np.sum(
            spectrum[others] * np.exp(2j * np.pi * hertz * late[azimuth, others][:, None]), axis=0
        )
        mine = spectrum[channel] * np.exp(2j * np.pi * hertz * late[azimuth, channel])
        correlation = np.fft.irfft(mine * beam.conj(), n=size)
        around = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
        lags[channel] = (_summit(around) - reach) / rate
    return lags


def _best_azimuth(spectrum: np.ndarray, hertz: Floats, late: Floats) -> int:  # type: ignore[type-arg]
    """Steer (C, F) over azimuths, by every sixteenth bin: the index of the best."""
    some = slice(None, None, 16)
    steer = np.exp(2j * np.pi * hertz[some] * late[..., None])  # (A, C, F)
    return int((np.abs((steer * spectrum[:, some]).sum(axis=1)) ** 2).sum(axis=1).argmax())


def _summit(correlation: Floats) -> float:
    """Find the highest point between samples by a parabola."""
    top = int(np.clip(correlation.argmax(), 1, len(correlation) - 2))
    before, here, after = correlation[top - 1 : top + 2]
    bend = min(float(before - 2 * here + after), -1e-12)
    return top + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _line(lags: Floats) -> tuple[float, float, float]:
    """Fit a line by medians (Theil and Sen): its middle, its whole rise, and the typical miss."""
    time = np.arange(len(lags), dtype=np.float64)
    first, second = np.triu_indices(len(lags), k=1)
    slope = float(np.median((lags[second] - lags[first]) / (time[second] - time[first])))
    middle = float(np.median(lags))
    rest = lags - slope * (time - time.mean())
    miss = float(np.median(np.abs(rest - np.median(rest))))
    return middle, slope * len(lags), miss
