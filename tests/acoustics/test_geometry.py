import math
from pathlib import Path

import numpy as np
import pytest

from tselcli.acoustics.geometry import (
    azimuth_of,
    delays,
    direction,
    elevation_of,
    parse_array,
    sized_array,
    turn,
    wrap_deg,
)
from tselcli.errors import RecipeError


def test_axes_point_where_the_convention_says():
    expected = {0: (1, 0, 0), 90: (0, 1, 0), -90: (0, -1, 0), -180: (-1, 0, 0)}
    for azimuth, axis in expected.items():
        assert direction(azimuth) == pytest.approx(axis, abs=1e-12)
    assert direction(30, 90) == pytest.approx((0, 0, 1), abs=1e-12)


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [(0, 0), (180, -180), (-180, -180), (179.9, 179.9), (360, 0), (540, -180), (-190, 170)],
)
def test_angles_wrap_into_half_open_range(angle, wrapped):
    assert wrap_deg(angle) == pytest.approx(wrapped)


def test_a_tiny_step_beyond_minus_180_stays_in_range():
    assert -180 <= wrap_deg(-180 - 1e-15) < 180
    assert -180 <= wrap_deg(-1e-300) < 180
    assert -180 <= wrap_deg(np.nextafter(-180, -400)) < 180


def test_angles_of_a_direction_give_it_back():
    azimuths, elevations = np.linspace(-180, 179, 23), np.linspace(-80, 80, 23)
    places = 3.0 * direction(azimuths, elevations)
    assert azimuth_of(places) == pytest.approx(azimuths)
    assert elevation_of(places) == pytest.approx(elevations)


def test_turning_moves_the_front_to_the_left():
    assert turn((1.0, 0.0, 0.5), 90) == pytest.approx((0, 1, 0.5), abs=1e-12)
    places = np.random.default_rng(0).standard_normal((5, 3))
    assert turn(turn(places, 37.0), -37.0) == pytest.approx(places)


@pytest.mark.parametrize("azimuth", [-150, -30, 0, 45, 90, 179])
def test_delays_are_those_of_a_very_distant_source(azimuth):
    mics = parse_array("tetra:0.1").positions
    distances = np.linalg.norm(1e5 * direction(azimuth) - mics, axis=1)
    assert delays(mics, [azimuth])[0] == pytest.approx((distances - 1e5) / 343.0, abs=1e-8)


def test_a_wave_from_a_corner_of_the_square_hits_its_microphone_first():
    square = parse_array("square:0.12").positions
    assert square[:, :2] == pytest.approx(
        np.array([(0.06, 0.06), (-0.06, 0.06), (-0.06, -0.06), (0.06, -0.06)])
    )
    first = delays(square, [45, 135, -135, -45]).argmin(axis=1)
    assert first.tolist() == [0, 1, 2, 3]
    assert delays(square, [45])[0, 0] == pytest.approx(-0.06 * math.sqrt(2) / 343.0)


def test_presets_stand_where_they_say():
    tetra = parse_array("tetra:0.042").positions
    assert azimuth_of(tetra) == pytest.approx([45, -45, 135, -135])
    assert elevation_of(tetra) == pytest.approx([35, -35, -35, 35])
    assert np.linalg.norm(tetra, axis=1) == pytest.approx([0.042] * 4)
    circular = parse_array("circular:6:0.05").positions
    assert azimuth_of(circular) == pytest.approx([0, 60, 120, -180, -120, -60])
    linear = parse_array("linear:4:0.03").positions
    assert linear == pytest.approx(
        np.array([(0, 0.045, 0), (0, 0.015, 0), (0, -0.015, 0), (0, -0.045, 0)])
    )
    assert sized_array("circular:6", 0.05) == parse_array("circular:6:0.05")


@pytest.mark.parametrize(
    ("name", "foa"), [("foa", "acn-sn3d"), ("foa-n3d", "acn-n3d"), ("foa-fuma", "fuma")]
)
def test_ambisonics_are_four_channels_of_one_place(name, foa):
    array = parse_array(name)
    assert array.foa == foa
    assert array.mics == ((0.0, 0.0, 0.0),) * 4
    assert sized_array(name, 0.1) == array


def test_a_yaml_file_is_kept_as_given(tmp_path: Path):
    file = tmp_path / "phone.yaml"
    file.write_text("mics: [[0, 0.07], [0.1, -0.07, 0.01], [1, 2, 3]]\n")
    array = parse_array(str(file))
    assert array.name == "phone"
    assert array.mics == ((0.0, 0.07, 0.0), (0.1, -0.07, 0.01), (1.0, 2.0, 3.0))
    assert sized_array(str(file), 0.3) == array


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sqare:0.1", "did you mean 'square'"),
        ("ring", "use square:SIDE, tetra:RADIUS, circular:N:RADIUS, linear:N:STEP"),
        ("", "unknown geometry"),
        ("square", "for example 'square:0.1'"),
        ("square:0.1:3", "for example 'square:0.1'"),
        ("circular:0.05", "for example 'circular:4:0.05'"),
        ("foa:0.1", "have no size; write 'foa'"),
        ("fao", "did you mean 'foa'"),
        ("square:-0.1", "not a size in metres"),
        ("square:nan", "not a size in metres"),
        ("square:wide", "'wide' is not a size"),
        ("tetra:42", "up to 10"),
        ("circular:1:0.05", "whole number from 2 to 64"),
        ("linear:²:0.05", "whole number from 2 to 64"),
        ("linear:99999999999999:0.05", "whole number from 2 to 64"),
        ("missing.yaml", "no such file"),
    ],
)
def test_a_wrong_array_is_explained(text, complaint):
    with pytest.raises(RecipeError, match=complaint):
        parse_array(text)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[1, 2]", "key 'mics' is missing"),
        ("mics: [[0, 0], [0, 1]]\nmisc: 3", "unknown key 'misc'; did you mean 'mics'"),
        ("mics: [[0, 0]]", "2 to 64 positions"),
        ("mics: 5", "2 to 64 positions"),
        ("mics: [[0, 0], [1]]", "microphone 2 is"),
        ("mics: [[0, 0], [1, 2, 3, 4]]", "microphone 2 is"),
        ("mics: [[0, 0], [left, 1]]", "microphone 2 is"),
        ("mics: [[true, 0], [0, 1]]", "microphone 1 is"),
        ("mics: [[0, .nan], [0, 1]]", "microphone 1 is"),
        ("mics: [[0, 7000], [0, 1]]", "within 10 m"),
        ("mics: [[0, 1], [0, 1.0, 0]]", "two microphones at the same place"),
        ("mics: [[0, 1], [", "array.yaml"),
    ],
)
def test_a_malformed_yaml_array_is_explained(tmp_path: Path, content, complaint):
    (tmp_path / "array.yaml").write_text(content)
    with pytest.raises(RecipeError, match=complaint):
        parse_array(str(tmp_path / "array.yaml"))


@pytest.mark.parametrize("geometry", ["square:0.1", "circular", "linear:4:0.1"])
def test_a_recipe_gives_an_array_without_its_size(geometry):
    with pytest.raises(RecipeError, match="the size is drawn from spacing_m"):
        sized_array(geometry, 0.1)
