import numpy as np
import pytest

from tselcli.acoustics.geometry import MicArray, parse_array
from tselcli.acoustics.wiring import wired, wiring
from tselcli.errors import DataError

PAIR = MicArray("pair", ((0.0, 0.1, 0.0), (0.0, -0.1, 0.0)), channels=(2, 0))


def test_channels_are_picked_in_the_order_of_the_microphones():
    signal = np.arange(12.0).reshape(4, 3)
    assert wired(signal, PAIR).tolist() == [[6, 7, 8], [0, 1, 2]]
    square = parse_array("square:0.1")
    assert wired(signal, square) is signal


def test_a_missing_channel_is_named():
    with pytest.raises(DataError, match=r"2 channel\(s\), but the array pair takes channel 3"):
        wiring(PAIR, 2)


@pytest.mark.parametrize(("name", "kind"), [("square:0.1", "microphones"), ("foa", "ambisonic")])
@pytest.mark.parametrize("count", [3, 5])
def test_without_channels_the_count_must_fit(name, kind, count):
    with pytest.raises(DataError, match=rf"{count} channel\(s\).* has 4 {kind}.*--array"):
        wiring(parse_array(name), count)
