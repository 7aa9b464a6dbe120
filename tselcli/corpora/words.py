"""Which words of a caption say what is heard, and when two captions say the same.

In a corpus without kinds of sound (AudioCaps, Clotho) only the wording tells whether a caption
fits one of two clips or both. About a fifth of random AudioCaps pairs are ambiguous, nearly all
because both mention speech. The guard is simple on purpose: two captions are alike when both
mention speech, or when the shorter one shares at least half of its content words with the other.
"""

import re
from functools import lru_cache

ALIKE = 0.5  # share of the shorter caption's content words
SPEECH = "speech"  # the one word that stands for all of SPEECH_STEMS

_WORD = re.compile(r"[^\W\d_]+")
STOP_WORDS = frozenset(
    _WORD.findall(
        # grammar
        "a an the and or but then that this these those it its they their them he his she her of "
        "in on at to by with without for from into onto over under up down out off as while when "
        "after before during through is are was were be been being has have had do does not no "
        "some any each other another one two three several many few more very almost also "
        # words that fit any sound
        "sound sounds sounding noise noises noisy audio recording hear heard hearing loud loudly "
        "soft softly quiet quietly faint faintly gentle gently steady steadily slow slowly fast "
        "quick quickly continuous continuously constant constantly repeated repeatedly "
        "intermittent occasional occasionally various different type kind background foreground "
        "distance distant far near nearby close away around followed following follow follows "
        "begins begin starts start stops stop continues continue becomes gets makes making make "
        "made goes going go comes something someone thing time times again together "
        # who does it
        "man men woman women male female person people child children boy boys girl girls kid "
        "kids adult lady guy "
    )
)


def stem(word: str) -> str:
    """Cut the commonest English endings, so that 'barks', 'barked' and 'barking' are one word.

    Args:
        word: lower case.

    Returns:
        A stem of at least three letters; it need not be a word.
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("eed"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2]:  # running, buzzes
        word = word[:-1]
    return word


SPEECH_STEMS = frozenset(
    stem(word)
    for word in _WORD.findall(
        "speak spoke spoken speech speaker talk voice say said tell told narrate narration "
        "converse conversation chat chatter announce announcement whisper murmur mutter discuss "
        "discussion lecture preach dialogue dialog commentate commentator interview read recite"
    )
)


@lru_cache(maxsize=200_000)
def content_words(caption: str) -> frozenset[str]:
    """Give the stems of a caption that say what is heard; all words of speaking become one."""
    words = (w for w in _WORD.findall(caption.casefold()) if w not in STOP_WORDS and len(w) > 1)
    stems = (stem(word) for word in words)
    return frozenset(SPEECH if s in SPEECH_STEMS else s for s in stems)


def alike(a: str, b: str) -> bool:
    """Say whether two captions are so close that one may be taken for the other.

    Captions without a content word (such as those in another script) are alike only when equal.
    """
    if a.casefold() == b.casefold():
        return True
    first, second = content_words(a), content_words(b)
    if not first or not second:
        return False
    shared = first & second
    return SPEECH in shared or len(shared) >= ALIKE * min(len(first), len(second))
