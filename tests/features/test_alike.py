"""What is alike in all channels: left out, or taken away before directions are looked for."""

import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.features.alike import tells_alike
from tselcli.features.beside import BesideAlike
from tselcli.features.centred import Differences, basis, can_centre, squares
from tselcli.features.directions import beam_agreement, cell_agreement
from tselcli.features.precedence import OnsetHistogram
from tselcli.features.steering import steering_of
from tselcli.features.stft import mel_bands, reference_power, spread_share, stft
from tselcli.models.scenery import away
from tselcli.sections import FeatureRecipe

ARRAYS = ["square:0.12", "tetra:0.08", "circular:6:0.05", "circular:8:0.05"]
RATE = 16_000
FEATURES = FeatureRecipe()
GRID = np.arange(-180.0, 180.0, 1.0)


def noise(seed):
    return np.random.default_rng(seed).standard_normal(RATE)


def wave(array, azimuth, seed=0):
    """Noise as a plane wave: (C, N)."""
    late = delays(array.positions, np.array([azimuth]))[0]
    turned = np.fft.rfft(noise(seed)) * np.exp(
        -2j * np.pi * np.fft.rfftfreq(RATE, 1 / RATE) * late[:, None]
    )
    return torch.from_numpy(np.fft.irfft(turned, RATE)).float()


def alike(array, seed=1):
    return torch.from_numpy(np.tile(noise(seed), (len(array.positions), 1))).float()


def kept(spec, signal):
    """What a steering keeps of ones (T', M)."""
    steering = steering_of(parse_array(spec), GRID, 4, FEATURES, "cpu")
    spectrum = stft(signal[None], FEATURES.n_fft, FEATURES.hop)
    cells = -(-spectrum.shape[2] // FEATURES.mel_pool)
    ones = torch.ones(cells, FEATURES.n_mels)
    return steering.beside_alike(lambda: [spectrum], ones, ones)[1]


@pytest.mark.parametrize(
    "spec", ["square:0.12", "circular:8:0.05", "circular:3:0.04", "tetra:0.08"]
)
def test_these_arrays_tell_what_is_alike(spec):
    assert tells_alike(parse_array(spec).positions)


@pytest.mark.parametrize("spec", ["linear:2:0.1", "linear:4:0.05"])
def test_a_line_hears_its_broadside_alike_and_loses_nothing(spec):
    array = parse_array(spec)
    assert not tells_alike(array.positions)
    assert torch.equal(kept(spec, wave(array, 0.0)), torch.ones_like(kept(spec, alike(array))))


def test_ambisonics_lose_nothing():
    signal = torch.from_numpy(np.stack([noise(0), 0 * noise(0), 0 * noise(0), 0 * noise(0)]))
    assert bool((kept("foa", signal.float()) == 1).all())


@pytest.mark.parametrize("spec", ["square:0.12", "circular:8:0.05", "tetra:0.08"])
@pytest.mark.parametrize("azimuth", [-180, -91, -22.5, 0, 13, 67.5, 120])
def test_a_wave_is_kept_wherever_it_comes_from(spec, azimuth):
    """Above 1 kHz: below, small arrays hear all directions nearly alike."""
    found = kept(spec, wave(parse_array(spec), azimuth))
    assert float(found[:, FEATURES.n_mels // 2 :].mean()) > 0.9
    assert float(found.mean()) > 0.7


@pytest.mark.parametrize("spec", ["square:0.12", "circular:8:0.05", "tetra:0.08"])
def test_what_is_alike_is_left_out(spec):
    """Not at the lowest pitches, nor where the array's side is a whole wavelength."""
    found = kept(spec, alike(parse_array(spec)))
    assert float(found.median()) < 0.001
    assert float(found.mean()) < 0.15


@pytest.mark.parametrize("mixed", [0.0, 3.0])
def test_times_that_count_nothing_need_not_be_asked(mixed):
    """A whole block of them, and the last cell, which is not whole; then all of them."""
    array = parse_array("square:0.12")
    steering = steering_of(array, GRID, 4, FEATURES, "cpu")
    signal = (wave(array, 40.0) + mixed * alike(array))[:, : RATE - 321]
    spectrum = spectrum_of(signal)
    assert spectrum.shape[2] % FEATURES.mel_pool == 1
    blocks = spectrum.split(4 * FEATURES.mel_pool, dim=2)
    ones = torch.ones(-(-spectrum.shape[2] // FEATURES.mel_pool), FEATURES.n_mels)
    some = ones.clone()
    some[3:9], some[-1] = 0, 0
    every, wanted = steering.beside_alike(lambda: blocks, ones, ones)
    same, found = steering.beside_alike(lambda: blocks, some, ones)
    assert isinstance(same, BesideAlike) is isinstance(every, BesideAlike) is (mixed > 0)
    torch.testing.assert_close(found, wanted * some)
    none = torch.zeros_like(ones)
    assert torch.equal(steering.beside_alike(lambda: blocks, none, ones)[1], none)


def test_steering_finds_a_wave_below_a_louder_sound_that_is_alike():
    """Half of the time each, 10 dB apart; three microphones cannot do without their mean."""
    array = parse_array("circular:3:0.06")
    steering = steering_of(array, GRID, 4, FEATURES, "cpu")
    signal = wave(array, 70.0)
    signal[:, RATE // 2 :] = 3 * alike(array)[:, RATE // 2 :]
    spectrum = stft(signal[None], FEATURES.n_fft, FEATURES.hop)
    cells = -(-spectrum.shape[2] // FEATURES.mel_pool)
    ones = torch.ones(cells, FEATURES.n_mels)
    same, left = steering.beside_alike(lambda: [spectrum], ones, ones)
    assert same is steering
    assert float(left[: cells // 2].mean()) > 4 * float(left[cells // 2 + 2 :].mean())
    before = steering.response([spectrum], ones[None])[0]
    after = steering.response([spectrum], left[None])[0]
    assert GRID[int(after.argmax())] == 70
    assert float(after.max()) > 0.85 > float(before.max())


def test_what_begins_alike_counts_nowhere():
    array = parse_array("square:0.12")
    count = OnsetHistogram(array.positions, GRID[::4], RATE)
    one, other = wave(array, 40.0), alike(array)
    one[:, RATE // 3 :], other[:, : RATE // 2] = 0, 0
    alone, both = count(one)[0], count(one + other)[0]
    assert GRID[::4][int(both.argmax())] == 40
    assert float(count(other)[0].sum()) < 0.05 * float(alone.sum())
    assert float((both - alone).abs().sum()) < 0.05 * float(alone.sum())


def spectrum_of(signal):
    return stft(signal[None], FEATURES.n_fft, FEATURES.hop)


def looked_at(spec, signal):
    """The steering that a recording asks for, what is left of ones, and its blocks."""
    steering = steering_of(parse_array(spec), GRID, 4, FEATURES, "cpu")
    spectrum = spectrum_of(signal)
    blocks = spectrum.split(15 * FEATURES.mel_pool, dim=2)
    cells = -(-spectrum.shape[2] // FEATURES.mel_pool)
    ones = torch.ones(cells, FEATURES.n_mels)
    return *steering.beside_alike(lambda: blocks, ones, ones), blocks


@pytest.mark.parametrize("n_mics", [4, 5, 8])
def test_the_basis_is_orthonormal_and_sums_to_zero(n_mics):
    found = basis(n_mics)
    torch.testing.assert_close(found @ found.T, torch.eye(n_mics - 1), atol=1e-6, rtol=0)
    assert float(found.sum(dim=1).abs().max()) < 1e-6


@pytest.mark.parametrize("size", [3, 4, 7])
def test_squares_multiply_like_the_matrices(size):
    """(C' |u* y|^2 - 1) / (C' - 1), which is 1 for the same and 0 on average."""
    draw = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 50, size, 2, generator=draw)
    u, y = (torch.nn.functional.normalize(torch.view_as_complex(v)) for v in (one, other))
    left, right = squares(u), squares(y)
    real = (left * right.conj()).real.sum(dim=1) / left.shape[1]
    wanted = (size * (u.conj() * y).sum(dim=1).abs().square() - 1) / (size - 1)
    torch.testing.assert_close(real, wanted)
    same = (left * left.conj()).real.sum(dim=1) / left.shape[1]
    torch.testing.assert_close(same, torch.ones(50))


@pytest.mark.parametrize("spec", ARRAYS)
def test_what_is_alike_leaves_no_trace(spec):
    array = parse_array(spec)
    seen = Differences(array.positions, GRID, RATE, FEATURES.n_fft, "cpu")
    clean, mixed = wave(array, 50.0), wave(array, 50.0) + 30 * alike(array)
    one, both = seen(spectrum_of(clean)), seen(spectrum_of(mixed))
    audible = seen.power(spectrum_of(clean))[0] > 1e-2
    assert float((one - both).abs().amax(dim=1)[0][audible].median()) < 1e-2
    found, wanted = (float(seen.power(spectrum_of(s)).sum()) for s in (mixed, clean))
    assert found == pytest.approx(wanted, rel=1e-3)


def test_a_wave_agrees_as_far_as_its_differences_are_heard():
    array = parse_array("square:0.12")
    seen = Differences(array.positions, GRID, RATE, FEATURES.n_fft, "cpu")
    summed = seen.weighted(spectrum_of(wave(array, 50.0)), torch.ones(1, 51, 513))
    ours = seen.respond(summed)[0]
    assert GRID[int(ours.argmax())] == 50
    assert float(ours.max()) == pytest.approx(51 * float(seen.gain.sum()), rel=0.02)
    assert float(seen.gain[3]) < 0.01 < 0.9 < float(seen.gain[100:].min())


@pytest.mark.parametrize("azimuth", [0.0, 45.0, 160.0])
def test_what_differences_lack_of_a_waves_power_is_made_up_for(azimuth):
    """At 230 to 780 Hz, where they hold between a tenth and a half of it."""
    array = parse_array("square:0.12")
    seen = Differences(array.positions, GRID, RATE, FEATURES.n_fft, "cpu")
    spectrum = spectrum_of(wave(array, azimuth))
    share = (seen.power(spectrum) / reference_power(spectrum))[0, :, 15:50]
    assert 0.7 < float(share.median()) < 1.05


@pytest.mark.parametrize("spec", ARRAYS)
@pytest.mark.parametrize("azimuth", [-170.0, -33.0, 70.0])
def test_a_wave_is_found_below_something_alike_ten_times_as_strong(spec, azimuth):
    array = parse_array(spec)
    steering, left, blocks = looked_at(spec, wave(array, azimuth) + 10 * alike(array))
    assert isinstance(steering, BesideAlike)
    response = steering.response(blocks, torch.ones(1, *left.shape))[0]
    assert away(GRID[int(response.argmax())], azimuth) <= 1.0
    assert float(response.max()) > 0.5


@pytest.mark.parametrize("spec", ["circular:3:0.04", "circular:12:0.1", "linear:4:0.05"])
def test_other_arrays_go_on_by_phase(spec):
    array = parse_array(spec)
    assert not isinstance(looked_at(spec, wave(array, 20.0) + alike(array))[0], BesideAlike)


@pytest.mark.parametrize(("n_mics", "can"), [(3, False), (4, True), (8, True), (9, False)])
def test_how_many_microphones_can_do_without_their_mean(n_mics, can):
    assert can_centre(n_mics) is can


def test_waves_and_noise_alone_are_looked_at_by_phase():
    array = parse_array("square:0.12")
    rng = np.random.default_rng(5)
    hiss = torch.from_numpy(rng.standard_normal((4, RATE))).float()
    for signal in (wave(array, 20.0) + wave(array, -100.0, seed=3), hiss, 0 * hiss):
        assert not isinstance(looked_at("square:0.12", signal)[0], BesideAlike)


def test_nothing_but_what_is_alike_is_looked_at_by_phase():
    """Of its differences rounding is left, which points somewhere."""
    array = parse_array("square:0.12")
    assert not isinstance(looked_at("square:0.12", alike(array))[0], BesideAlike)


def test_a_cell_counts_as_far_as_its_power_is_not_alike():
    array = parse_array("square:0.12")
    signal = wave(array, 70.0)
    signal[:, RATE // 2 :] += 3 * alike(array)[:, RATE // 2 :]
    _, left, _ = looked_at("square:0.12", signal)
    high = left[:, FEATURES.n_mels // 2 :]
    assert float(high[: len(left) // 2 - 2].mean()) > 0.75
    assert float(high[len(left) // 2 + 2 :].mean()) < 0.25


def test_frames_add_up_to_the_response_of_the_whole():
    array = parse_array("square:0.12")
    signal = wave(array, 70.0) + 3 * alike(array)
    steering, left, blocks = looked_at("square:0.12", signal)
    whole = steering.response(blocks, torch.ones(1, *left.shape))[0]
    spectrum = torch.cat(blocks, dim=2)
    bins = (steering.bands.sum(dim=1) > 0).float().expand(spectrum.shape[2], -1)
    frames = torch.arange(spectrum.shape[2]) // 10
    found, mass = steering.by_frame(spectrum, bins, frames, 1)
    torch.testing.assert_close(found.sum(dim=0) / mass.sum(), whole, atol=1e-3, rtol=1e-2)
    coarse, _ = steering.by_frame(spectrum, bins, frames, 4)
    torch.testing.assert_close(coarse, found[:, ::4], atol=1e-3, rtol=1e-4)


def test_agreement_and_beginnings_point_to_the_wave():
    array = parse_array("square:0.12")
    signal = wave(array, 72.0) + 3 * alike(array)
    steering, _, blocks = looked_at("square:0.12", signal)
    cells = steering.agreement(blocks, [252, 72, 342])
    assert cells.shape == (-(-51 // FEATURES.mel_pool), FEATURES.n_mels, 3)
    assert (
        float(cells[:, 32:, 0].mean()) > 0.8 > 0.3 > float(cells[:, 32:, 1:].mean(dim=(0, 1)).max())
    )
    signal[:, : RATE // 3] = 0
    begun = steering.onsets(signal)[0]
    assert GRID[::4][int(begun.argmax())] == 72


@pytest.mark.parametrize("spec", ARRAYS)
def test_a_few_directions_by_beams_agree_as_all_by_squares(spec):
    array = parse_array(spec)
    size = FEATURES.n_fft
    left = Differences(array.positions, GRID, RATE, size, "cpu")
    spectrum = stft((wave(array, 40.0) + alike(array))[None], size, FEATURES.hop)
    share = spread_share(mel_bands(RATE, size, FEATURES.n_mels))
    some = [0, 220, 300]
    squared = cell_agreement(left(spectrum)[0], left.table[some], share, 2)
    beams = beam_agreement(*left.few(spectrum, some), share, 2)
    torch.testing.assert_close(beams, squared, atol=1e-5, rtol=1e-4)
    assert float(beams[:, 20:, 1].mean()) > 3 * float(beams[:, 20:, [0, 2]].mean())
