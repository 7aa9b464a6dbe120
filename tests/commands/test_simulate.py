import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tselcli.acoustics.manifest import read_manifest
from tselcli.acoustics.render import render_scene
from tselcli.commands.simulate import Summary, simulate
from tselcli.corpora.audio import read_audio
from tselcli.corpora.captions import open_corpora
from tselcli.errors import DataError, RecipeError
from tselcli.recipe import Recipe, load_recipe
from tselcli.sections import MeasuredRecipe, MotionRecipe, RoomRecipe, SceneRecipe

RATE = 8_000


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A corpus folder with five kinds of noise, all for training."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["file,label,caption,split"]
    for number in range(5):
        burst = 0.1 * rng.standard_normal(RATE // 5 + 500 * number)
        soundfile.write(folder / f"{number}.wav", burst, RATE)
        rows.append(f"{number}.wav,kind {number},the kind {number},train")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder / "clips.csv"


@pytest.fixture
def recipe(sounds: Path) -> Recipe:
    room = RoomRecipe(rt60_s=(0.7, 0.8), max_order=2)
    scene = SceneRecipe(
        sample_rate=RATE, duration_s=0.5, onset="random", noise_snr_db=(10.0, 20.0), room=room
    )
    return Recipe(name="quick", seed=5, corpus={"source": str(sounds)}, scene=scene)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_the_bytes_do_not_depend_on_workers_shards_or_interruptions(recipe, tmp_path):
    summary = simulate(recipe, tmp_path / "one", count=4)
    assert (summary.rendered, summary.kept) == (4, 0)
    assert (summary.noise, summary.moving) == ({"diffuse": 4}, 0)
    expected = contents(tmp_path / "one")
    assert set(expected) == {
        "recipe.yaml",
        "manifest.jsonl",
        *(f"audio/train_00000{index}.flac" for index in range(4)),
        *(f"dcase/train_00000{index}.csv" for index in range(4)),
    }
    simulate(recipe, tmp_path / "two", count=4, jobs=2)
    assert contents(tmp_path / "two") == expected
    for part in (3, 1, 2):
        simulate(recipe, tmp_path / "shards", count=4, shard=f"{part}/3")
    assert contents(tmp_path / "shards") == expected
    simulate(recipe, tmp_path / "grown", count=1)
    assert simulate(recipe, tmp_path / "grown", count=4).kept == 1
    assert contents(tmp_path / "grown") == expected


def test_a_lost_file_is_made_again(recipe, tmp_path):
    simulate(recipe, tmp_path / "out", count=3)
    expected = contents(tmp_path / "out")
    (tmp_path / "out" / "audio" / "train_000001.flac").unlink()
    summary = simulate(recipe, tmp_path / "out", count=3)
    assert (summary.rendered, summary.kept) == (1, 2)
    assert contents(tmp_path / "out") == expected


def test_an_interrupted_run_keeps_what_is_finished(recipe, tmp_path, monkeypatch):
    simulate(recipe, tmp_path / "whole", count=3)

    def interrupt(scene, corpus, bank, shoebox):
        if scene.index == 2:
            raise KeyboardInterrupt
        return render_scene(scene, corpus, bank, shoebox)

    monkeypatch.setattr("tselcli.commands.simulate.render_scene", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate(recipe, tmp_path / "out", count=3)
    assert [scene.index for scene, _ in read_manifest(tmp_path / "out")] == [0, 1]
    monkeypatch.undo()
    assert simulate(recipe, tmp_path / "out", count=3).kept == 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_manifest_line_renders_to_the_recording_beside_it(recipe, tmp_path):
    simulate(recipe, tmp_path / "out", count=2)
    corpus = open_corpora([recipe.corpus.source], "train")
    for scene, path in read_manifest(tmp_path / "out"):
        recorded, rate = read_audio(path)
        rendered = render_scene(scene, corpus)
        assert rate == RATE
        assert rendered.scene == scene
        assert recorded == pytest.approx(rendered.signal, abs=1 / 32768)
        frames = {
            int(row.split(",")[0])
            for row in (tmp_path / "out" / "dcase" / f"{path.stem}.csv").read_text().split()
        }
        active = [range(*run) for source in scene.sources for run in source.active]
        assert frames == set().union(*active)


def test_the_folder_says_what_it_was_made_with_and_holds_no_paths_of_sounds(
    recipe, sounds, tmp_path
):
    simulate(recipe, tmp_path / "out", count=1, seed=9, corpus=str(sounds))
    saved = load_recipe(str(tmp_path / "out" / "recipe.yaml"))
    assert saved.scene == recipe.scene
    assert (saved.seed, saved.corpus.source) == (9, str(sounds))
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.jsonl").read_text()
    assert json.loads((tmp_path / "out" / "manifest.jsonl").read_text())["seed"] == 9


def test_a_folder_of_another_recipe_is_refused(recipe, tmp_path):
    out = tmp_path / "out"
    simulate(recipe, out, count=1)
    before = contents(out)
    longer = recipe.scene.model_copy(update={"duration_s": 0.6})
    with pytest.raises(RecipeError, match=r"holds scenes of another scene .*give another folder"):
        simulate(recipe.model_copy(update={"scene": longer}), out, count=1)
    with pytest.raises(RecipeError, match="another seed"):
        simulate(recipe, out, count=1, seed=6)
    assert contents(out) == before
    faster = recipe.train.model_copy(update={"steps": 7})
    summary = simulate(recipe.model_copy(update={"train": faster}), out, count=1)
    assert summary.kept == 1  # training does not change scenes
    (out / "recipe.yaml").unlink()
    with pytest.raises(RecipeError, match="without a recipe"):
        simulate(recipe, out, count=1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_scenes_with_unreadable_clips_are_left_out_and_counted(recipe, sounds, tmp_path, jobs):
    (sounds.parent / "3.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"(\d+) of 8 scenes left out.*3\.wav") as caught:
        simulate(recipe, tmp_path / "out", count=8, jobs=jobs)
    scenes = read_manifest(tmp_path / "out")
    left_out = 8 - len(scenes)
    assert f"{left_out} of 8" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert 0 < left_out < 8
    assert all(source.clip_id != "3.wav" for scene, _ in scenes for source in scene.sources)
    shutil.copy(sounds.parent / "4.wav", sounds.parent / "3.wav")
    assert simulate(recipe, tmp_path / "out", count=8).rendered == left_out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"split": "dev"}, "split 'dev': unknown; use one of train, val, test"),
        ({"count": 0}, "count 0: must be 1 to 1000000"),
        ({"shard": "0/2"}, "shard '0/2': must be i/n"),
        ({"shard": "3/2"}, "shard '3/2': must be i/n"),
        ({"shard": "half"}, "shard 'half': must be i/n"),
        ({"jobs": -1}, "jobs -1"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_senseless_option_is_explained(recipe, tmp_path, options, complaint):
    with pytest.raises(RecipeError, match=complaint):
        simulate(recipe, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_moving_sources_are_counted(recipe, tmp_path):
    motion = MotionRecipe(share=1.0, speed_deg_s=(40.0,))
    moving = recipe.scene.model_copy(update={"motion": motion, "noise_snr_db": None})
    summary = simulate(recipe.model_copy(update={"scene": moving}), tmp_path / "out", count=3)
    assert (summary.moving, summary.noise) == (6, {"none": 3})


def test_measured_rooms_that_cannot_be_used_leave_no_folder(recipe, tmp_path):
    rules = MeasuredRecipe(folder=str(tmp_path / "nowhere"))
    scene = recipe.scene.model_copy(update={"measured": rules})
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        simulate(recipe.model_copy(update={"scene": scene}), tmp_path / "out", count=1)
    assert not (tmp_path / "out").exists()


def test_an_impossible_recipe_stops_the_run_in_workers_too(recipe, tmp_path):
    room = recipe.scene.room.model_copy(update={"source_distance_min_m": 50.0})
    scene = recipe.scene.model_copy(update={"room": room, "directional": 1})
    with pytest.raises(RecipeError, match="no room out of"):
        simulate(recipe.model_copy(update={"scene": scene}), tmp_path / "out", count=2, jobs=2)


def test_a_file_in_the_way_is_explained(recipe, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="give a folder that can be written"):
        simulate(recipe, tmp_path / "out", count=1)


def test_an_empty_shard_does_nothing(recipe, tmp_path):
    summary = simulate(recipe, tmp_path / "out", count=1, shard="2/2")
    assert isinstance(summary, Summary)
    assert (summary.rendered, summary.kept) == (0, 0)


def test_simulation_needs_no_torch():
    code = "import sys, tselcli.commands.simulate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "rules", [{"method": "diffuse-tail"}, {"bank": 2, "max_order": 2}, {"method": "torch"}]
)
def test_every_way_to_compute_rooms_gives_the_same_bytes_from_any_worker(recipe, tmp_path, rules):
    room = RoomRecipe(rt60_s=(0.7, 0.75), **rules)
    changed = recipe.model_copy(update={"scene": recipe.scene.model_copy(update={"room": room})})
    simulate(changed, tmp_path / "one", count=4)
    simulate(changed, tmp_path / "two", count=4, jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (scene, _), *_ = read_manifest(tmp_path / "one")
    assert scene.method == room.method
    assert (scene.bank_room is None) == (room.bank is None)


def test_a_folder_from_before_there_were_methods_goes_on(recipe, tmp_path):
    simulate(recipe, tmp_path / "out", count=1)
    saved = tmp_path / "out" / "recipe.yaml"
    lines = saved.read_text().splitlines(keepends=True)
    before = [line for line in lines if line.strip() not in ("method: images", "bank: null")]
    assert len(before) == len(lines) - 2
    saved.write_text("".join(before))
    assert simulate(recipe, tmp_path / "out", count=2).kept == 1
