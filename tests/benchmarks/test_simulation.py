"""Rendering the paper's scenes against a plain pyroomacoustics script of the very same scenes.

Two dozen scenes of Table I: two directional sources, shoeboxes of 5-15 m, RT60 0.5-1 s, four
microphones, 10 s at 32 kHz. AudioCaps' clips last 10 s, so the built-in ones are repeated to
that. Both sides are given the clips in memory and give the recording in memory. The script is
what the manual shows: ShoeBox, add_source, add_microphone_array, simulate(). Every process
computes in one thread; two processes are workers as `tselcli.processes` makes them, get the scenes
one by one, and the clock on the wall counts: a parent's processor time leaves out its children.
They stand beside two processes of the script, and beside the script as it is, in one.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pyroomacoustics as pra
import pytest

from tselcli.acoustics import render
from tselcli.acoustics.scene import draw_scene
from tselcli.corpora.captions import open_corpora
from tselcli.corpora.clip import read_clip
from tselcli.processes import settle
from tselcli.recipe import load_recipe

SCENES = 24
RECIPE = "paper/table1-clap-concat-two-directional"
ONE = f"{SCENES} scenes of Table I, one process"
TWO = f"{SCENES} scenes of Table I, two processes, by the clock"
READY = {}


@pytest.fixture(scope="module", autouse=True)
def prepared():
    """Draw the scenes and hold their clips in memory, before the clock starts."""
    corpus = open_corpora(["synthetic"], "test")
    clips = {clip.id: clip for clip in corpus.clips}
    patch, sounds = pytest.MonkeyPatch(), {}
    for method in ("images", "diffuse-tail"):
        recipe = load_recipe(RECIPE, [f"scene.room.method={method}"]).scene
        READY[method] = [draw_scene(recipe, corpus, 1000, "test", k) for k in range(SCENES)]
    for name in {source.clip_id for scene in READY["images"] for source in scene.sources}:
        sound = read_clip(clips[name], recipe.sample_rate)
        sounds[name] = np.resize(sound, round(recipe.duration_s * recipe.sample_rate))
    patch.setattr(render, "read_clip", lambda clip, rate: sounds[clip.id])
    READY.update(corpus=corpus, sounds=sounds)
    threads = pra.constants.get("num_threads")
    pra.constants.set("num_threads", 1)
    yield
    pra.constants.set("num_threads", threads)
    patch.undo()


def images(number):
    return render.render_scene(READY["images"][number], READY["corpus"]).signal


def diffuse_tail(number):
    return render.render_scene(READY["diffuse-tail"][number], READY["corpus"]).signal


def pyroomacoustics(number):
    scene = READY["images"][number]
    absorption, order = pra.inverse_sabine(scene.room.rt60_s, list(scene.room.size_m))
    room = pra.ShoeBox(
        list(scene.room.size_m),
        fs=scene.sample_rate,
        materials=pra.Material(absorption),
        max_order=order,
    )
    for source in scene.sources:
        room.add_source(list(source.position_m), signal=READY["sounds"][source.clip_id])
    room.add_microphone_array(scene.mics_m.T)
    room.simulate()
    return room.mic_array.signals


def sound(work, number):
    """Render a scene and keep it there: a recording is not sent from process to process."""
    signal = work(number)
    return len(signal) == 4 and bool(np.isfinite(signal).all())


def measure(benchmark, work):
    rounds = {"rounds": 3, "warmup_rounds": 1}
    assert all(benchmark.pedantic(lambda: [sound(work, k) for k in range(SCENES)], **rounds))


def measure_two(benchmark, work):
    # Forked: a test module cannot be imported by name, as spawned processes would have to.
    with ProcessPoolExecutor(2, get_context("fork"), settle) as pool:
        rounds = {"rounds": 3, "warmup_rounds": 1}
        scenes = [work] * SCENES, range(SCENES)
        assert all(benchmark.pedantic(lambda: list(pool.map(sound, *scenes)), **rounds))


@pytest.mark.benchmark(group=f"{ONE}, every image")
def test_images_ours(benchmark):
    measure(benchmark, images)


@pytest.mark.benchmark(group=f"{ONE}, every image")
def test_images_pyroomacoustics(benchmark):
    benchmark.extra_info["title"] = "plain pyroomacoustics"
    measure(benchmark, pyroomacoustics)


@pytest.mark.benchmark(group=f"{TWO}, every image", timer=time.perf_counter)
def test_images_of_two_ours(benchmark):
    measure_two(benchmark, images)


@pytest.mark.benchmark(group=f"{TWO}, every image", timer=time.perf_counter)
def test_images_of_two_pyroomacoustics(benchmark):
    benchmark.extra_info["title"] = "two processes of plain pyroomacoustics"
    measure_two(benchmark, pyroomacoustics)


@pytest.mark.benchmark(group=f"{TWO}, every image", timer=time.perf_counter)
def test_images_plain_script(benchmark):
    benchmark.extra_info["title"] = "the plain script"
    measure(benchmark, pyroomacoustics)


@pytest.mark.benchmark(group=f"{ONE}, diffuse tail")
def test_diffuse_tail_ours(benchmark):
    measure(benchmark, diffuse_tail)


@pytest.mark.benchmark(group=f"{ONE}, diffuse tail")
def test_diffuse_tail_pyroomacoustics(benchmark):
    benchmark.extra_info["title"] = "plain pyroomacoustics"
    measure(benchmark, pyroomacoustics)


@pytest.mark.benchmark(group=f"{TWO}, diffuse tail", timer=time.perf_counter)
def test_diffuse_tail_of_two_ours(benchmark):
    measure_two(benchmark, diffuse_tail)


@pytest.mark.benchmark(group=f"{TWO}, diffuse tail", timer=time.perf_counter)
def test_diffuse_tail_of_two_pyroomacoustics(benchmark):
    benchmark.extra_info["title"] = "two processes of plain pyroomacoustics"
    measure_two(benchmark, pyroomacoustics)


@pytest.mark.benchmark(group=f"{TWO}, diffuse tail", timer=time.perf_counter)
def test_diffuse_tail_plain_script(benchmark):
    benchmark.extra_info["title"] = "the plain script"
    measure(benchmark, pyroomacoustics)


def test_both_sides_hear_the_same():
    """To 5e-2: ours drops what the filter of zero phase puts before the sound, and -60 dB."""
    pra_c = pra.constants.get("c"), pra.constants.get("rir_hpf_fc")
    pra.constants.set("c", 343.0)
    pra.constants.set("rir_hpf_fc", 20.0)
    try:
        theirs = pyroomacoustics(0)
    finally:
        pra.constants.set("c", pra_c[0])
        pra.constants.set("rir_hpf_fc", pra_c[1])
    scene = render.render_scene(READY["images"][0], READY["corpus"])
    signal = sum(
        image / source.gain for image, source in zip(scene.images, scene.scene.sources, strict=True)
    )
    heard = theirs[:, 40 : 40 + signal.shape[1]]
    assert np.linalg.norm(signal - heard) <= 5e-2 * np.linalg.norm(heard)
