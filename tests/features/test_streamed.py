import numpy as np
import pytest
import soundfile
import torch

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.geometry import MicArray, parse_array
from tselcli.corpora.recording import Recording
from tselcli.errors import DataError
from tselcli.features.streamed import Streamed

RATE = 16_000


@pytest.fixture
def file(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal((45 * RATE, 4))
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype="FLOAT")
    return Recording(tmp_path / "a.wav"), noise.T.astype(np.float32)


def test_it_slices_like_the_tensor_that_it_stands_for(file):
    recording, noise = file
    whole = torch.from_numpy(to_acn_sn3d(noise, "fuma"))
    audio = Streamed(recording, parse_array("foa-fuma"))
    assert audio.shape == tuple(whole.shape)
    torch.testing.assert_close(audio[:, 100:9000], whole[:, 100:9000])
    torch.testing.assert_close(audio[:1][:, 44 * RATE : 99 * RATE], whole[:1, 44 * RATE :])
    assert audio[:1].shape == (1, 45 * RATE)


def test_channels_are_wired_and_scaled(file):
    recording, noise = file
    pair = MicArray("pair", ((0.0, 0.1, 0.0), (0.0, -0.1, 0.0)), channels=(3, 1))
    heard = Streamed(recording, pair, gain=0.5)[:, :50]
    np.testing.assert_allclose(heard.numpy(), 0.5 * noise[[3, 1], :50])


def test_every_20_s_that_were_read_are_told(file):
    told = []
    audio = Streamed(file[0], parse_array("foa"), advance=lambda: told.append(1))
    for first in range(0, 45 * RATE, 5 * RATE):
        audio[:, first : first + 5 * RATE]
    assert len(told) == 2


def test_channels_that_do_not_fit_are_refused(file):
    with pytest.raises(DataError, match=r"the array circular:6:0\.1 has 6 microphones"):
        Streamed(file[0], parse_array("circular:6:0.1"))
