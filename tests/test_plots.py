import re
import subprocess
import sys

import numpy as np
import pytest

from tselcli.errors import DataError
from tselcli.plots import Line, draw_posteriors, draw_tracks, unwrapped

STARTS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF"}
ROUND = (np.arange(0, 90, 3.0) + 150 + 180) % 360 - 180  # 150 ... 177, -180 ... -123


@pytest.mark.parametrize("suffix", STARTS)
def test_a_figure_is_of_its_kind_and_the_same_twice(tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    lines = [
        Line("truth", ROUND, ROUND > 0, "truth"),
        Line("other", ROUND, None, "rival"),
        Line("a $5 \x1b[31m dog barking " + "on and " * 20, ROUND + 1, ROUND < 0),
        Line("SRP-PHAT", ROUND, None, "baseline"),
    ]
    draw_tracks(path, lines, "mix.wav")
    first = path.read_bytes()
    assert first.startswith(STARTS[suffix])
    draw_tracks(path, lines, "mix.wav")
    assert path.read_bytes() == first


def test_a_figure_says_what_is_drawn_in_which_unit(tmp_path):
    draw_tracks(tmp_path / "a.svg", [Line("a dog", ROUND)], "mix.wav")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for word in ("Time (s)", "Azimuth (°)", "a dog", "mix.wav"):
        assert f">{word}<" in text


def test_no_vertical_stroke_crosses_the_seam():
    time_s = np.arange(4) * 0.1
    times, azimuths = unwrapped(time_s, np.array([170.0, 178.0, -178.0, -170.0]))
    assert times == pytest.approx([0, 0.1, 0.15, 0.15, 0.15, 0.2, 0.3])
    assert azimuths == pytest.approx([170, 178, 180, np.nan, -180, -178, -170], nan_ok=True)
    _, back = unwrapped(time_s, np.array([-170.0, np.nan, 178.0, -178.0]))
    assert back == pytest.approx([-170, np.nan, 178, 180, np.nan, -180, -178], nan_ok=True)


def test_posteriors_are_seen_from_above_with_the_left_at_the_left(tmp_path):
    posterior = np.exp(-0.5 * ((np.arange(-180.0, 180) - 90) / 3) ** 2)
    draw_posteriors(tmp_path / "a.svg", [("a dog", 90.0, posterior)], "mix.wav")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">a dog: +90°<" in text
    (x, y) = re.findall(
        r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: #0072b2', text
    )[0]
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups())
    assert float(x) < 0.25 * width
    assert 0.3 * height < float(y) < 0.7 * height


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    with pytest.raises(DataError, match="another place"):
        draw_tracks(tmp_path / "no" / "a.png", [Line("a dog", ROUND)], "mix.wav")


def test_who_draws_nothing_does_not_wait_for_matplotlib():
    code = "import sys, tselcli.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
