import numpy as np
import pytest
import torch

from tselcli.errors import CheckpointError
from tselcli.models.lessons import Lessons, load_lessons, of_both, save_lessons, whitened


def test_whitening_lifts_the_weak_directions():
    rng = np.random.default_rng(0)
    spread = np.array([10.0, 1.0, 0.1])
    embeddings = (rng.standard_normal((500, 3)) * spread + 5).astype(np.float32)
    lessons = whitened(embeddings, 3)
    np.testing.assert_allclose(np.linalg.norm(lessons, axis=1), 1.0, atol=1e-5)
    before, after = spread[0] / spread[1], lessons.std(axis=0)[0] / lessons.std(axis=0)[1]
    assert 1.2 < after < before / 2


def test_no_more_directions_than_there_are():
    assert whitened(np.eye(4, 6, dtype=np.float32), 10).shape == (4, 4)


def test_lessons_come_back_by_digest(tmp_path):
    lessons = whitened(np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32), 4)
    vectors = dict(zip("abcde", torch.from_numpy(lessons), strict=True))
    save_lessons(tmp_path / "lessons.safetensors", Lessons(vectors, {}, ()))
    known = load_lessons(tmp_path / "lessons.safetensors")
    assert list(known.vectors) == list("abcde")
    torch.testing.assert_close(known.vectors["c"], torch.from_numpy(lessons[2]), atol=1e-3, rtol=0)
    assert known.odds == {}
    assert known.names == ()


def test_what_a_teacher_makes_of_its_classes_comes_back(tmp_path):
    vectors = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([0.0, 1.0])}
    odds = {"a": torch.tensor([1.5, -2.0, 0.0]), "b": torch.tensor([0.0, 0.5, 9.0])}
    path = tmp_path / "lessons.safetensors"
    save_lessons(path, Lessons(vectors, odds, ("Bark", "Rain", "Bell, big")))
    known = load_lessons(path)
    assert known.names == ("Bark", "Rain", "Bell, big")
    assert known.odds["b"].tolist() == [0.0, 0.5, 9.0]
    save_lessons(path, Lessons(vectors, odds, ("Bark", "Rain")))
    with pytest.raises(CheckpointError, match=r"holds no lessons .*2 names of other classes"):
        load_lessons(path)


def test_two_teachers_count_alike_however_bold_they_are():
    timid = Lessons(
        {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([0.0, 1.0])},
        {"a": torch.tensor([1.0, -1.0, 5.0]), "b": torch.tensor([-1.0, 1.0, 5.0])},
        ("Bark", "Rain", "Speech"),
    )
    bold = Lessons(
        {"b": torch.tensor([1.0]), "c": torch.tensor([1.0]), "a": torch.tensor([-1.0])},
        {
            "b": torch.tensor([9.0, -9.0]),
            "c": torch.tensor([0.0, 0.0]),
            "a": torch.tensor([9, -9.0]),
        },
        ("Rain", "Bark"),
    )
    both = of_both(timid, bold)
    assert list(both.vectors) == ["a", "b"]
    torch.testing.assert_close(both.vectors["a"], torch.tensor([1.0, 0.0, -1.0]) / 2**0.5)
    assert both.names == ("Bark", "Rain")
    torch.testing.assert_close(both.odds["a"], torch.zeros(2), atol=1e-6, rtol=0)  # they disagree
    scale = (torch.tensor([1.0, -1, -1, 1]).std() + torch.tensor([9.0, -9, -9, 9]).std()) / 2
    half = both.odds["b"] / scale
    torch.testing.assert_close(half.abs(), torch.full((2,), 3**0.5 / 2), atol=1e-4, rtol=0)
    assert half[1] > 0 > half[0]


def test_teachers_that_have_nothing_in_common_are_one_line():
    one = Lessons({"a": torch.ones(1)}, {"a": torch.ones(1)}, ("Bark",))
    other = Lessons({"a": torch.ones(1)}, {"a": torch.ones(1)}, ("Rain",))
    with pytest.raises(CheckpointError, match="1 recordings and 1 classes share 1 and 0 with"):
        of_both(one, other)
    with pytest.raises(CheckpointError, match="make both from the same corpus"):
        of_both(one, Lessons({"b": torch.ones(1)}, {"b": torch.ones(1)}, ("Bark",)))
    mute = of_both(Lessons({"a": torch.ones(1)}, {}, ()), Lessons({"a": torch.ones(2)}, {}, ()))
    assert mute.odds == {}
    assert len(mute.vectors["a"]) == 3


def test_what_holds_no_lessons_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such file; `tsel lessons`"):
        load_lessons(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="holds no lessons"):
        load_lessons(tmp_path / "other.safetensors")
