from dataclasses import replace

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

from tselcli.acoustics.geometry import delays
from tselcli.acoustics.render import active_frames, active_rms, convolve, render_scene
from tselcli.acoustics.rirs import shoebox_rirs
from tselcli.acoustics.scene import draw_scene
from tselcli.corpora.clip import Corpus
from tselcli.errors import DataError
from tselcli.sections import ArrayRecipe, RoomRecipe, SceneRecipe

RATE = 8_000


@pytest.fixture
def full(quick) -> SceneRecipe:
    """Everything a scene can have."""
    changes = {"additive": 1, "level_difference_db": (-6.0, 9.0), "noise_snr_db": (5.0, 15.0)}
    return SceneRecipe(**{**quick.model_dump(), **changes, "onset": "random"})


def rms(signal):
    return np.sqrt(np.mean(np.asarray(signal, dtype=float) ** 2))


def test_convolution_is_that_of_scipy():
    rng = np.random.default_rng(0)
    clip = rng.standard_normal(3001).astype(np.float32)
    rirs = rng.standard_normal((3, 517)).astype(np.float32)
    reference = fftconvolve(clip[None].astype(float), rirs.astype(float), axes=-1)[:, :3001]
    assert convolve(clip, rirs) == pytest.approx(reference, abs=1e-3)
    assert convolve(clip, rirs).dtype == np.float32


def test_an_image_is_the_clip_through_the_room(quick, corpus):
    scene = draw_scene(quick, corpus, 0, "train", 0)
    rendered = render_scene(scene, corpus)
    places = [source.position_m for source in scene.sources]
    rirs = shoebox_rirs(scene.room, scene.mics_m, places, RATE, max_order=3)
    for number, source in enumerate(rendered.scene.sources):
        clip, _ = soundfile.read(corpus.clips[int(source.clip_id[-1])].path)
        wet = np.pad(fftconvolve(clip[None], rirs[number], axes=-1), ((0, 0), (0, RATE)))[:, :RATE]
        assert rendered.images[number] == pytest.approx(wet * source.gain, abs=1e-4)


def test_images_and_noise_make_up_the_signal(full, corpus):
    rendered = render_scene(draw_scene(full, corpus, 0, "train", 1), corpus)
    assert np.abs(rendered.signal).max() == pytest.approx(0.5, abs=1e-6)
    mixture = rendered.images.sum(axis=0)
    noise = rendered.signal - mixture
    snr = 20 * np.log10(active_rms(mixture, RATE) / rms(noise))
    assert snr == pytest.approx(rendered.scene.noise_snr_db, abs=0.1)


def test_without_noise_the_images_are_all(quick, corpus):
    rendered = render_scene(draw_scene(quick, corpus, 0, "train", 2), corpus)
    assert rendered.images.sum(axis=0) == pytest.approx(rendered.signal, abs=1e-6)


def test_levels_at_the_array_are_those_of_the_scene(full, corpus):
    for index in range(5):
        rendered = render_scene(draw_scene(full, corpus, 0, "train", index), corpus)
        target, *others = (active_rms(image, RATE) for image in rendered.images)
        for source, level in zip(rendered.scene.sources[1:], others, strict=True):
            assert 20 * np.log10(level / target) == pytest.approx(source.level_db, abs=0.2)


def test_silence_around_a_clip_does_not_count_for_its_level():
    tone = np.sin(np.arange(RATE) * 0.3)
    padded = np.concatenate([np.zeros(2 * RATE), tone, np.zeros(RATE)])
    assert active_rms(padded, RATE) == pytest.approx(rms(tone), rel=1e-6)
    assert active_frames(padded, RATE).nonzero()[0].tolist() == list(range(20, 30))


def test_active_means_within_40_db_of_the_loudest_frame():
    levels_db = np.array([0.0, -39.0, -41.0, -20.0])
    signal = np.repeat(10 ** (levels_db / 20), RATE // 10)[: 3 * RATE // 10 + 17]
    assert active_frames(signal, RATE).tolist() == [True, True, False, True]
    assert not active_frames(np.zeros(100), RATE).any()


def test_an_additive_source_is_alike_on_all_channels_and_has_no_place(full, corpus):
    rendered = render_scene(draw_scene(full, corpus, 0, "train", 0), corpus)
    added = rendered.images[-1]
    assert added.any()
    assert all(np.array_equal(added[0], channel) for channel in added)
    assert rendered.scene.sources[-1].position_m is None
    assert rendered.scene.sources[-1].azimuth_deg is None


def test_activity_follows_the_clip_not_its_reverberation(quick, corpus):
    scene = draw_scene(quick, corpus, 0, "train", 0)
    sources = tuple(replace(source, onset_s=0.4) for source in scene.sources)
    rendered = render_scene(replace(scene, sources=sources), corpus)
    for source in rendered.scene.sources:
        seconds = 0.25 + 700 * int(source.clip_id[-1]) / RATE
        stop = int(np.ceil(min(0.4 + seconds, 1.0) * 10 - 1e-9))
        assert source.active == ((4, stop),)


def test_reverberation_does_not_count_as_activity(corpus):
    recipe = SceneRecipe(sample_rate=RATE, room=RoomRecipe(rt60_s=(0.9, 1.0)), duration_s=2.0)
    rendered = render_scene(draw_scene(recipe, corpus, 0, "train", 0), corpus)
    for source, image in zip(rendered.scene.sources, rendered.images, strict=True):
        length = RATE // 4 + 700 * int(source.clip_id[-1])
        assert source.active == ((0, int(np.ceil(length / 800))),)
        assert active_frames(image, RATE).sum() > source.active[0][1] + 1


def test_a_clip_longer_than_the_scene_is_cut(quick, corpus):
    short = quick.model_copy(update={"duration_s": 0.15})
    rendered = render_scene(draw_scene(short, corpus, 0, "train", 0), corpus)
    assert rendered.signal.shape == (4, 1200)
    assert rendered.scene.sources[0].active == ((0, 2),)


def test_the_wave_front_crosses_the_array_from_the_labelled_side(corpus):
    room = RoomRecipe(length_m=(12, 12), width_m=(12, 12), max_order=0, source_distance_min_m=3)
    array = ArrayRecipe(rotate=True, geometry="circular:5", spacing_m=(0.3, 0.3))
    recipe = SceneRecipe(sample_rate=RATE, duration_s=0.5, directional=1, room=room, array=array)
    for index in range(6):
        rendered = render_scene(draw_scene(recipe, corpus, 0, "train", index), corpus)
        spectra = np.fft.rfft(rendered.signal, 1 << 14)
        cross = np.fft.irfft(spectra * spectra[0].conj(), 16 << 14)  # 16 times finer lags
        lags = (cross.argmax(axis=-1) + (8 << 14)) % (16 << 14) - (8 << 14)
        source = rendered.scene.sources[0]
        flat = np.cos(np.radians(source.elevation_deg))
        expected = delays(rendered.scene.array.positions, [source.azimuth_deg])[0] * flat
        assert lags / 16 / RATE == pytest.approx(expected - expected[0], abs=6e-5)


def test_rendering_again_gives_the_same_bits(full, corpus):
    scene = draw_scene(full, corpus, 0, "train", 3)
    first = render_scene(scene, corpus)
    np.random.default_rng(9).random()
    again = render_scene(first.scene, corpus)  # what was measured changes nothing
    assert np.array_equal(first.signal, again.signal)
    assert first.scene == again.scene


def test_the_measured_rt60_is_that_of_the_target(corpus):
    recipe = SceneRecipe(duration_s=0.5, room=RoomRecipe(rt60_s=(0.7, 0.7)))
    rendered = render_scene(draw_scene(recipe, corpus, 0, "train", 0), corpus)
    assert rendered.rt60_measured_s == rendered.scene.rt60_measured_s
    assert rendered.rt60_measured_s == pytest.approx(0.7, rel=0.35)


def test_direct_sound_alone_has_no_rt60(quick, corpus):
    room = quick.room.model_copy(update={"max_order": 0})
    scene = draw_scene(quick.model_copy(update={"room": room}), corpus, 0, "train", 0)
    assert render_scene(scene, corpus).rt60_measured_s is None


def test_a_silent_or_missing_clip_is_explained(quick, corpus):
    scene = draw_scene(quick, corpus, 0, "train", 0)
    with pytest.raises(DataError, match="none: holds no clip 'burst"):
        render_scene(scene, Corpus("none", ()))
    for clip in corpus.clips:
        soundfile.write(clip.path, np.zeros(RATE), RATE)
    with pytest.raises(DataError, match="silent in its first 8000 samples"):
        render_scene(scene, corpus)
    for clip in corpus.clips:
        clip.path.write_text("not audio")
    with pytest.raises(DataError, match=r"burst\d\.wav"):
        render_scene(scene, corpus)
