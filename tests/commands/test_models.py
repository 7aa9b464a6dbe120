import hashlib

import pytest
from typer.testing import CliRunner

from tselcli import cli
from tselcli.commands.models import fetch_model, list_models, model_path
from tselcli.errors import CheckpointError
from tselcli.models.weights import CATALOGUE, bundled_files, verify


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A machine without any weights."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TSEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache" / "models"


def tsel(*arguments):
    return CliRunner().invoke(cli.app, ["models", *map(str, arguments)])


def serve(web, name, last=False):
    """Put what a model needs on the server: of several alternatives the first or the last."""
    for part in CATALOGUE[name].parts:
        for files in part.files:
            path = f"/{part.repo}/resolve/main/{files[-1 if last else 0]}"
            web.files[path] = path.encode() * 10


@pytest.mark.parametrize("name", CATALOGUE)
def test_fetched_once_found_ever_after(web, cache, name):
    serve(web, name)
    result = tsel("fetch", name, "--url-base", web.url + "/")
    expected = cache / name / ("630k-audioset-best.pt" if name == "clap" else "")
    assert (result.exit_code, result.stdout) == (0, f"{expected}\n")
    assert tsel("path", name).stdout == f"{expected}\n"
    assert len(web.asked) == len(web.files)
    assert tsel("fetch", name, "--url-base", web.url).exit_code == 0
    assert len(web.asked) == len(web.files)  # nothing is downloaded twice
    assert {row["name"]: row["where"] for row in list_models()}[name] == str(expected)


@pytest.mark.parametrize("name", ["flan-t5", "bert", "clap-hf"])
def test_the_next_best_file_will_do(web, cache, name):
    serve(web, name, last=True)
    fetch_model(name, web.url)
    assert (cache / name / "pytorch_model.bin").is_file()
    assert not (cache / name / "model.safetensors").exists()


def test_an_interrupted_fetch_goes_on(web, cache):
    serve(web, "clap")
    web.cut_after = 30
    first = tsel("fetch", "clap", "--url-base", web.url)
    assert (first.exit_code, first.stdout) == (4, "")
    assert first.stderr.count("\n") == 1
    assert "broke off" in first.stderr
    assert tsel("fetch", "clap", "--url-base", web.url).exit_code == 0
    assert web.asked[1] == (web.asked[0][0], "bytes=30-")
    content = (cache / "clap" / "630k-audioset-best.pt").read_bytes()
    assert content == web.files["/lukewys/laion_clap/resolve/main/630k-audioset-best.pt"]


def test_what_was_fetched_is_checked_later(web, cache):
    serve(web, "bert")
    fetch_model("bert", web.url)
    path = cache / "bert" / "model.safetensors"
    listed = (cache / "bert" / "model.safetensors.sha256").read_text()
    assert listed == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  model.safetensors\n"
    verify(path)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=rf"^{path}: SHA-256 is .* instead of {listed[:12]}"):
        verify(path)


def test_a_mirror_may_stand_in_the_environment(web, monkeypatch):
    serve(web, "bert")
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    assert fetch_model("bert").name == "bert"


def test_a_host_that_cannot_be_reached_is_one_line():
    result = tsel("fetch", "bert", "--url-base", "http://127.0.0.1:9")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("tsel: http://127.0.0.1:9/bert-base-uncased/resolve/main/")
    assert "cannot be reached" in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_not_here_says_how_to_get_it():
    result = tsel("path", "flan-t5")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == (
        "tsel: flan-t5: config.json of google/flan-t5-large is not on this machine; `tsel models "
        "fetch flan-t5` downloads it, or name a local folder that holds it\n"
    )


@pytest.mark.parametrize("name", ["mask-compact", "compact"])
def test_what_is_bundled_needs_no_download(name):
    assert fetch_model(name) == model_path(name) == bundled_files()["mask-compact"]
    assert tsel("fetch", name).exit_code == 0


def test_an_unknown_model_is_one_line():
    for command in ("path", "fetch"):
        result = tsel(command, "flan-t4")
        assert result.exit_code == 4
        assert "'flan-t4': no such model; did you mean 'flan-t5'?" in result.stderr


def test_the_list_names_everything_and_what_to_do():
    lines = tsel("ls").stdout.splitlines()
    assert [line.split()[0] for line in lines[::2]] == [*bundled_files(), *CATALOGUE]
    assert lines[1].strip() == str(bundled_files()["mask-compact"])
    assert lines[3].strip() == "not here; `tsel models fetch clap`"
    assert "1860 MB" in lines[2]
