import numpy as np
import pytest
import torch

from tselcli.errors import CheckpointError
from tselcli.models.lessons import load_lessons, save_lessons, whitened


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
    save_lessons(tmp_path / "lessons.safetensors", list("abcde"), lessons)
    known = load_lessons(tmp_path / "lessons.safetensors")
    assert list(known.vectors) == list("abcde")
    torch.testing.assert_close(known.vectors["c"], torch.from_numpy(lessons[2]), atol=1e-3, rtol=0)
    assert known.odds == {}
    assert known.names == ()


def test_what_a_teacher_makes_of_its_classes_comes_back(tmp_path):
    odds = np.array([[1.5, -2.0, 0.0], [0.0, 0.5, 9.0]], dtype=np.float32)
    path = tmp_path / "lessons.safetensors"
    save_lessons(path, ["a", "b"], np.eye(2, dtype=np.float32), odds, ["Bark", "Rain", "Bell, big"])
    known = load_lessons(path)
    assert known.names == ("Bark", "Rain", "Bell, big")
    assert known.odds["b"].tolist() == [0.0, 0.5, 9.0]
    save_lessons(path, ["a", "b"], np.eye(2, dtype=np.float32), odds, ["Bark", "Rain"])
    with pytest.raises(CheckpointError, match=r"holds no lessons .*2 names of other classes"):
        load_lessons(path)


def test_what_holds_no_lessons_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such file; `tsel lessons`"):
        load_lessons(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="holds no lessons"):
        load_lessons(tmp_path / "other.safetensors")
