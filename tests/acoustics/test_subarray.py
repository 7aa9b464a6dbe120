import pickle

import numpy as np
import pytest

from tselcli.acoustics.geometry import azimuth_of
from tselcli.acoustics.measured import open_bank
from tselcli.acoustics.subarray import choose_mics
from tselcli.acoustics.tracks import bank_of
from tselcli.errors import RecipeError
from tselcli.sections import MeasuredRecipe, SceneRecipe

C, RATE = 343.0, 16_000
MICS = np.column_stack([np.zeros(8), 0.35 - 0.1 * np.arange(8), np.zeros(8)])
PLACES = np.array([[0.6, 0.3, 0.0], [0.5, -0.2, 0.1], [0.7, 0.0, 0.0]])
CHOSEN = (1, 2, 3)


@pytest.fixture
def line(write_sofa):
    """A line of eight microphones, and sources as near as it is long."""

    def write(**changes):
        metres = np.linalg.norm(PLACES[:, None] - MICS, axis=-1)
        variables = {
            "Data_IR": np.sinc(np.arange(200) - metres[..., None] / C * RATE) / metres[..., None],
            "SourcePosition": (PLACES, "cartesian"),
            "ReceiverPosition": (MICS[..., None], "cartesian"),
            **changes,
        }
        return write_sofa("line.sofa", **variables)

    return write


def test_directions_are_seen_from_the_chosen_microphones(line, seen):
    by_delay, _ = seen
    bank = pickle.loads(pickle.dumps(choose_mics(open_bank(line()), CHOSEN)))
    middle = MICS[list(CHOSEN)].mean(axis=0)
    (track,) = bank.tracks
    assert bank.name == "sofa:line[1,2,3]"
    assert track.azimuth_deg == pytest.approx(azimuth_of(PLACES - middle))
    assert track.distance_m == pytest.approx(np.linalg.norm(PLACES - middle, axis=1))
    assert bank.array.positions.mean(axis=0) == pytest.approx(np.zeros(3))
    for index, azimuth in enumerate(track.azimuth_deg):
        (response,) = bank.rirs(track, [index])
        found = by_delay(response, bank.array.positions, RATE, (300, 1_600), np.arange(-90, 91))
        assert abs(found - azimuth) <= 3.0


def test_channels_come_in_the_order_they_are_named_in(line):
    whole = open_bank(line())
    bank = choose_mics(whole, (5, 2))
    expected = whole.rirs(whole.tracks[0], [1, 0])[:, [5, 2]]
    assert np.array_equal(bank.rirs(bank.tracks[0], [1, 0]), expected)
    assert bank.array.positions[0, 1] < bank.array.positions[1, 1]


def test_a_source_of_unknown_distance_keeps_its_direction(line):
    angles = np.array([[20.0, 0, 0], [-30, 0, 0], [0, 0, 0]])
    bank = choose_mics(open_bank(line(SourcePosition=(angles, "spherical"))), CHOSEN)
    assert bank.tracks[0].azimuth_deg == pytest.approx([20.0, -30.0, 0.0])


def test_a_recipe_chooses_microphones(line, tau):
    rules = MeasuredRecipe(folder=str(line()), mics=(0, 7))
    assert len(bank_of(SceneRecipe(measured=rules)).array.mics) == 2
    bad = [(8, 0), (1, 1), (3,), (-1, 2)]
    for mics in bad:
        recipe = SceneRecipe(measured=rules.model_copy(update={"mics": mics}))
        with pytest.raises(RecipeError, match="name at least two of the microphones 0 to 7"):
            bank_of(recipe)
    recipe = SceneRecipe(measured=MeasuredRecipe(folder=str(tau), mics=(0, 1)))
    with pytest.raises(RecipeError, match="ambisonics have none"):
        bank_of(recipe)
