import numpy as np
import pytest

from tselcli.acoustics.geometry import MicArray, delays, parse_array
from tselcli.acoustics.lines import fold_deg, line_of


def slanted(azimuth_deg, off_m=0.0):
    """Three microphones along an azimuth, the middle one a little off."""
    along = np.array([np.cos(np.radians(azimuth_deg)), np.sin(np.radians(azimuth_deg))])
    aside = off_m * np.array([-along[1], along[0]])
    places = [0.3 * along, aside - 0.05 * along, -0.2 * along]
    return MicArray("slanted", tuple((float(x), float(y), 0.5) for x, y in places))


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (parse_array("linear:4:0.03"), 90.0),
        (parse_array("linear:2:0.18"), 90.0),
        (slanted(30.0), 30.0),
        (slanted(-60.0), 120.0),
        (slanted(180.0), 0.0),
        (slanted(30.0, off_m=0.0005), 30.0),
        (slanted(30.0, off_m=0.01), None),
        (parse_array("square:0.12"), None),
        (parse_array("tetra:0.042"), None),
        (parse_array("foa"), None),
        (MicArray("mast", ((0.0, 0.0, 0.0), (0.0, 0.0, 0.1), (0.0, 0.0, 0.3))), None),
    ],
)
def test_a_line_is_known_by_its_azimuth(array, line):
    assert line_of(array) == (line if line is None else pytest.approx(line, abs=0.1))


@pytest.mark.parametrize("azimuth", [-170.0, -100.0, -30.0, 0.0, 45.0, 90.0, 135.0, 179.0])
@pytest.mark.parametrize("line", [90.0, 0.0, 30.0])
def test_what_arrives_alike_is_folded_alike(azimuth, line):
    array = slanted(line)
    centred = array.positions - array.positions.mean(axis=0)
    mirrored = 2 * line - azimuth
    assert delays(centred, [mirrored]) == pytest.approx(delays(centred, [azimuth]))
    assert fold_deg(mirrored, line) == pytest.approx(fold_deg(azimuth, line))
    assert -90 <= fold_deg(azimuth, line) <= 90
    other = fold_deg(azimuth + 7, line)  # but nothing else is
    assert abs(other - fold_deg(azimuth, line)) > 1e-3


def test_across_the_front_what_is_in_front_stays():
    assert fold_deg([-80.0, 0.0, 30.0, 150.0, -180.0, -100.0], 90.0) == pytest.approx(
        [-80.0, 0.0, 30.0, 30.0, 0.0, -80.0]
    )
    assert fold_deg([-170.0, np.nan], None) == pytest.approx([-170.0, np.nan], nan_ok=True)
