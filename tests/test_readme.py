import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from tselcli import cli, cli_doctor, cli_localize

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


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the recordings that the README and the help speak of."""
    folder = tmp_path_factory.mktemp("desk")
    demo = ROOT / "tselcli/assets/demo.flac"
    (folder / "recordings").mkdir()
    for name in ("mix.wav", "recordings/mix.flac"):  # the suffix of an audio file says little
        shutil.copy(demo, folder / name)
    signal, rate = soundfile.read(demo, dtype="int16")
    soundfile.write(folder / "separated.wav", signal[:, 0], rate)
    late = np.zeros((840 * rate, 4), dtype=np.int16)
    late[755 * rate : 755 * rate + len(signal)] = signal
    soundfile.write(folder / "hour.flac", late, rate)
    (folder / "pairs.csv").write_text("audio,query\nmix.wav,a baby crying\n")
    corners = "[[0.06, 0.06], [-0.06, 0.06], [-0.06, -0.06], [0.06, -0.06]]"
    (folder / "my_array.yaml").write_text(f"mics: {corners}\nchannels: [1, 2, 3, 4]\n")
    return folder


HELP = [cli_localize.EXAMPLES, cli_doctor.EXAMPLES]
RUN = [line.strip() for text in HELP for line in text.splitlines() if line.startswith("  tsel")]
RUN += [line for line in SHELL if re.match(r"tsel (localize|doctor) (?!scenes)", line)]


@pytest.mark.parametrize("line", sorted(set(RUN)))
def test_commands_run_as_they_stand(desk, monkeypatch, line):
    monkeypatch.chdir(desk)
    result = CliRunner().invoke(cli.app, shlex.split(line)[1:])
    foreign = "--array" in line and "square" not in line and "doctor" in line
    assert (result.exit_code, result.exception is None) == ((3, False) if foreign else (0, True))
    for option, name in re.findall(r"(--plot|--extract|-o) (\S+)", line):
        assert (desk / name).stat().st_size > 100, option


def _command(words):
    return words[:2] if words[0] in ("recipes", "models", "data") else words[:1]


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (source,) = [block for language, block in BLOCKS if language == "python"]
    shutil.copy(ROOT / "tselcli/assets/demo.flac", tmp_path / "mix.wav")
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {})
    azimuth, confidence = map(float, capsys.readouterr().out.split())
    assert -180 <= azimuth < 180
    assert 0 <= confidence <= 1
