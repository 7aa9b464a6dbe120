"""The built-in corpus: kinds of everyday sounds, synthesised from a label and a seed.

No file is needed. A clip is a (label, seed) pair; the seed draws its pitch, pace, timbre and
length, and the same pair gives the same samples everywhere. The splits use disjoint seeds, and
test clips are described by sentences that training never sees.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tselcli.corpora.clip import Clip
from tselcli.corpora.sound_kind import SoundKind, finish
from tselcli.corpora.sounds_animal import ANIMALS
from tselcli.corpora.sounds_bird import BIRDS_AND_INSECTS
from tselcli.corpora.sounds_human import PEOPLE
from tselcli.corpora.sounds_impact import IMPACTS
from tselcli.corpora.sounds_machine import MACHINES
from tselcli.corpora.sounds_music import MUSIC
from tselcli.corpora.sounds_nature import NATURE
from tselcli.corpora.sounds_signal import SIGNALS
from tselcli.corpora.sounds_vehicle import VEHICLES
from tselcli.errors import DataError

SOURCE = "synthetic"

KINDS: dict[str, SoundKind] = {
    kind.label: kind
    for kind in (
        *ANIMALS,
        *BIRDS_AND_INSECTS,
        *PEOPLE,
        *VEHICLES,
        *MACHINES,
        *SIGNALS,
        *MUSIC,
        *IMPACTS,
        *NATURE,
    )
}

PER_LABEL = {"train": 24, "val": 4, "test": 8}  # clips, unless asked otherwise
FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}
MAX_PER_LABEL = 1_000_000  # beyond it the seeds of two splits would meet


def synthesise(label: str, seed: int, sample_rate: int) -> NDArray[np.float32]:
    """Synthesise one sound.

    Args:
        label: a key of ``KINDS``.
        seed: not negative; draws what varies within the kind.
        sample_rate: in Hz, 8000 or more. Another rate gives the same sound, with the same events
            at the same times, but other noise in it.

    Returns:
        Mono (N,) float32 of 0.5 to 8 s and peak 0.9, the same on every machine.

    Raises:
        DataError: no such label.
    """
    if label not in KINDS:
        raise DataError(f"{label}: no such synthetic sound; there are {', '.join(sorted(KINDS))}")
    rng = np.random.default_rng([seed, crc32(label.encode())])
    return finish(KINDS[label].synthesise(rng, sample_rate), sample_rate)


def synthetic_clips(split: str, per_label: int | None = None) -> tuple[Clip, ...]:
    """List the clips of a split; nothing is synthesised yet.

    Args:
        split: ``train``, ``val`` or ``test``.
        per_label: clips of each kind; None is 24 for train, 4 for val and 8 for test.

    Returns:
        ``per_label`` clips of every kind, kind by kind, with ids like
        ``synthetic/siren/train_003``.

    Raises:
        DataError: no such split, or a number of clips that it cannot have.
    """
    if split not in PER_LABEL:
        raise DataError(f"{split}: no such split; choose train, val or test")
    count = PER_LABEL[split] if per_label is None else per_label
    if not 1 <= count <= MAX_PER_LABEL:
        raise DataError(f"per_label={count}: cannot be done; choose 1 to {MAX_PER_LABEL}")
    return tuple(
        Clip(
            id=f"{SOURCE}/{kind.label}/{split}_{index:03d}",
            label=kind.label,
            captions=kind.captions_test if split == "test" else kind.captions_train,
            split=split,
            groups=kind.groups,
            path=None,
            seed=FIRST_SEED[split] + index,
            source=SOURCE,
        )
        for kind in KINDS.values()
        for index in range(count)
    )
