"""What a check of a recording can find, and the way out of it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "channels",
    "silent",
    "clipping",
    "copy",
    "polarity",
    "swap",
    "spacing",
    "ambisonics",
    "drift",
    "offset",
]


@dataclass(frozen=True)
class Finding:
    """One thing that is probably wrong.

    Attributes:
        kind: of the trouble.
        channels: of the recording, counted from 1; empty where it is of all.
        what: a sentence.
        remedy: the way out.
    """

    kind: Kind
    channels: tuple[int, ...]
    what: str
    remedy: str
