import pytest

from tselcli.corpora.clip import Clip, Corpus
from tselcli.corpora.wordings import with_captions, with_labels
from tselcli.dataset import corpus_of
from tselcli.errors import DataError
from tselcli.recipe import load_recipe

SPLITS = ("train", "val", "test")


def corpus():
    clips = [
        Clip(f"{label} {k}", label, (f"a {label}",), "train", frozenset(), None)
        for label in ("dog", "bell")
        for k in range(2)
    ]
    return Corpus("some", tuple(clips))


def test_captions_go_to_all_clips_of_their_label(tmp_path):
    table = tmp_path / "more.csv"
    table.write_text("label,caption\ndog,a hound\ndog,a dog\ncat,a tom\n", encoding="utf-8")
    described = with_captions(corpus(), [str(table)])
    assert [clip.captions for clip in described.clips] == [
        ("a dog", "a hound"),
        ("a dog", "a hound"),
        ("a bell",),
        ("a bell",),
    ]


def test_without_tables_nothing_changes():
    assert with_captions(corpus(), []) == corpus()


def test_a_bad_table_names_itself(tmp_path):
    table = tmp_path / "more.csv"
    table.write_text("name,caption\ndog,a hound\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"more\.csv.*label"):
        with_captions(corpus(), [str(table)])


def test_only_training_clips_get_further_captions(tmp_path):
    table = tmp_path / "more.csv"
    recipe = load_recipe("mask", [f"corpus.captions=[{table}]"])
    label = corpus_of(recipe, "val").clips[0].label
    table.write_text(f"label,caption\n{label},something else entirely\n", encoding="utf-8")
    described = {
        split: [c.captions for c in corpus_of(recipe, split).clips if c.label == label]
        for split in ("train", "val", "test")
    }
    assert all("something else entirely" in captions for captions in described["train"])
    assert not any("something else entirely" in c for c in described["val"] + described["test"])


def test_the_bundled_captions_repeat_nothing():
    from tselcli.corpora.tables import read_table
    from tselcli.corpora.wordings import _find

    rows = [tuple(row.cells.values()) for row in read_table(_find("paraphrases"), ["label"])]
    assert len(rows) > 33_000
    assert len(set(rows)) == len(rows)


def many(count=400):
    clips = [
        Clip(f"{k}", f"label {k}", ("some",), "train", frozenset(), None) for k in range(count)
    ]
    return Corpus("many", tuple(clips))


def test_held_out_labels_are_a_share_and_the_rest_is_known():
    strange = {c.label for c in with_labels(many(), 0.1, "held-out").clips}
    known = {c.label for c in with_labels(many(), 0.1, "known").clips}
    assert 20 <= len(strange) <= 60
    assert not strange & known
    assert len(strange | known) == 400
    more = {c.label for c in with_labels(many(500), 0.1, "held-out").clips}
    assert {label for label in more if int(label.split()[1]) < 400} == strange
    assert with_labels(many(), 0.0, "known") == many()


def test_no_label_left_is_said():
    with pytest.raises(DataError, match=r"no held-out label among 400; change corpus\.held_out"):
        with_labels(many(), 0.0, "held-out")


def test_training_never_meets_what_is_held_out():
    recipe = load_recipe("mask", ["corpus.held_out=0.3", "corpus.labels=held-out"])
    labels = {split: {c.label for c in corpus_of(recipe, split).clips} for split in SPLITS}
    assert labels["train"]
    assert labels["test"] == labels["val"]
    assert not labels["train"] & labels["test"]


def test_a_recipe_without_held_out_labels_trains_on_all():
    recipe = load_recipe("mask", ["corpus.labels=known"])
    assert len({c.label for c in corpus_of(recipe, "train").clips}) == 55
