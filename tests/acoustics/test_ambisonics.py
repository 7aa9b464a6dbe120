import numpy as np
import pytest

from tselcli.acoustics.ambisonics import encode, figures_of_eight, from_acn_sn3d, to_acn_sn3d
from tselcli.acoustics.geometry import azimuth_of, elevation_of, turn, wrap_deg
from tselcli.acoustics.noise import diffuse_foa_noise
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.rirs import Room, shoebox_rirs
from tselcli.acoustics.scene import draw_scene
from tselcli.sections import ArrayRecipe, SceneRecipe

RATE = 8_000
ROOM = Room((6.0, 5.0, 3.0), 0.4)
CENTRE = np.array([2.5, 2.2, 1.2])
SOURCES = np.array([(4.6, 3.4, 1.6), (1.2, 4.0, 0.9)])
CONVENTIONS = ("acn-sn3d", "acn-n3d", "fuma")


def intensity(signal):
    """Sum W times X, Y, Z over a signal (4, N) in ACN: the vector (3,) towards the sound."""
    return (signal[:1] * signal[[3, 1, 2]]).sum(axis=-1)


def recipe(quick, foa="foa", **changes):
    array = ArrayRecipe(geometry=foa, rotate=True)
    return SceneRecipe(**{**quick.model_dump(), "array": array.model_dump(), **changes})


@pytest.mark.parametrize("foa", CONVENTIONS)
@pytest.mark.parametrize("elevation", [-40, 0, 65])
@pytest.mark.parametrize("azimuth", [-180, -135, -60, 0, 30, 90, 179])
def test_a_plane_wave_comes_back_to_its_direction(foa, azimuth, elevation):
    noise = np.random.default_rng(0).standard_normal(200)
    wave = to_acn_sn3d(from_acn_sn3d(encode(azimuth, elevation)[:, None] * noise, foa), foa)
    assert wrap_deg(azimuth_of(intensity(wave)) - azimuth) == pytest.approx(0, abs=1e-9)
    assert elevation_of(intensity(wave)) == pytest.approx(elevation)


def test_each_convention_has_its_own_order_and_scale():
    gains = encode(30.0, 20.0)[:, None]
    w, y, z, x = gains[:, 0]
    assert (y, z, x) == pytest.approx((0.469846, 0.342020, 0.813798), abs=1e-6)
    assert from_acn_sn3d(gains, "acn-n3d")[:, 0] / np.sqrt([1, 3, 3, 3]) == pytest.approx(
        gains[:, 0]
    )
    assert from_acn_sn3d(gains, "fuma")[:, 0] == pytest.approx([w / np.sqrt(2), x, y, z])


@pytest.mark.parametrize("foa", CONVENTIONS)
def test_there_and_back_changes_nothing(foa):
    signal = np.random.default_rng(0).standard_normal((2, 4, 50)).astype(np.float32)
    back = from_acn_sn3d(to_acn_sn3d(signal, foa), foa)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, signal, rtol=1e-6)


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="first-order ambisonics are"):
        to_acn_sn3d(np.zeros((3, 10)), "fuma")


def test_w_hears_what_a_microphone_hears():
    places = np.tile(CENTRE, (4, 1))
    ours = shoebox_rirs(ROOM, places, SOURCES, RATE, axes=figures_of_eight())
    plain = shoebox_rirs(ROOM, places[:1], SOURCES, RATE)
    length = min(ours.shape[-1], plain.shape[-1])
    difference = np.abs(ours[:, 0, :length] - plain[:, 0, :length]).max()
    assert difference <= 1e-6 * np.abs(plain).max()
    again = shoebox_rirs(ROOM, places, SOURCES, RATE, axes=figures_of_eight())
    np.testing.assert_array_equal(again, ours)


@pytest.mark.parametrize("yaw", [0.0, 75.0, -170.0])
@pytest.mark.parametrize("azimuth", [-150, -90, -20, 0, 45, 100, 180])
def test_direct_sound_has_the_gains_of_its_direction(azimuth, yaw):
    ray = np.array([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth)), 0.3])
    places = np.tile(CENTRE, (4, 1))
    rirs = shoebox_rirs(ROOM, places, [CENTRE + ray], RATE, 0, figures_of_eight(yaw))[0]
    seen = turn(ray, -yaw)
    peak = np.abs(rirs[0]).argmax()
    gains = encode(azimuth_of(seen), elevation_of(seen))
    assert rirs[:, peak] / rirs[0, peak] == pytest.approx(gains, abs=1e-5)


def test_the_first_reflection_comes_from_the_floor():
    """Source and ambisonics 0.4 m above it: the mirrored source is seen at -28 degrees."""
    places = np.tile([3.0, 2.5, 0.4], (4, 1))
    room, source = Room((6.0, 5.0, 3.0), 0.4), [(3.0, 1.0, 0.4)]
    whole = shoebox_rirs(room, places, source, 48_000, axes=figures_of_eight())[0]
    late = round(np.hypot(1.5, 0.8) / 343.0 * 48_000)
    found = intensity(whole[:, late - 3 : late + 4])
    assert azimuth_of(found) == pytest.approx(-90, abs=3)
    assert elevation_of(found) == pytest.approx(np.degrees(np.arctan2(-0.8, 1.5)), abs=6)


def test_diffuse_noise_has_no_direction_and_no_coherence():
    noise = diffuse_foa_noise(60 * RATE, RATE, np.random.default_rng(0)).astype(float)
    assert np.cov(noise) == pytest.approx(np.diag([1, 1 / 3, 1 / 3, 1 / 3]), abs=0.03)


@pytest.mark.parametrize("name", ["foa-n3d", "foa-fuma"])
def test_a_scene_is_the_same_in_every_convention(quick, corpus, name):
    changes = {"additive": 1, "noise_snr_db": (5.0, 15.0), "level_difference_db": (-6.0, 9.0)}
    plain, other = (
        render_scene(draw_scene(recipe(quick, foa, **changes), corpus, 0, "train", 0), corpus)
        for foa in ("foa", name)
    )
    signal = to_acn_sn3d(other.signal, other.scene.array.foa)
    scale = np.abs(plain.signal).max() / np.abs(signal).max()
    np.testing.assert_allclose(signal * scale, plain.signal, atol=1e-5)


def test_a_rendered_source_is_where_the_scene_says_however_the_array_is_turned(quick, corpus):
    for index in range(4):
        room = {**quick.room.model_dump(), "max_order": 0}
        alone = recipe(quick, directional=1, room=room)
        rendered = render_scene(draw_scene(alone, corpus, 0, "train", index), corpus)
        found = azimuth_of(intensity(rendered.signal.astype(float)))
        away = wrap_deg(found - rendered.scene.sources[0].azimuth_deg)
        assert away == pytest.approx(0, abs=0.1)
        assert rendered.scene.array_yaw_deg != 0


def test_a_source_without_a_place_sounds_in_w_alone(quick, corpus):
    scene = draw_scene(recipe(quick, additive=1), corpus, 0, "train", 0)
    additive = render_scene(scene, corpus).images[2]
    assert additive[0].any()
    assert not additive[1:].any()
