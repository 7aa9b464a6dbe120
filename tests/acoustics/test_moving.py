"""Scenes with moving sources: among measured responses, and around the array in a shoebox."""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
import soundfile

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.acoustics.manifest import expand_positions, scene_from_json, scene_to_json
from tselcli.acoustics.measured import Track
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import draw_scene
from tselcli.corpora.clip import Clip, Corpus
from tselcli.errors import DataError
from tselcli.sections import MeasuredRecipe, MotionRecipe

ARRAY = parse_array("square:0.12")


@dataclass(frozen=True)
class PlaneWaves:
    """A bank without reflections: every direction is a plane wave that arrives at 5 ms."""

    name: str = "plane-waves"
    sample_rate: int = 16_000
    array = ARRAY
    ambiences = MappingProxyType({})
    tracks = tuple(
        Track(
            room=f"room{number}",
            number=number,
            name="t0h0",
            azimuth_deg=tuple(float(a) for a in range(-180, 180, 2)),
            elevation_deg=(0.0,) * 180,
            distance_m=(None,) * 180,
            closed=True,
        )
        for number in (1, 8, 9)
    )

    def rirs(self, track, indices):
        late = delays(ARRAY.positions, np.array(track.azimuth_deg)[list(indices)])
        hertz = np.fft.rfftfreq(512, 1 / self.sample_rate)
        phase = np.exp(-2j * np.pi * hertz * (late[..., None] + 0.005))
        return np.fft.irfft(phase, 512).astype(np.float32)


@pytest.fixture
def measured(quick):
    rules = MeasuredRecipe(folder="nowhere")
    return quick.model_copy(update={"measured": rules, "sample_rate": 16_000})


@pytest.fixture
def lasting(tmp_path):
    """Two sounds that last for as long as a scene."""
    clips = []
    for number in range(2):
        burst = np.random.default_rng(number).standard_normal(16_000) * 0.1
        path = tmp_path / f"lasting{number}.wav"
        soundfile.write(path, burst, 8_000, subtype="FLOAT")
        words = (f"noise {number}",)
        clips.append(Clip(path.stem, words[0], words, "train", frozenset(), path, 0, "lasting"))
    return Corpus("lasting", tuple(clips))


def srp_track(signal, rate, frame, half=1600):
    """Steer half a second around the middle of a frame: the azimuth of the highest response."""
    import torch

    from tselcli.features.srp import srp_phat
    from tselcli.features.stft import stft

    middle = round((frame + 0.5) * 0.1 * rate)
    piece = signal[:, max(0, middle - half) : middle + half]
    grid = np.arange(-180.0, 180.0)
    response = srp_phat(stft(torch.from_numpy(piece)[None], 512, 256), ARRAY.positions, grid, rate)
    return grid[int(response[0].argmax())]


@pytest.mark.parametrize("speed", [10.0, 40.0])
def test_a_moving_source_is_where_its_label_says(measured, lasting, speed):
    motion = MotionRecipe(share=1.0, speed_deg_s=(speed,))
    recipe = measured.model_copy(update={"motion": motion, "directional": 1, "additive": 0})
    scene = draw_scene(recipe, lasting, 0, "train", 0, PlaneWaves())
    rendered = render_scene(scene, lasting, PlaneWaves())
    truth = expand_positions(rendered.scene.sources[0].positions, 100)[:, 0]
    frames = [k for run in rendered.scene.sources[0].active for k in range(*run)][1:-1]
    errors = [srp_track(rendered.signal, 16_000, k) - truth[k] for k in frames]
    errors = np.abs((np.array(errors) + 180) % 360 - 180)
    assert len(frames) >= 5
    assert np.median(errors) <= 3.0
    walked = np.unwrap(truth, period=360)
    assert abs(walked[9] - walked[0]) == pytest.approx(0.9 * speed, abs=2.0)


def test_rooms_are_divided_as_the_paper_does(measured, corpus):
    for split, room in (("train", "room1"), ("val", "room8"), ("test", "room9")):
        scenes = [draw_scene(measured, corpus, 0, split, k, PlaneWaves()) for k in range(5)]
        assert {scene.room.name for scene in scenes} == {room}


def test_nobody_walks_among_places_that_are_far_apart(measured, corpus):
    bank = PlaneWaves()
    few = tuple(
        replace(
            track,
            azimuth_deg=tuple(a for a in track.azimuth_deg if a % 30 == 0),
            elevation_deg=(0.0,) * 12,
            distance_m=(None,) * 12,
        )
        for track in bank.tracks
    )
    object.__setattr__(bank, "tracks", few)
    recipe = measured.model_copy(update={"motion": MotionRecipe(share=1.0, speed_deg_s=(40.0,))})
    for index in range(5):
        assert all(
            s.positions is None for s in draw_scene(recipe, corpus, 0, "val", index, bank).sources
        )
    near = draw_scene(recipe, corpus, 0, "val", 0, PlaneWaves())
    assert all(source.positions for source in near.sources)


def test_a_split_without_a_room_is_explained(measured, corpus):
    rules = MeasuredRecipe(folder="half-a-download", val_rooms=(3,))
    recipe = measured.model_copy(update={"measured": rules})
    with pytest.raises(DataError, match=r"no room of the val split \(rooms \[3\], there are"):
        draw_scene(recipe, corpus, 0, "val", 0, PlaneWaves())


def test_a_measured_scene_survives_json_and_needs_its_bank(measured, corpus):
    scene = draw_scene(measured, corpus, 0, "train", 2, PlaneWaves())
    assert scene_from_json(scene_to_json(scene)) == scene
    with pytest.raises(DataError, match="needs the responses of 'plane-waves'; none was given"):
        render_scene(scene, corpus)
    with pytest.raises(DataError, match="'other' was given"):
        render_scene(scene, corpus, PlaneWaves(name="other"))
    lost = replace(scene.sources[0], track="t9h9")
    with pytest.raises(DataError, match="no trajectory 't9h9'"):
        render_scene(replace(scene, sources=(lost, *scene.sources[1:])), corpus, PlaneWaves())


def test_responses_of_another_rate_are_resampled(measured, corpus):
    recipe = measured.model_copy(update={"sample_rate": 24_000, "directional": 1})
    scene = draw_scene(recipe, corpus, 0, "train", 3, PlaneWaves())
    rendered = render_scene(scene, corpus, PlaneWaves())
    azimuth = scene.sources[0].azimuth_deg
    found = srp_track(rendered.signal, 24_000, rendered.scene.sources[0].active[0][0] + 1)
    assert abs((found - azimuth + 180) % 360 - 180) <= 3


def test_separation_is_kept_among_measured_directions(measured, corpus):
    recipe = measured.model_copy(update={"min_separation_deg": 60.0})
    for index in range(20):
        first, second = draw_scene(recipe, corpus, 0, "train", index, PlaneWaves()).sources[:2]
        assert abs((first.azimuth_deg - second.azimuth_deg + 180) % 360 - 180) >= 60


def test_a_source_in_a_shoebox_walks_round_the_array_and_stays_in_the_room(quick, corpus):
    recipe = quick.model_copy(update={"motion": MotionRecipe(share=1.0, speed_deg_s=(20.0,))})
    turned = 0
    for index in range(10):
        scene = draw_scene(recipe, corpus, 0, "train", index)
        for source in scene.sources:
            way = np.array([place for _, *place in source.positions])
            assert np.ptp(way[:, 2]) == 0  # its distance
            angles = np.radians(way[:, 0] + scene.array_yaw_deg)
            flat = way[:, 2] * np.cos(np.radians(way[:, 1]))
            x = flat * np.cos(angles) + scene.array_position_m[0]
            y = flat * np.sin(angles) + scene.array_position_m[1]
            assert min(x.min(), y.min()) > 0
            assert x.max() < scene.room.size_m[0]
            assert y.max() < scene.room.size_m[1]
            steps = np.diff(np.unwrap(way[:, 0], period=360))
            turned += bool((steps > 0).any() and (steps < 0).any())
    assert turned > 0


def test_rest_is_drawn_as_before_there_was_motion(quick, corpus):
    """The random numbers of a scene at rest are those of a recipe that knows no motion."""
    never = quick.model_copy(update={"motion": MotionRecipe(share=0.0, speed_deg_s=(5.0,))})
    assert draw_scene(never, corpus, 0, "train", 4) == draw_scene(quick, corpus, 0, "train", 4)


@pytest.mark.parametrize("order", [0, 20])
def test_a_moving_shoebox_source_is_heard_where_it_is(quick, lasting, order):
    room = quick.room.model_copy(update={"max_order": order})
    motion = MotionRecipe(share=1.0, speed_deg_s=(20.0,))
    recipe = quick.model_copy(update={"room": room, "motion": motion, "directional": 1})
    scene = draw_scene(recipe, lasting, 1, "train", 0)
    scene = replace(scene, array=ARRAY)
    rendered = render_scene(scene, lasting)
    truth = expand_positions(scene.sources[0].positions, 100)[:, 0]
    frames = [k for run in rendered.scene.sources[0].active for k in range(*run)][1:-1]
    found = np.array([srp_track(rendered.signal, scene.sample_rate, k) for k in frames])
    errors = np.abs((found - truth[frames] + 180) % 360 - 180)
    assert len(frames) >= 5
    assert np.median(errors) <= 3.0
