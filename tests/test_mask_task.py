"""What training takes from a teacher's lessons."""

import numpy as np
import pytest
import torch

from tselcli.corpora.clip import Clip
from tselcli.errors import DataError
from tselcli.mask_task import MaskTask
from tselcli.models.lessons import Lessons, save_lessons
from tselcli.models.mixer import Stem
from tselcli.recipe import recipe_from_dict

LABELS = ("dog", "rain", "bell", "saw")
NAMES = ["Bark", "Rain", "Bell, big"]


def stems():
    rng = np.random.default_rng(0)
    clips = [
        Clip(f"id of {label}", label, (f"a {label}", f"one {label}"), "train", frozenset(), None)
        for label in LABELS
    ]
    return [Stem(clip, rng.uniform(-3, 0, (120, 64)).astype(np.float16)) for clip in clips]


def task(text, teacher, **mixing):
    rules = {"extra_queries": 4, "teacher": str(teacher), **mixing}
    model = {"width": 4, "levels": 2, "embed_dim": 6, "word_hidden": 5}
    recipe = recipe_from_dict(
        {"name": "test", "model": model, "mixing": rules, "train": {"batch_size": 4}}
    )
    return MaskTask(recipe, stems(), [], text, torch.device("cpu"))


def lessons(path, known=LABELS, odds=(), names=()):
    digests = [f"{label}/0" for label in known]
    rows = dict(zip(digests, torch.tensor(odds), strict=True)) if names else {}
    vectors = dict(zip(digests, torch.eye(len(known), 5), strict=True))
    save_lessons(path, Lessons(vectors, rows, tuple(names)))
    return path


@pytest.fixture
def odds():
    return np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)


def test_a_teacher_teaches_its_vectors_and_its_classes(tmp_path, text_encoder, odds):
    taught = lessons(tmp_path / "lessons.safetensors", odds=odds, names=NAMES)
    one = task(text_encoder, taught)
    assert one.parts == ("mask", "choice", "presence", "lesson", "classes")
    torch.testing.assert_close(one.names, text_encoder.encode(NAMES))
    loss, terms = one.loss(one.net)
    assert set(terms) == set(one.parts)
    assert terms["classes"] > 0
    heavier, same = (again := task(text_encoder, taught, classes_weight=1.5)).loss(again.net)
    assert same == terms
    assert (heavier - loss).item() == pytest.approx(terms["classes"], rel=1e-4)


def test_without_names_only_vectors_are_taught(tmp_path, text_encoder):
    one = task(text_encoder, lessons(tmp_path / "lessons.safetensors"))
    assert one.parts == ("mask", "choice", "presence", "lesson")
    assert one.names is None
    assert set(one.loss(one.net)[1]) == set(one.parts)


def test_recordings_that_the_teacher_never_heard_teach_nothing(tmp_path, text_encoder, odds):
    some = lessons(tmp_path / "some.safetensors", LABELS[:2], odds=odds[:2], names=NAMES)
    table = task(text_encoder, some).mixer.table
    assert table.odds.any(dim=1).sum() == table.lessons.any(dim=1).sum() == 2 < len(LABELS)
    none = lessons(tmp_path / "none.safetensors", ("cow",), odds=odds[:1], names=NAMES)
    with pytest.raises(DataError, match="knows none of the 4 training clips"):
        task(text_encoder, none)
