"""Which channel of a recording belongs to which microphone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import MicArray
from tselcli.errors import DataError


def wiring(array: MicArray, n_channels: int) -> list[int]:
    """List the channel of a recording, from 0, that every microphone of an array is on.

    Args:
        array: microphones or ambisonics.
        n_channels: of the recording.

    Raises:
        DataError: the recording has too few channels, or more than the array knows of.
    """
    if array.channels is not None:
        missing = [channel + 1 for channel in array.channels if channel >= n_channels]
        if missing:
            raise DataError(
                f"the recording has {n_channels} channel(s), but the array {array.name} takes "
                f"channel {missing[0]}; mend its 'channels', or give another with --array"
            )
        return list(array.channels)
    if n_channels != len(array.mics):
        kind = "microphones" if array.foa is None else "ambisonic channels"
        raise DataError(
            f"the recording has {n_channels} channel(s), but the array {array.name} "
            f"has {len(array.mics)} {kind}; give the right one with --array"
        )
    return list(range(n_channels))


def wired(signal: npt.NDArray[Any], array: MicArray) -> npt.NDArray[Any]:
    """Bring the channels of a recording (C', N) into the order of an array's microphones (C, N).

    Raises:
        DataError: they do not fit the array.
    """
    if array.channels is None:
        wiring(array, len(signal))
        return signal
    return np.asarray(signal[wiring(array, len(signal))])
