import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.errors import CheckpointError, DataError
from tselcli.models import localizer as module
from tselcli.models.checkpoint import Checkpoint, build_net
from tselcli.models.direct import DirectLocalizer, Sizes
from tselcli.models.fusion import ConcatLstm, ConcatNet
from tselcli.models.localizer import Localizer
from tselcli.models.readout import Readout
from tselcli.models.track import frame_count
from tselcli.recipe import recipe_from_dict

RATE = 16_000
SQUARE = parse_array("square:0.12")


def moving_wave(start_deg, speed, seconds=4.0, rate=RATE, seed=0):
    """A plane wave of noise that turns; every 50 ms it comes from where it is then."""
    count = round(seconds * rate)
    dry = np.random.default_rng(seed).standard_normal(count)
    hertz, hop = np.fft.rfftfreq(count, 1 / rate), rate // 20
    wave = np.zeros((4, count))
    for first in range(0, count, hop):
        piece = np.zeros(count)
        piece[first : first + hop] = dry[first : first + hop]
        azimuth = start_deg + speed * (first + hop / 2) / rate
        late = delays(SQUARE.positions, [azimuth])[0][:, None]
        wave += np.fft.irfft(np.fft.rfft(piece) * np.exp(-2j * np.pi * hertz * late), count)
    return (0.1 * wave).astype(np.float32)


def away(a, b):
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


@pytest.fixture
def localizer(text_encoder):
    torch.manual_seed(0)
    recipe = recipe_from_dict({"name": "test", "model": {"width": 8, "levels": 3, "embed_dim": 8}})
    net = build_net(recipe, text_encoder.dim).eval().requires_grad_(False)
    readout = Readout(64).requires_grad_(False)
    return Localizer(Checkpoint(net, readout, text_encoder, recipe, {}, "test@0"))


@pytest.mark.parametrize(("start", "speed"), [(-30, 20), (150, 20), (-150, -40), (10, 10)])
def test_a_track_follows_a_source_that_moves_also_over_the_seam(localizer, start, speed):
    (track,) = localizer.track(moving_wave(start, speed), RATE, ["noise"], SQUARE)
    middle_s = track.time_s + 0.05
    assert track.time_s.tolist() == pytest.approx(np.arange(40) * 0.1)
    errors = away(track.azimuth_deg, start + speed * middle_s)
    assert errors.mean() < 2
    assert errors.max() < 8
    assert ((track.azimuth_deg >= -180) & (track.azimuth_deg < 180)).all()
    assert track.active.all()
    assert ((track.confidence > 0.5) & (track.confidence <= 1)).all()


def test_a_track_in_ambisonics_follows_too(localizer):
    count = 4 * RATE
    dry = 0.1 * np.random.default_rng(0).standard_normal(count)
    azimuth = np.radians(150 + 20 * np.arange(count) / RATE)
    wave = np.stack([dry, dry * np.sin(azimuth), 0 * dry, dry * np.cos(azimuth)])
    foa = parse_array("foa")
    (track,) = localizer.track(wave.astype(np.float32), RATE, ["noise"], foa)
    errors = away(track.azimuth_deg, 150 + 20 * (track.time_s + 0.05))
    assert errors.mean() < 2
    assert errors.max() < 8


@pytest.mark.parametrize("azimuth", [-179.6, 41.3])
def test_the_track_of_a_source_at_rest_says_what_the_clip_says(localizer, azimuth):
    (answer,) = localizer.locate(moving_wave(azimuth, 0), RATE, ["noise"], SQUARE, track=True)
    assert answer.track is not None
    assert away(answer.track.azimuth_deg, answer.azimuth_deg).max() < 0.5
    assert away(answer.azimuth_deg, azimuth) < 1


def test_a_track_leaves_the_answer_as_it_is(localizer):
    signal = moving_wave(20, 10)
    (with_track,) = localizer.locate(signal, RATE, ["noise"], SQUARE, track=True)
    (without,) = localizer.locate(signal, RATE, ["noise"], SQUARE)
    assert without.track is None
    assert with_track.azimuth_deg == without.azimuth_deg


def test_blocks_do_not_show_in_a_track(localizer, monkeypatch):
    signal = moving_wave(-30, 20)
    (whole,) = localizer.track(signal, RATE, ["noise"], SQUARE)
    monkeypatch.setattr(module, "BLOCK_S", 1.3)
    (blocks,) = localizer.track(signal, RATE, ["noise"], SQUARE)
    assert away(whole.azimuth_deg, blocks.azimuth_deg).max() < 3


def test_pauses_are_not_active_and_bridged(localizer):
    signal = moving_wave(60, 0)
    signal[:, RATE : 3 * RATE] *= 1e-5
    (track,) = localizer.track(signal, RATE, ["noise"], SQUARE)
    assert track.active[1:9].all()
    assert not track.active[12:28].any()
    assert away(track.azimuth_deg, 60).max() < 2
    assert track.confidence[12:28].max() < track.confidence[1:9].min()


@pytest.mark.parametrize(("seconds", "frames"), [(0.3, 3), (0.305, 4), (0.005, 1)])
def test_every_frame_that_begins_has_a_place(localizer, seconds, frames):
    (track,) = localizer.track(moving_wave(90, 0, seconds), RATE, ["a click"], SQUARE)
    assert len(track.time_s) == len(track.azimuth_deg) == len(track.active) == frames
    assert away(track.azimuth_deg, 90).max() < 4


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_frames_are_100_ms_at_any_rate(localizer, rate):
    (track,) = localizer.track(moving_wave(0, 20, 2.0, rate), rate, ["noise"], SQUARE)
    assert len(track.time_s) == frame_count(2 * rate, rate) == 20
    assert away(track.azimuth_deg, 20 * (track.time_s + 0.05)).mean() < 2


def test_silence_has_no_track(localizer):
    with pytest.raises(DataError, match="silent"):
        localizer.track(np.zeros((4, RATE), np.float32), RATE, ["noise"], SQUARE)


class _Words:
    """Encoders that say nothing."""

    def read(self, queries):
        return torch.zeros(len(queries), 4), None

    def hear(self, mono, sample_rate):
        return None


def direct(net):
    recipe = recipe_from_dict({"name": "test", "scene": {"duration_s": 1.0}})
    return DirectLocalizer(net.eval(), _Words(), recipe, Sizes(6, 4, 0), "direct@0")


def test_a_network_that_answers_per_frame_has_tracks():
    torch.manual_seed(0)
    localizer = direct(ConcatLstm(pairs=6, n_lags=96, text_dim=4, hidden=8))
    signal = moving_wave(0, 40, seconds=1.35)
    one, other = localizer.track(signal, RATE, ["noise", "rain"], SQUARE)
    assert len(one.time_s) == 14
    assert one.query == "noise"
    assert (one.azimuth_deg == other.azimuth_deg).all()
    assert one.active.all()
    (alone,) = localizer.track(signal[:, :RATE], RATE, ["noise"], SQUARE)
    assert one.azimuth_deg[:10] == pytest.approx(alone.azimuth_deg, abs=1e-3)


def test_a_network_that_answers_once_per_clip_says_so():
    localizer = direct(ConcatNet(pairs=6, text_dim=4))
    with pytest.raises(CheckpointError, match=r"once per clip.*mask model"):
        localizer.track(moving_wave(0, 0, 1.0), RATE, ["noise"], SQUARE)
