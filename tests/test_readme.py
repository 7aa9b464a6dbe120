import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tselcli import cli

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
SHELL = [line for language, block in BLOCKS if not language for line in block.splitlines()]


def test_the_first_block_is_two_commands():
    first, second = BLOCKS[0][1].splitlines()
    assert first.startswith("pip install . && tsel localize ")
    assert second.startswith('pip install ".[test]" && ')


def test_the_first_commands_recording_is_in_the_package():
    words = shlex.split(BLOCKS[0][1].splitlines()[0])
    assert (ROOT / words[words.index("localize") + 1]).is_file()


@pytest.mark.parametrize("line", [line for line in SHELL if "tsel " in line and "pip" not in line])
def test_every_command_parses(line):
    """Each option and argument that the README uses exists, with a value of its kind."""
    words = shlex.split(line)[1:]
    context = CliRunner().invoke(cli.app, [*_command(words), "--help"])
    assert context.exit_code == 0
    for option in (word for word in words if word.startswith("-")):
        assert option in context.output


def _command(words):
    return words[:2] if words[0] in ("recipes", "models", "data") else words[:1]


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    import shutil

    (source,) = [block for language, block in BLOCKS if language == "python"]
    shutil.copy(ROOT / "tselcli/assets/demo.flac", tmp_path / "mix.wav")
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {})
    azimuth, confidence = map(float, capsys.readouterr().out.split())
    assert -180 <= azimuth < 180
    assert 0 <= confidence <= 1
