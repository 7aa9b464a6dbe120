import numpy as np
import pytest

from tselcli.errors import DataError
from tselcli.teachers.teacher import open_teacher

pytest.importorskip("onnxruntime")


def test_a_sound_is_told_as_the_graph_says_however_loud_it_was(tmp_path, write_loudness):
    write_loudness(tmp_path / "teacher.onnx")
    teacher = open_teacher(tmp_path / "teacher.onnx", 8000)
    assert (teacher.rate, teacher.n_classes) == (8000, 2)
    sound = np.tile([3.0, -3.0], 8000)
    embedding, odds = teacher.hear(sound)
    np.testing.assert_allclose(odds, [0.25, -0.25], rtol=1e-6)
    np.testing.assert_array_equal(embedding, odds)
    short = teacher.hear(sound[:2000])[1]  # a quarter of a second, and silence after it
    np.testing.assert_allclose(short, [0.0625, -0.0625], rtol=1e-6)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"embedding": False}, r"it gives \[\(\(1, 2\),\)\]; export it so"),
        ({"length": 8000}, "Got invalid dimensions for input"),
        ({"flip": "Abs"}, "it gives probabilities; export it so"),
        (
            {"inputs": ("sound", "other")},
            r"not a classifier of sounds \(1, N\) .*it takes 2 inputs",
        ),
    ],
)
def test_other_graphs_are_one_line(tmp_path, sets, words, write_loudness):
    write_loudness(tmp_path / "teacher.onnx", **sets)
    with pytest.raises(DataError, match=words) as refused:
        open_teacher(tmp_path / "teacher.onnx", 8000)
    assert "\n" not in str(refused.value)


def test_what_is_no_graph_is_one_line(tmp_path):
    (tmp_path / "teacher.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match=r"teacher\.onnx: not an ONNX model") as refused:
        open_teacher(tmp_path / "teacher.onnx", 8000)
    assert "\n" not in str(refused.value)
