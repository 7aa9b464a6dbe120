import numpy as np
import pytest

from tselcli.acoustics.measured import is_closed, open_bank
from tselcli.errors import DataError


@pytest.mark.parametrize(
    ("azimuths", "closed"),
    [
        (np.arange(0, 360, 10), True),
        (np.arange(359, -1, -1), True),
        ([0, 0, 2, 1, *range(3, 360)], True),  # some stand still and some step back
        (np.arange(0, 340, 10), False),
        (np.arange(125, 236, 3), False),  # a line behind the array
        (np.arange(55, -56, -3), False),
        ([0, 120, -120], False),  # three places
        ([30], False),
        (np.arange(0, 720, 10), False),
    ],
)
def test_a_closed_track_goes_round_once(azimuths, closed):
    assert is_closed(np.mod(np.asarray(azimuths) + 180.0, 360.0) - 180.0) is closed


def test_what_holds_no_responses_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"gone: no such file or folder; give a folder of TAU"):
        open_bank(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no measured responses that we know; give a fol"):
        open_bank(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"a\.wav: holds no measured responses"):
        open_bank(tmp_path / "a.wav")


def test_tau_cannot_be_clockwise(tau):
    with pytest.raises(DataError, match=r"TAU-SRIR counts counter-clockwise"):
        open_bank(tau, azimuth="clockwise")
