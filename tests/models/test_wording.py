import numpy as np
import pytest

from tselcli.models import wording

CAPTIONS = ["a dog barks", "rain falls on a roof, and a car passes by", "a baby cries loudly."]
VOCABULARY = ["[CLS]", "##s", "!", "of", "bell", "drum", "café", "x1y", "horn"]


def test_keeps_the_captions_first_and_repeats_nothing():
    texts = wording.widen([*CAPTIONS, CAPTIONS[0]], VOCABULARY, 2.0, np.random.default_rng(0))
    assert texts[:3] == CAPTIONS
    assert len(set(texts)) == len(texts)


def test_adds_whole_words_of_the_vocabulary_only():
    texts = wording.widen(CAPTIONS, VOCABULARY, 0.0, np.random.default_rng(0))
    words = [text for text in texts if " " not in text]
    assert words == ["bell", "drum", "horn"]


def test_the_same_seed_gives_the_same_texts():
    first, again, other = (
        wording.widen(CAPTIONS, VOCABULARY, 2.0, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_one_caption_is_enough():
    texts = wording.widen(["a dog barks"], [], 8.0, np.random.default_rng(0))
    assert texts[0] == "a dog barks"
    assert any(text.replace("a dog barks", "{}") in wording.PHRASES for text in texts)


@pytest.mark.parametrize(
    ("caption", "clauses"),
    [
        ("rain falls on a roof, and a car passes by", ["rain falls on a roof", "a car passes by"]),
        ("A man speaks followed by a dog", ["A man speaks", "a dog"]),
        ("sand is poured", []),  # "and" inside a word divides nothing
        ("wind.", ["wind"]),
    ],
)
def test_divides_captions_into_clauses(caption, clauses):
    assert wording.clauses_of(caption) == clauses


def test_leaves_out_about_the_share_of_words_and_never_all():
    rng = np.random.default_rng(0)
    text = " ".join(f"w{index}" for index in range(1000))
    kept = wording.drop_words(text, rng, share=0.25).split()
    assert 700 < len(kept) < 800
    assert set(kept) < set(text.split())
    assert wording.drop_words("rain falls", rng, share=1.0) == "rain"


def test_joins_two_captions_whole():
    joined = wording.join("a dog barks.", "rain falls", np.random.default_rng(0))
    assert joined.startswith("a dog barks")
    assert joined.endswith("rain falls")
    assert joined in {joint.format("a dog barks", "rain falls") for joint in wording.JOINTS}


def edit_distance(first, second):
    """Count letters lost, added, replaced or swapped (optimal string alignment)."""
    rows = np.zeros((len(first) + 1, len(second) + 1), int)
    rows[:, 0], rows[0] = range(len(first) + 1), range(len(second) + 1)
    for i in range(1, len(first) + 1):
        for j in range(1, len(second) + 1):
            changed = first[i - 1] != second[j - 1]
            rows[i, j] = min(rows[i - 1, j - 1] + changed, rows[i - 1, j] + 1, rows[i, j - 1] + 1)
            if i > 1 and j > 1 and first[i - 2 : i] == second[j - 2 : j][::-1]:
                rows[i, j] = min(rows[i, j], rows[i - 2, j - 2] + 1)
    return rows[-1, -1]


def test_a_typing_error_is_one_edit():
    rng = np.random.default_rng(0)
    errors = {wording.mistype("A dog barks", rng) for _ in range(200)}
    distances = [edit_distance("A dog barks", error) for error in errors]
    assert max(distances) == 1
    assert {len(error) for error in errors} == {10, 11, 12}


def test_a_text_without_letters_keeps_its_spelling():
    assert wording.mistype("12 3", np.random.default_rng(0)) == "12 3"
    assert wording.mistype("", np.random.default_rng(0)) == ""
