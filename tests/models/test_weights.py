import hashlib
import os

import pytest

from tselcli.errors import CheckpointError
from tselcli.models import weights
from tselcli.models.registry import ENCODERS, open_text_encoder, open_token_encoder
from tselcli.models.weights import CATALOGUE, digest, digest_of, find_weights, verify

pytestmark = pytest.mark.usefixtures("bare_machine")


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"content of {name}")
    return folder


def test_every_encoder_is_in_the_catalogue():
    assert set(ENCODERS) - {"compact"} == set(CATALOGUE)


def test_digest_is_sha256_and_remembered(tmp_path, monkeypatch):
    path = fill(tmp_path, "x") / "x"
    expected = hashlib.sha256(b"content of x").hexdigest()
    assert digest(path) == expected
    monkeypatch.setattr(weights, "BLOCK", None)  # reading it again would fail
    assert digest(path) == expected


def test_a_changed_file_is_hashed_again(tmp_path):
    path = fill(tmp_path, "x") / "x"
    before = digest(path)
    path.write_text("content of y")  # as long as before
    os.utime(path, ns=(1, 1))
    assert digest(path) != before


def test_digest_of_a_model_depends_on_every_file_but_not_on_the_place(tmp_path):
    here, there = fill(tmp_path / "a", "x", "y"), fill(tmp_path / "b", "x", "y")
    same = [digest_of({name: folder / name for name in "xy"}) for folder in (here, there)]
    assert same[0] == same[1]
    (there / "y").write_text("other")
    assert digest_of({name: there / name for name in "xy"}) != same[0]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("TSEL_CACHE", str(tmp_path / "in the way" / "cache"))
    path = fill(tmp_path, "x") / "x"
    assert digest(path) == hashlib.sha256(b"content of x").hexdigest()


def test_a_file_that_does_not_match_its_checksum_is_refused(bert_folder, tmp_path):
    for path in bert_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    listed = tmp_path / "model.safetensors.sha256"
    listed.write_text(digest(tmp_path / "model.safetensors") + "  model.safetensors\n")
    open_token_encoder("bert", str(tmp_path))
    listed.write_text("0" * 64)
    with pytest.raises(CheckpointError, match=r"model.safetensors: SHA-256 is .* instead of 0000"):
        open_token_encoder("bert", str(tmp_path))
    listed.write_text("")
    with pytest.raises(CheckpointError, match="SHA-256"):
        verify(tmp_path / "model.safetensors")


def test_a_checkpoint_of_clap_needs_roberta_beside_it(tmp_path):
    folder = fill(tmp_path / "clap", "630k-audioset-best.pt")
    with pytest.raises(CheckpointError, match=r"^clap: vocab.json of roberta-base is not on this"):
        find_weights("clap", str(folder))
    ours = fill(tmp_path / "tsel" / "models" / "clap", "vocab.json", "merges.txt")
    found = find_weights("clap", str(folder))
    assert found["630k-audioset-best.pt"] == folder / "630k-audioset-best.pt"
    assert found["vocab.json"] == ours / "vocab.json"
    fill(folder, "vocab.json", "merges.txt")
    assert find_weights("clap", str(folder))["vocab.json"] == folder / "vocab.json"


def test_half_a_tokenizer_is_none(tmp_path):
    folder = fill(tmp_path / "clap", "630k-audioset-best.pt", "vocab.json")
    with pytest.raises(CheckpointError, match=r"^clap: merges.txt of roberta-base"):
        find_weights("clap", str(folder))


def test_a_checkpoint_that_is_not_here_says_how_to_get_it():
    expected = (
        r"^clap: 630k-audioset-best.pt of lukewys/laion_clap is not .*`tsel models fetch clap`"
    )
    with pytest.raises(CheckpointError, match=expected):
        open_text_encoder("clap")
    expected = r"^my.pt: no such file or folder; `tsel models ls`"
    with pytest.raises(CheckpointError, match=expected):
        open_text_encoder("clap", "my.pt")


def test_either_weight_format_will_do_the_safe_one_first(tmp_path):
    folder = fill(tmp_path / "t5", "config.json", "tokenizer.json", "pytorch_model.bin")
    assert "pytorch_model.bin" in find_weights("flan-t5", str(folder))
    fill(folder, "model.safetensors")
    assert "pytorch_model.bin" not in find_weights("flan-t5", str(folder))
