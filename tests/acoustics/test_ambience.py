"""The rooms' own noise: a small database of responses and ambience, FOA and capsules."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tselcli.acoustics.ambience import Ambience, draw_ambience
from tselcli.acoustics.manifest import read_line, scene_line
from tselcli.acoustics.measured import open_bank
from tselcli.acoustics.render import active_rms, render_scene
from tselcli.acoustics.scene import draw_scene
from tselcli.commands.simulate import simulate
from tselcli.errors import DataError
from tselcli.recipe import Recipe
from tselcli.sections import MeasuredRecipe

RATE = 24_000
ROOMS = {"gym": "02_gym", "tb103": "09_tb103_tietotalo_lecturehall"}
KINDS = {"foa": "foa_sn3d", "mic": "tetra"}


@pytest.fixture
def write(tau):
    """Write the ambience of a room beside the responses; by default 5 s of noise."""

    def written(room="tb103", channels="foa", sound=None, rate=RATE, where=tau.parent):
        path = where / "TAU-SNoise_DB" / ROOMS[room] / f"ambience_{KINDS[channels]}_24k_edited.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if sound is None:
            rng = np.random.default_rng([len(room), len(KINDS[channels])])
            sound = 0.1 * rng.standard_normal((5 * rate, 4))
        soundfile.write(path, sound, rate, subtype="FLOAT")
        return path

    return written


@pytest.fixture
def recipe(quick, tau):
    rules = MeasuredRecipe(folder=str(tau), test_rooms=(9,), train_rooms=(2,))
    update = {"measured": rules, "sample_rate": RATE, "noise_snr_db": (6.0, 30.0)}
    return quick.model_copy(update=update)


def drawn(recipe, corpus, channels="foa", index=0, split="test"):
    bank = open_bank(Path(recipe.measured.folder), channels)
    return draw_scene(recipe, corpus, 0, split, index, bank), bank


def noise_of(rendered):
    return rendered.signal - rendered.images.sum(axis=0)


@pytest.mark.parametrize("channels", ["foa", "mic"])
def test_the_noise_of_a_scene_is_a_part_of_its_room_s_recording(recipe, corpus, write, channels):
    write(channels="mic" if channels == "foa" else "foa")
    path = write(channels=channels)
    write("gym", channels)
    starts = set()
    for index in range(3):
        scene, bank = drawn(recipe, corpus, channels, index)
        assert scene.ambience.file == f"TAU-SNoise_DB/{path.parent.name}/{path.name}"
        starts.add(scene.ambience.start_s)
        rendered = render_scene(scene, corpus, bank)
        recorded, _ = soundfile.read(path)
        first = round(scene.ambience.start_s * RATE)
        part = recorded[first : first + RATE].T
        noise = noise_of(rendered)
        scale = np.sum(noise * part) / np.sum(part**2)
        assert noise == pytest.approx(scale * part, abs=1e-5)
    assert len(starts) == 3


@pytest.mark.parametrize("channels", ["foa", "mic"])
def test_the_noise_lies_as_far_below_the_sources_as_drawn(recipe, corpus, write, channels):
    write(channels=channels)
    scene, bank = drawn(recipe, corpus, channels, 4)
    rendered = render_scene(scene, corpus, bank)
    pressure = slice(0, 1) if channels == "foa" else slice(None)  # W of ambisonics
    noise = np.sqrt(np.mean(np.square(noise_of(rendered)[pressure], dtype=float)))
    sources = active_rms(rendered.images.sum(axis=0)[pressure], RATE)
    assert 6 <= scene.noise_snr_db <= 30
    assert 20 * np.log10(sources / noise) == pytest.approx(scene.noise_snr_db, abs=0.1)


def test_a_manifest_line_renders_to_the_same_bits(recipe, corpus, write):
    write()
    scene, bank = drawn(recipe, corpus)
    rendered = render_scene(scene, corpus, bank)
    again, _ = read_line(scene_line(rendered.scene, "audio/a.flac"))
    assert again.ambience == scene.ambience
    assert np.array_equal(render_scene(again, corpus, bank).signal, rendered.signal)


def test_a_recording_of_another_rate_is_resampled(recipe, corpus, write):
    tone = np.sin(2 * np.pi * 1000 * np.arange(5 * 48_000) / 48_000)
    write(sound=np.tile(0.1 * tone[:, None], 4), rate=48_000)
    scene, bank = drawn(recipe, corpus)
    noise = noise_of(render_scene(scene, corpus, bank))
    assert noise.shape == (4, RATE)
    assert np.abs(np.fft.rfft(noise[0])).argmax() == 1000


def test_only_the_part_is_read(recipe, corpus, write, monkeypatch):
    write()
    scene, bank = drawn(recipe, corpus)
    read, asked = soundfile.SoundFile.read, []

    def spy(sound, frames=-1, *args, **kwargs):
        if "ambience" in sound.name:
            asked.append((sound.tell(), frames))
        return read(sound, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    render_scene(scene, corpus, bank)
    ((first, frames),) = asked
    assert abs(first - scene.ambience.start_s * RATE) <= 1
    assert RATE <= frames <= RATE + 2


def test_a_part_lies_inside_the_recording_and_may_begin_anywhere(write):
    path = write()
    rng = np.random.default_rng(0)
    starts = [draw_ambience(rng, path, 1.5).start_s for _ in range(300)]
    assert min(starts) >= 0
    assert max(starts) + 1.5 <= 5.0
    assert np.ptp(starts) > 3.3


def test_a_recording_shorter_than_a_scene_is_one_line(recipe, corpus, write):
    path = write(sound=np.ones((int(0.7 * RATE), 4)) * 0.1)
    with pytest.raises(DataError, match=r"lasts 0\.7 s, and scenes 1 s; get it again") as caught:
        drawn(recipe, corpus)
    assert str(caught.value).startswith(str(path))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(DataError, match="damaged or not audio"):
        drawn(recipe, corpus)


def test_a_room_without_a_recording_has_diffuse_noise(recipe, corpus, write):
    write("gym")
    assert drawn(recipe, corpus)[0].ambience is None
    assert drawn(recipe, corpus, split="train")[0].ambience is not None
    assert drawn(recipe, corpus, "mic", split="train")[0].ambience is None


def test_diffuse_noise_on_request_changes_nothing_else(recipe, corpus, write):
    write()
    diffuse = recipe.measured.model_copy(update={"ambience": "diffuse"})
    plain, _ = drawn(recipe.model_copy(update={"measured": diffuse}), corpus)
    scene, _ = drawn(recipe, corpus)
    assert plain.ambience is None
    assert replace(scene, ambience=None) == plain
    quiet = recipe.model_copy(update={"noise_snr_db": None})
    assert drawn(quiet, corpus)[0].ambience is None


def test_a_database_in_one_folder_serves_too(recipe, corpus, write, tau):
    write(where=tau)
    assert drawn(recipe, corpus)[0].ambience.file.startswith("TAU-SNoise_DB/09_tb103")


def test_two_recordings_of_a_room_are_one_too_many(recipe, corpus, write, tau):
    path = write()
    path.parent.rename(path.parent.with_name("09_another"))
    write()
    with pytest.raises(DataError, match=r"tb103 has another one, 09_another; move one away"):
        open_bank(tau)


def test_what_a_scene_needs_and_cannot_have_is_one_line(recipe, corpus, write):
    path = write()
    scene, bank = drawn(recipe, corpus)
    for file in ("TAU-SNoise_DB/09_other/x.wav", "../../etc/passwd"):
        elsewhere = replace(scene, ambience=Ambience(file, 0.0))
        with pytest.raises(DataError, match="not beside the measured rooms"):
            render_scene(elsewhere, corpus, bank)
    late = replace(scene, ambience=replace(scene.ambience, start_s=4.5))
    with pytest.raises(DataError, match=r"ends or is silent within 1 s after 4\.5 s"):
        render_scene(late, corpus, bank)
    soundfile.write(path, np.zeros((5 * RATE, 4)), RATE)
    with pytest.raises(DataError, match="ends or is silent"):
        render_scene(scene, corpus, bank)
    soundfile.write(path, np.ones((5 * RATE, 2)) * 0.1, RATE)
    with pytest.raises(DataError, match="has 2 channels instead of 4"):
        render_scene(scene, corpus, bank)


def test_the_summary_of_a_simulation_says_which_noise_it_was(recipe, tau, write, tmp_path):
    write("gym")
    both = recipe.measured.model_copy(update={"train_rooms": (2, 9)})
    scene = recipe.model_copy(update={"measured": both, "duration_s": 0.3})
    whole = Recipe(name="noises", corpus={"source": "synthetic"}, scene=scene)
    noise = simulate(whole, tmp_path / "out", count=8).noise
    assert set(noise) == {"ambience", "diffuse"}
    assert sum(noise.values()) == 8
