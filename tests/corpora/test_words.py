import pytest

from tselcli.corpora.words import alike, content_words, stem


@pytest.mark.parametrize(
    "forms",
    [
        ["bark", "barks", "barked", "barking"],
        ["run", "runs", "running"],
        ["buzz", "buzzes", "buzzing"],
        ["fly", "flies"],
        ["vehicle", "vehicles"],
        ["pass", "passes", "passing"],
        ["ring", "rings", "ringing"],
    ],
)
def test_forms_of_a_word_share_a_stem(forms):
    assert len({stem(form) for form in forms}) == 1


def test_different_words_keep_different_stems():
    words = ["bark", "ring", "sing", "bell", "dog", "train", "rain", "speed", "bus", "engine"]
    assert len({stem(word) for word in words}) == len(words)


def test_content_words_drop_grammar_people_and_loudness():
    assert content_words("A man is loudly hitting 2 nails in the background") == {"hit", "nail"}
    assert content_words("the sound of something") == frozenset()


@pytest.mark.parametrize("word", ["speaks", "talking", "speech", "voices", "narrates", "chatting"])
def test_all_words_of_speaking_are_one(word):
    assert content_words(f"a woman {word}") == {"speech"}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("A man speaks while a dog barks", "Women talking, then a train passes", True),
        ("a dog barks", "Several dogs are barking in the distance", True),
        ("birds chirp", "a bird sings as wind blows", True),  # half of the shorter one
        ("a dog barks", "a train passes by", False),
        ("a car horn honks twice", "waves hit the shore near a car", False),  # 1 of 4
        ("a man sneezes", "a man coughs", False),
        ("", "", True),
        ("狗在叫", "下雨了", False),
        ("of the", "a dog barks", False),
    ],
)
def test_alike_where_a_listener_would_hesitate(a, b, expected):
    assert alike(a, b) is expected
    assert alike(b, a) is expected
