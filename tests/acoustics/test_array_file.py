import pytest

from tselcli.acoustics.geometry import parse_array, sized_array
from tselcli.errors import RecipeError

NAMED = "mics: {left: [0, 0.1], right: [0, -0.1]}\n"


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        (tmp_path / "phone.yaml").write_text(content)
        return str(tmp_path / "phone.yaml")

    return to_file


def test_channels_of_a_plain_list_are_counted_from_one(write):
    array = parse_array(write("name: desk\nmics: [[0, 0.1], [0, -0.1]]\nchannels: [3, 1]\n"))
    assert (array.name, array.channels) == ("desk", (2, 0))


def test_names_are_listed_in_the_order_of_the_recordings_channels(write):
    array = parse_array(write(NAMED + "channels: [right, null, left]\n"))
    assert array.mics == ((0.0, 0.1, 0.0), (0.0, -0.1, 0.0))
    assert array.channels == (2, 0)
    assert (array.name, parse_array(write(NAMED)).channels) == ("phone", None)


def test_a_simulated_recording_has_the_microphones_in_order(write):
    assert sized_array(write(NAMED + "channels: [right, left]\n"), 0.1).channels is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (NAMED + "channels: [left]", "must name each of left, right once"),
        (NAMED + "channels: [left, left, right]", "must name each of left, right once"),
        (NAMED + "channels: [1, 2]", "must name each of left, right once"),
        ("mics: [[0, 0], [0, 1]]\nchannels: [0, 1]", "counted from 1"),
        ("mics: [[0, 0], [0, 1]]\nchannels: [1, 1]", "2 different channels"),
        ("mics: [[0, 0], [0, 1]]\nchannels: [1, 2, 3]", "2 different channels"),
        ("mics: [[0, 0], [0, 1]]\nchannels: [true, 2]", "2 different channels"),
        ("mics: [[0, 0], [0, 1]]\nchannel: [1, 2]", "did you mean 'channels'"),
        ("mics: {left: [0], right: [1, 1]}", "microphone left is"),
        ("name: 3\nmics: [[0, 0], [0, 1]]", "'name' is 3"),
    ],
)
def test_what_makes_no_sense_is_explained(write, content, complaint):
    with pytest.raises(RecipeError, match=complaint):
        parse_array(write(content))
