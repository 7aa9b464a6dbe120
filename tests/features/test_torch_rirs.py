import numpy as np
import pytest
import torch

from tselcli.acoustics.ambisonics import figures_of_eight
from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.rirs import Room, shoebox_rirs
from tselcli.features.torch_rirs import torch_rirs
from tselcli.shoeboxes import shoebox_of

ROOM = Room((6.3, 5.1, 3.4), 0.5)
MICS = parse_array("square:0.12").positions + np.array([2.9, 2.4, 1.1])
SOURCES = np.array([(4.6, 3.4, 1.6), (1.2, 4.0, 0.9)])
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("axes", [None, figures_of_eight(30.0)])
@pytest.mark.parametrize(("rate", "order"), [(8_000, 0), (32_000, 9), (8_000, None)])
def test_samples_are_those_of_pyroomacoustics(rate, order, axes, device):
    mics = MICS if axes is None else np.repeat(MICS[:1], 4, axis=0)
    ours = torch_rirs(ROOM, mics, SOURCES, rate, order, axes, device)
    theirs = shoebox_rirs(ROOM, mics, SOURCES, rate, order, axes)
    assert ours.dtype == np.float32
    length = min(ours.shape[-1], theirs.shape[-1])
    assert theirs.shape[-1] - length <= (0.002 * rate if order is None else 0)
    rest = np.linalg.norm(ours[..., :length] - theirs[..., :length], axis=-1)
    assert (rest / np.linalg.norm(theirs, axis=-1)).max() <= 1e-5


def test_the_same_bits_again():
    assert np.array_equal(
        torch_rirs(ROOM, MICS, SOURCES, 8_000, 9), torch_rirs(ROOM, MICS, SOURCES, 8_000, 9)
    )


def test_what_a_room_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="not all inside"):
        torch_rirs(ROOM, MICS, [(7.0, 1.0, 1.0)], 8_000)


def test_only_the_method_torch_needs_it():
    assert shoebox_of("torch") is torch_rirs
    assert shoebox_of("images") is None
    assert shoebox_of(None) is None
