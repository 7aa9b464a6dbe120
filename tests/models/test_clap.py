import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tselcli.errors import CheckpointError
from tselcli.models.clap import HfClap, LaionClap
from tselcli.models.clap_weights import read_laion_checkpoint, to_transformers
from tselcli.models.registry import open_audio_encoder, open_text_encoder
from tselcli.models.weights import find_weights

pytestmark = pytest.mark.usefixtures("bare_machine")
TEXTS = ["a dog barking", "Rain falls on a roof.", "dog " * 600]
RATE = 48_000


def noise(seconds, rate=RATE, scale=0.1):
    sound = np.random.default_rng(0).standard_normal(int(seconds * rate)) * scale
    return sound.astype(np.float32)


@pytest.fixture(scope="module")
def files(laion_checkpoint):
    folder = laion_checkpoint.parent
    names = (laion_checkpoint.name, "vocab.json", "merges.txt")
    return {name: folder / name for name in names}


@pytest.fixture(scope="module")
def clap(laion_checkpoint):
    return open_text_encoder("clap", str(laion_checkpoint))


@pytest.fixture(scope="module")
def clap_hf(files):
    return HfClap(files)


@pytest.fixture(params=["clap", "clap_hf"])
def either(request):
    return request.getfixturevalue(request.param)


def test_gives_what_the_package_itself_gives(clap, laion_module):
    with torch.no_grad():
        expected = laion_module.get_text_embedding(TEXTS, use_tensor=True)
    assert (clap.encode(TEXTS) - expected).abs().max() < 1e-6
    heard = laion_module.get_audio_embedding_from_data(noise(3)[None], use_tensor=False)
    assert np.abs(clap.encode_audio(noise(3), RATE).numpy() - heard[0]).max() < 1e-6


def test_names_find_their_classes(clap, laion_checkpoint):
    assert type(clap) is LaionClap
    assert type(open_audio_encoder("clap-hf", str(laion_checkpoint))) is HfClap


def test_both_agree_on_the_same_weights(clap, clap_hf):
    assert (clap.encode(TEXTS) - clap_hf.encode(TEXTS)).abs().max() < 1e-4
    for sound in (noise(3), noise(12), noise(10, scale=0.5), noise(0.01)):
        difference = clap.encode_audio(sound, RATE) - clap_hf.encode_audio(sound, RATE)
        assert difference.abs().max() < 1e-4


def test_agreement_means_something(clap):
    texts = clap.encode(TEXTS)
    assert (texts[0] - texts[1]).abs().max() > 1e-2
    sounds = [clap.encode_audio(sound, RATE) for sound in (noise(3), noise(3, scale=1e-3))]
    assert (sounds[0] - sounds[1]).abs().max() > 1e-2


def test_a_folder_of_transformers_gives_the_same(clap_hf, files, tmp_path):
    clap_hf._clap.save_pretrained(tmp_path)
    clap_hf._extractor.save_pretrained(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes(files[name].read_bytes())
    text = open_text_encoder("clap-hf", str(tmp_path))
    close = {"rtol": 0, "atol": 1e-6}  # sums depend on how memory is aligned
    torch.testing.assert_close(text.encode(TEXTS), clap_hf.encode(TEXTS), **close)
    mine, theirs = (one.encode_audio(noise(1), RATE) for one in (text, clap_hf))
    torch.testing.assert_close(mine, theirs, **close)


def test_vectors_have_unit_length_and_no_gradient(either):
    texts, sound = either.encode(TEXTS), either.encode_audio(noise(1), RATE)
    assert (texts.shape, sound.shape, either.dim) == ((3, 512), (512,), 512)
    assert torch.allclose(texts.norm(dim=-1), torch.ones(3), atol=1e-6)
    assert sound.norm().item() == pytest.approx(1, abs=1e-6)
    assert not texts.requires_grad
    assert not sound.requires_grad
    assert either.encode([]).shape == (0, 512)


def test_only_the_first_ten_seconds_are_heard(either):
    long = noise(14)
    whole = either.encode_audio(long, RATE)
    assert torch.equal(whole, either.encode_audio(long, RATE))
    assert torch.equal(whole, either.encode_audio(long[: 10 * RATE], RATE))


def test_a_long_text_is_cut(either):
    long, longer = either.encode(["dog " * 600]), either.encode(["dog " * 700])
    assert torch.equal(long, longer)


def test_other_texts_in_a_batch_change_nothing(either):
    alone = torch.cat([either.encode([text]) for text in TEXTS])
    assert (either.encode(TEXTS) - alone).abs().max() < 1e-5


def test_other_rates_are_resampled(clap):
    time = np.arange(32_000 * 3) / 32_000
    slow = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    fast = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE * 3) / RATE)).astype(np.float32)
    cosine = clap.encode_audio(slow, 32_000) @ clap.encode_audio(fast, RATE)
    assert cosine > 0.999
    assert clap.encode_audio(slow, 32_000) @ clap.encode_audio(slow, RATE) < cosine


FRESH = """
import socket, sys
def refuse(*arguments):
    raise AssertionError("asked the network")
socket.getaddrinfo = socket.socket.connect = refuse
before = list(sys.path)
from tselcli.models.registry import open_text_encoder
clap = open_text_encoder("clap", sys.argv[1])
import transformers
assert sys.path == before, set(sys.path) - set(before)
assert "from_pretrained" not in vars(transformers.RobertaTokenizer)
assert "from_pretrained" not in vars(transformers.RobertaModel)
print(*clap.encode(["a dog barking"])[0].tolist())
"""


def test_a_fresh_process_needs_no_hub_and_leaves_everything_as_it_was(
    clap, laion_checkpoint, tmp_path
):
    home = {"HF_HOME": str(tmp_path), "TSEL_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FRESH, str(laion_checkpoint)],
        env={**os.environ, **home},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = torch.tensor([float(number) for number in done.stdout.split()])
    assert (found - clap.encode(["a dog barking"])[0]).abs().max() < 1e-5


def test_every_weight_of_transformers_comes_from_the_checkpoint(laion_checkpoint, clap_hf):
    renamed = to_transformers(read_laion_checkpoint(laion_checkpoint))
    assert {name for name, _ in clap_hf._clap.named_parameters()} <= set(renamed)
    assert set(renamed) <= set(clap_hf._clap.state_dict())


def test_tokenizer_is_found_beside_the_checkpoint_or_in_the_hub(
    laion_checkpoint, hub, tmp_path, monkeypatch
):
    assert find_weights("clap", str(laion_checkpoint))["vocab.json"].parent == (
        laion_checkpoint.parent
    )
    lonely = tmp_path / "my.pt"
    lonely.touch()
    with pytest.raises(CheckpointError, match=r"^clap: vocab.json of roberta-base is not on this"):
        find_weights("clap", str(lonely))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    assert hub in find_weights("clap", str(lonely))["vocab.json"].parents


class Rude:
    """Pickled, it would write a file where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_no_code_of_a_checkpoint_is_run(tmp_path):
    torch.save({"state_dict": Rude(tmp_path / "written")}, tmp_path / "rude.pt")
    with pytest.raises(CheckpointError, match="not a PyTorch file of plain tensors"):
        read_laion_checkpoint(tmp_path / "rude.pt")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {"module.x": 3}}, "holds no network"),
        ({"epoch": 3}, "holds no network"),
        ({"x": torch.ones(2)}, r"holds no CLAP \(1 tensors, none of them text_branch"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "wrong.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=f"{path}: {message}.*tsel models fetch clap"):
        read_laion_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"no pickle at all", pickle.dumps([1, 2])])
def test_a_damaged_file_is_one_clear_error(tmp_path, content):
    path = tmp_path / "damaged.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path}: .*tsel models fetch clap"):
        read_laion_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("audio_branch.patch_embed.mel_conv2d.weight", torch.ones(1), "a fusion checkpoint"),
        ("audio_branch.patch_embed.proj.weight", torch.ones(128, 1, 4, 4), "another CLAP than"),
        ("audio_branch.norm.weight", None, "does not fit CLAP"),
        ("text_branch.encoder.layer.0.output.dense.bias", torch.ones(3), "does not fit CLAP"),
    ],
)
def test_another_clap_is_one_clear_error(laion_checkpoint, files, tmp_path, name, value, message):
    tensors = read_laion_checkpoint(laion_checkpoint)
    changed = {key: x for key, x in {**tensors, name: value}.items() if x is not None}
    path = tmp_path / "other.pt"
    torch.save(changed, path)
    for beside in ("vocab.json", "merges.txt"):
        (tmp_path / beside).write_bytes(files[beside].read_bytes())
    with pytest.raises(CheckpointError, match=f"{path}: {message}"):
        open_audio_encoder("clap-hf", str(path))


def test_a_signal_of_several_channels_is_a_bug_of_the_caller(clap_hf):
    with pytest.raises(ValueError, match=r"instead of \(N,\)"):
        clap_hf.encode_audio(np.zeros((2, 100), dtype=np.float32), RATE)
