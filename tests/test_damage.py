"""Whatever is in a file, the answer is an error that says so, and never a traceback."""

import json
import pickle

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tselcli import cli
from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.manifest import read_line, read_manifest, scene_line
from tselcli.acoustics.scene import draw_scene
from tselcli.commands.localize import read_pairs
from tselcli.corpora.audio import duration_of, read_audio
from tselcli.corpora.recording import Recording
from tselcli.dataset import corpus_of
from tselcli.errors import CheckpointError, TselError
from tselcli.models.checkpoint import build_net, save_checkpoint
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.encoders import CompactTextEncoder
from tselcli.models.readout import Readout
from tselcli.recipe import load_recipe, recipe_from_dict, recipe_to_yaml
from tselcli.trainer import Run

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
RECIPE = recipe_from_dict(
    {"name": "little", "model": {"width": 4, "levels": 1, "embed_dim": 4, "word_hidden": 1}}
)
ARRAY = b"""name: table
mics: {left: [0.05, 0.05], back: [-0.05, 0.05, 0.01], right: [0, -0.05]}
channels: [null, back, left, right]
"""
LISTED = b"mics: [[0.05, 0.05, 0], [-0.05, 0.05, 0], [-0.05, -0.05, 0]]\nchannels: [2, 3, 4]\n"
PAIRS = 'audio,query\nmix.wav,"a dog, barking"\n\nother.flac,Regen fällt\n'.encode()
FORMATS = [
    ("wav", "PCM_16"),
    ("wav", "FLOAT"),
    ("flac", "PCM_16"),
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
    ("aiff", "PCM_24"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def sounds(folder):
    signal = np.random.default_rng(0).standard_normal((3000, 4)) / 20
    found = {}
    for suffix, subtype in FORMATS:
        channels = 2 if suffix == "mp3" else 4
        path = folder / f"whole-{subtype}.{suffix}"
        soundfile.write(path, signal[:, :channels], 16_000, subtype=subtype)
        found[suffix, subtype] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def model(folder):
    torch.manual_seed(0)
    sizes = {"embed_dim": 4, "hidden": 4, "layers": 1, "heads": 1, "ffn": 4, "max_tokens": 4}
    text = CompactTextEncoder(PIECES, **sizes)
    net, readout = build_net(RECIPE, text.dim), Readout(RECIPE.features.n_mels)
    path = folder / "whole.safetensors"
    save_checkpoint(path, net, readout, text, RECIPE, {"val_mae_deg": 1.0})
    return path.read_bytes()


class Nothing:
    """A task that learns one number."""

    parts = ()

    def __init__(self):
        torch.manual_seed(0)
        self.net = torch.nn.Linear(1, 1)

    def state(self):
        return {"batches": 3}

    def restore(self, state):
        self.batches = int(state["batches"])


@pytest.fixture(scope="module")
def run(folder):
    run = Run(RECIPE, folder, Nothing(), torch.device("cpu"))
    run.task.net(torch.ones(1)).sum().backward()
    run.optimiser.step()
    run.save()
    run.whole = (folder / "last.pt").read_bytes()
    return run


def told(act, *arguments):
    """Do something that may be refused, in one line, and with no other exception."""
    try:
        return act(*arguments)
    except TselError as error:
        refused = error
    assert 2 <= refused.exit_code <= 4
    assert str(refused).strip()
    return None


def command(*arguments):
    """Run the command line; the exit code is 0, or 2 to 4 with words on stderr."""
    done = CliRunner().invoke(cli.app, [str(one) for one in arguments])
    known = done.exception is None or isinstance(done.exception, SystemExit)
    assert known, repr(done.exception)
    assert done.exit_code in (0, 2, 3, 4)
    assert done.exit_code == 0 or done.stderr.strip()
    return done.exit_code


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind[1])
@given(data=st.data())
def test_sounds(folder, sounds, damaged, kind, data):
    path = written(folder, f"bad.{kind[0]}", data.draw(damaged(sounds[kind])))
    told(duration_of, path)
    heard = told(read_audio, path)
    assert heard is None or np.isfinite(heard[0]).all()
    told(lambda: Recording(path, rate=16_000).levels())


@given(data=st.data())
def test_recipes(folder, damaged, data):
    whole = data.draw(st.sampled_from([recipe_to_yaml(RECIPE).encode(), ARRAY]))
    told(load_recipe, str(written(folder, "bad.yaml", data.draw(damaged(whole)))))


@given(data=st.data())
def test_arrays(folder, damaged, data):
    whole = data.draw(st.sampled_from([ARRAY, LISTED]))
    told(parse_array, str(written(folder, "array.yaml", data.draw(damaged(whole)))))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(values=VALUES, key=st.sampled_from(["mics", "name", "channels"]))
def test_arrays_of_other_values(folder, values, key):
    content = {"mics": [[0, 0], [1, 0]], "name": "a", "channels": [1, 2]} | {key: values}
    path = written(folder, "array.yaml", json.dumps(content).encode())
    told(parse_array, str(path))


@given(values=VALUES, section=st.sampled_from(["scene", "train", "model", "corpus", "name"]))
def test_recipes_of_other_values(folder, values, section):
    path = written(folder, "odd.yaml", json.dumps({"name": "a", section: values}).encode())
    told(load_recipe, str(path))


@given(text=st.text(max_size=30))
def test_arrays_by_name_and_overrides(text):
    told(parse_array, text)
    told(parse_array, f"circular:{text}")
    told(load_recipe, "tiny", [text])
    told(load_recipe, "tiny", [f"train.steps={text}"])


@given(data=st.data())
def test_checkpoints(folder, model, damaged, data):
    told(open_localizer, str(written(folder, "bad.safetensors", data.draw(damaged(model)))))


@given(data=st.data())
def test_states_to_resume_from(run, damaged, data):
    (run.out / "last.pt").write_bytes(data.draw(damaged(run.whole)))
    told(run.restore)


@given(values=VALUES, key=st.sampled_from(["net", "task", "counters", "best", "optimiser"]))
def test_states_of_other_values(run, values, key):
    (run.out / "last.pt").write_bytes(run.whole)
    state = torch.load(run.out / "last.pt", weights_only=True)
    torch.save(state | {key: values}, run.out / "last.pt")
    told(run.restore)


class Trap:
    """A pickle that writes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    "save", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap))]
)
def test_a_pickle_that_runs_code_is_refused_and_not_run(run, folder, save):
    sprung, path = folder / "sprung", run.out / "last.pt"
    save({"net": Trap(sprung)}, path)
    with pytest.raises(CheckpointError, match=r"last\.pt: cannot resume"):
        run.restore()
    for name in ("trap.pt", "trap.safetensors"):
        (folder / name).write_bytes(path.read_bytes())
        with pytest.raises(CheckpointError):
            open_localizer(str(folder / name))
    assert not sprung.exists()


@pytest.fixture(scope="module")
def line():
    corpus = corpus_of(RECIPE, "train")
    return scene_line(draw_scene(RECIPE.scene, corpus, 0, "train", 0), "audio/one.flac").encode()


@given(data=st.data())
def test_manifests(folder, line, damaged, data):
    content = data.draw(damaged(line))
    told(read_line, content.decode("utf-8", "replace"))
    path = written(folder, "manifest.jsonl", line + b"\n" + content)
    told(read_manifest, path)


@given(values=VALUES, data=st.data())
def test_manifests_of_other_values(line, values, data):
    scene = json.loads(line)
    place = scene
    for _ in range(data.draw(st.integers(1, 3))):
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place, key = place[key], None
    keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
    place[data.draw(st.sampled_from(keys))] = values
    told(read_line, json.dumps(scene))


@given(data=st.data())
def test_tables_of_questions(folder, damaged, data):
    told(read_pairs, written(folder, "pairs.csv", data.draw(damaged(PAIRS))))


@given(data=st.data())
def test_the_command_line_says_so_too(folder, sounds, model, run, damaged, data):
    whole = {
        "bad.wav": sounds["wav", "PCM_16"],
        "bad.safetensors": model,
        "bad.yaml": recipe_to_yaml(RECIPE).encode(),
        "array.yaml": ARRAY,
        "pairs.csv": PAIRS,
    }
    name = data.draw(st.sampled_from(sorted(whole)))
    path = written(folder, name, data.draw(damaged(whole[name])))
    good = written(folder, "good.wav", sounds["wav", "PCM_16"])
    fine = ["--model", written(folder, "good.safetensors", model), "--device", "cpu"]
    command(
        *{
            "bad.wav": ("localize", path, "rain", *fine),
            "bad.safetensors": ("localize", good, "rain", "--model", path, "--device", "cpu"),
            "bad.yaml": ("recipes", "validate", path),
            "array.yaml": ("localize", good, "rain", "--array", path, *fine),
            "pairs.csv": ("localize", "--batch", path, *fine),
        }[name]
    )
