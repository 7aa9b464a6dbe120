import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from tselcli import cli
from tselcli.acoustics.ambisonics import encode, from_acn_sn3d
from tselcli.acoustics.geometry import delays, parse_array
from tselcli.commands.doctor import doctor

RATE, SECONDS = 16_000, 6


def bursts(pattern):
    """Bursts of noise from all round, one every half second, each heard by ``pattern``."""
    rng = np.random.default_rng(0)
    parts = []
    for azimuth in rng.uniform(-180, 180, 2 * SECONDS):
        source = rng.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / 1500)
        parts.append(pattern(source, azimuth))
    quiet = 1e-4 * rng.standard_normal((len(parts[0]), SECONDS * RATE))
    return 0.1 * np.concatenate(parts, axis=1) + quiet


def plane(source, azimuth, array="square:0.12"):
    hertz = np.fft.rfftfreq(len(source), 1 / RATE)
    late = delays(parse_array(array).positions, [azimuth])[0][:, None]
    return np.fft.irfft(np.fft.rfft(source) * np.exp(-2j * np.pi * hertz * late), len(source))


def ambisonic(source, azimuth):
    return encode(azimuth, 8.0)[:, None] * source


def drifting(signal, ppm):
    """Resample the last channel as a clock of another speed would."""
    late = signal.copy()
    time = np.arange(signal.shape[1]) * (1 + 1e-6 * ppm)
    fine = np.fft.irfft(np.fft.rfft(signal[3]), 8 * signal.shape[1]) * 8
    late[3] = np.interp(8 * time, np.arange(len(fine)), fine)
    return late


FAULTS = {
    "clean": (lambda x: x, [], ()),
    "swapped": (lambda x: x[[1, 0, 2, 3]], ["swap"], ()),
    "silent": (lambda x: x * [[1], [1], [0], [1]], ["silent"], (3,)),
    "faint": (lambda x: x * [[1], [1], [1e-2], [1]], ["silent"], (3,)),
    "inverted": (lambda x: x * [[1], [-1], [1], [1]], ["polarity"], (2,)),
    "copied": (lambda x: x[[0, 1, 1, 3]], ["copy"], (2, 3)),
    "clipped": (lambda x: np.clip(100 * x, -1, 1), ["clipping"], (1, 2, 3, 4)),
    "drifting": (lambda x: drifting(x, 60), ["drift"], (4,)),
    "late": (lambda x: np.stack([*x[:3], np.roll(x[3], 48)]), ["offset"], (4,)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_alone(tmp_path, fault):
    change, kinds, channels = FAULTS[fault]
    soundfile.write(tmp_path / "a.wav", change(bursts(plane)).T, RATE, subtype="FLOAT")
    found = doctor(tmp_path / "a.wav", array="square:0.12")
    assert [finding.kind for finding in found] == kinds
    if channels:
        assert found[0].channels == channels


@pytest.mark.parametrize(("size", "words"), [(0.06, "2.0 times larger"), (0.24, "2.0 times smal")])
def test_a_wrong_spacing_is_told_with_its_factor(tmp_path, size, words):
    soundfile.write(tmp_path / "a.wav", bursts(plane).T, RATE)
    (finding,) = doctor(tmp_path / "a.wav", array=f"square:{size}")
    assert words in finding.what


@pytest.mark.parametrize("given", ["foa", "foa-n3d", "foa-fuma"])
@pytest.mark.parametrize("declared", ["foa", "foa-n3d", "foa-fuma"])
def test_ambisonics_of_another_convention_are_named(tmp_path, given, declared):
    signal = from_acn_sn3d(bursts(ambisonic), parse_array(given).foa)
    soundfile.write(tmp_path / "a.wav", signal.T, RATE, subtype="FLOAT")
    found = doctor(tmp_path / "a.wav", array=declared)
    assert [finding.remedy for finding in found] == (
        [] if given == declared else [f"try --array {given}"]
    )


def test_a_scale_between_two_is_no_finding(tmp_path):
    signal = bursts(ambisonic) * [[1], [1.204], [1.204], [1.204]]  # powers: 1.45 times those of W
    soundfile.write(tmp_path / "a.wav", signal.T, RATE, subtype="FLOAT")
    assert doctor(tmp_path / "a.wav", array="foa") == []


def test_the_wrong_number_of_channels_lists_what_fits(tmp_path):
    soundfile.write(tmp_path / "a.wav", bursts(plane)[:3].T, RATE)
    (finding,) = doctor(tmp_path / "a.wav")
    assert (finding.kind, "circular:3:RADIUS" in finding.remedy) == ("channels", True)


def test_findings_are_printed_and_make_the_exit_code_3(tmp_path):
    soundfile.write(tmp_path / "bad.wav", bursts(plane)[:3].T, RATE)
    arguments = ["doctor", str(tmp_path / "bad.wav")]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 3
    assert "    way out: --array for 3 channels" in result.stdout
    as_json = json.loads(CliRunner().invoke(cli.app, [*arguments, "--format", "json"]).stdout)
    assert [finding["kind"] for finding in as_json["findings"]] == ["channels"]
