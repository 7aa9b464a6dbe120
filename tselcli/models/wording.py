"""Other ways to say it: more texts out of a list of captions, for distilling a text encoder.

A caption list holds whole sentences, while a query is often a word, a fragment or a phrase such
as "the sound of rain". So the list is widened with the clauses of its captions, with phrases
around short texts, with captions that lack words, with two captions joined, and with single
words of the vocabulary. The teacher embeds every text of the widened list. Typing errors are
the exception: there the student has to give what the teacher gives for the text without them.
"""

import re
from collections.abc import Sequence

import numpy as np

PHRASES = (
    "the sound of {}",
    "sound of {}",
    "a recording of {}",
    "I hear {}",
    "{} in the distance",
    "{} nearby",
    "{} in the background",
    "a loud {}",
    "{} can be heard",
    "{} outside",
    "where is the {}",
    "someone hears {}",
    "faint {}",
    "{} again and again",
)
JOINTS = ("{} and {}", "{}, then {}", "{} while {}", "{} followed by {}", "{} with {}", "{}. {}")
CLAUSE_END = re.compile(r"[,.;]|\b(?:and|while|as|then|followed by|with|before|after)\b", re.I)
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def widen(
    captions: Sequence[str], vocabulary: Sequence[str], share: float, rng: np.random.Generator
) -> list[str]:
    """Make a larger, varied list of texts, without repetitions.

    Args:
        captions: texts to start from; all of them are kept, and stand first.
        vocabulary: word pieces; those that are whole words become texts too.
        share: texts of each further kind, as a share of the number of captions.
        rng: decides what is varied, and how.
    """
    captions = list(dict.fromkeys(captions))
    count = round(share * len(captions))
    clauses = [clause for caption in captions for clause in clauses_of(caption)]
    words = [
        piece for piece in vocabulary if len(piece) > 2 and piece.isascii() and piece.isalpha()
    ]
    short = [text for text in [*captions, *clauses] if len(text.split()) <= 5]
    kinds = [
        captions,
        _pick(list(dict.fromkeys(clauses)), count, rng),
        [_draw(PHRASES, rng).format(text) for text in _pick(short, count, rng)],
        [drop_words(text, rng) for text in _pick(captions, count // 2, rng)],
        _pairs(captions, count // 4, rng),
        words,
        [f"{_draw(words, rng)} {word}" for word in _pick(words, len(words) // 2, rng)],
    ]
    return list(dict.fromkeys(text for kind in kinds for text in kind))


def clauses_of(caption: str) -> list[str]:
    """Split a caption at commas and conjunctions; a caption of one clause gives nothing."""
    parts = [part.strip() for part in CLAUSE_END.split(caption)]
    return [part for part in parts if len(part) > 1] if len(parts) > 1 else []


def drop_words(text: str, rng: np.random.Generator, share: float = 0.25) -> str:
    """Leave out about a share of the words, never all of them."""
    words = text.split()
    kept = [word for word in words if rng.random() >= share]
    return " ".join(kept or words[:1])


def join(first: str, second: str, rng: np.random.Generator) -> str:
    """Describe two sounds in one text."""
    return _draw(JOINTS, rng).format(first.rstrip("."), second)


def _pairs(captions: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    if len(captions) < 2:
        return []
    drawn = (_pick(captions, 2, rng) for _ in range(count))
    return [join(first, second, rng) for first, second in drawn]


def mistype(text: str, rng: np.random.Generator) -> str:
    """Make one typing error: a letter lost, doubled, swapped with the next or a key beside it."""
    spots = [spot for spot, letter in enumerate(text[:-1]) if letter.isalpha()]
    if not spots:
        return text
    spot = int(rng.choice(spots))
    before, letter, following, after = text[:spot], text[spot], text[spot + 1], text[spot + 2 :]
    errors = (
        following,
        letter + letter + following,
        following + letter,
        _key_beside(letter) + following,
    )
    return before + _draw(errors, rng) + after


def _key_beside(letter: str) -> str:
    for row in KEYBOARD:
        place = row.find(letter.lower())
        if place >= 0:
            return row[place + 1] if place + 1 < len(row) else row[place - 1]
    return letter


def _draw(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _pick(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Draw different texts, as many as asked for or as there are."""
    chosen = rng.choice(len(texts), size=min(count, len(texts)), replace=False)
    return [texts[int(index)] for index in chosen]
