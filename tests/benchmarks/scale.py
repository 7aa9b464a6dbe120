"""How long a folder of 50,000 scenes takes to open, beside one of 500: `train` and `eval`.

    python tests/benchmarks/scale.py FOLDER

draws the scenes, puts a stand-in into the cache for every source (what is read at the start does
not depend on what it holds), and prints Markdown: seconds by the clock and of the processor, past
the imports, until the first batch of mixtures and until the first recording, and the memory then.
Every row is the best of three fresh processes. FOLDER then holds 1.5 GB; it may be deleted.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SIZES = (500, 50_000)
ROUNDS = 3


def prepare(folder, count):
    """Write a folder of scenes and the stems of all its sources."""
    from types import SimpleNamespace

    import numpy as np

    from tselcli import folder_stems
    from tselcli.acoustics.folder import audio_place, prepare_folder
    from tselcli.acoustics.manifest import MANIFEST, scene_line
    from tselcli.acoustics.scene import draw_scene
    from tselcli.corpora.audio import write_audio
    from tselcli.dataset import corpus_of
    from tselcli.features.cache import FeatureCache
    from tselcli.files import write_text_atomically
    from tselcli.recipe import load_recipe

    recipe = load_recipe("mask")
    prepare_folder(folder, recipe)
    corpus = corpus_of(recipe, "train")
    scenes = (draw_scene(recipe.scene, corpus, 0, "train", k) for k in range(count))
    lines = [scene_line(scene, audio_place("train", k)) for k, scene in enumerate(scenes)]
    write_text_atomically(folder / MANIFEST, "\n".join(lines) + "\n")
    first = folder / audio_place("train", 0)
    first.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).standard_normal((4, 160_000)).astype(np.float32)
    write_audio(first, 0.1 * noise, 16_000)
    stem = folder_stems.stem_mel(noise[:, :16_000], recipe.features)
    folder_stems.render_scene = lambda scene, *others: SimpleNamespace(images=scene.sources)
    folder_stems.resample = lambda images, *rates: images
    folder_stems.stem_mel = lambda source, features: stem
    stems = folder_stems.FolderStems(recipe.features, folder, FeatureCache(cache_of(folder)))
    for _ in stems.fill(1):
        pass


def cache_of(folder):
    """Say where the stems of a folder are."""
    return folder.parent / "cache"


def train(folder):
    """Open the folder as `tsel train --data` does, and mix a first batch."""
    import torch

    from tselcli.commands.train import _mask_task
    from tselcli.recipe import load_recipe

    task = _mask_task(load_recipe("mask"), folder, folder, torch.device("cpu"), 1)
    task.mixer.batch()


def evaluate(folder):
    """Open the folder as `tsel eval --data` does, and read a first recording."""
    from tselcli.dataset import folder_trials

    next(iter(folder_trials(folder)))


def one_row(name, folder):
    """Measure in this process; prints seconds by the clock, of the processor, and megabytes."""
    import resource
    import time

    import tselcli.commands.eval
    import tselcli.mask_task  # noqa: F401

    act = {"train": train, "eval": evaluate}[name]
    clock, processor = time.perf_counter(), time.process_time()
    act(folder)
    spent = time.perf_counter() - clock, time.process_time() - processor
    print(json.dumps([*spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def main(folder):
    """Prepare what is not there, measure, and print a table."""
    print("| opening | scenes | seconds by the clock | of the processor | memory |")
    print("|---|---|---|---|---|")
    for count in SIZES:
        scenes = folder / str(count)
        if not scenes.exists():
            prepare(scenes, count)
        for name in ("train", "eval"):
            ask = [sys.executable, __file__, "--row", name, str(scenes)]
            alone = os.environ | {"TSEL_CACHE": str(cache_of(scenes))}
            rounds = []
            for _ in range(ROUNDS):
                told = subprocess.run(ask, env=alone, capture_output=True, text=True, check=True)
                rounds.append(json.loads(told.stdout.splitlines()[-1]))
            clock, processor, memory = min(rounds)
            print(f"| {name} | {count:,} | {clock:.2f} | {processor:.2f} | {memory:.0f} MB |")


if __name__ == "__main__":
    if sys.argv[1] == "--row":
        one_row(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]).absolute())
