"""Answers while a recording goes on: what was heard last is asked again with every block.

blocks    |----|----|----|----|----|---- ...
window         [ the last 10 s    ] -> answers of this moment
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.wiring import wiring

if TYPE_CHECKING:
    from tselcli.models.localizer import Answer, Localizer


@dataclass(frozen=True)
class Moment:
    """What can be said when a block has come.

    Attributes:
        time_s: end of the block, seconds since the stream began.
        window_s: seconds of sound behind the answers.
        answers: one per query, in their order; none while all that was heard is silence.
    """

    time_s: float
    window_s: float
    answers: list["Answer"]


def stream(
    localizer: "Localizer",
    blocks: Iterable[npt.NDArray[Any]],
    sample_rate: int,
    queries: Sequence[str],
    array: MicArray,
    window_s: float = 10.0,
    alternatives: int = 3,
    track: bool = False,
) -> Iterator[Moment]:
    """Answer after every block of a stream, for the last ``window_s`` seconds.

    Args:
        localizer: whose model it is.
        blocks: of consecutive samples (C, n), float, finite; n may change.
        sample_rate: Hz.
        queries: descriptions.
        array: where the microphones stand.
        window_s: how far back an answer looks; memory is bounded by it.
        alternatives: further directions to give at most.
        track: also say where each sound is in every 100 ms of the window.

    Yields:
        A moment for every block that is not empty.

    Raises:
        DataError: the channels do not fit the array.
        ValueError: ``window_s`` is not positive.
    """
    size = round(window_s * sample_rate)
    if size < 1:
        raise ValueError(f"window_s={window_s} must hold at least one sample")
    heard, total = None, 0
    for block in blocks:
        wiring(array, len(block))
        if block.shape[1] == 0:
            continue
        heard = block if heard is None else np.concatenate([heard, block], axis=1)
        heard = heard[:, -size:]
        total += block.shape[1]
        answers = []
        if heard.any():
            answers = localizer.locate(heard, sample_rate, queries, array, alternatives, track)
        yield Moment(total / sample_rate, heard.shape[1] / sample_rate, answers)
