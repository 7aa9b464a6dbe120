"""How cost grows: localize and simulate against length, microphones, queries and sources.

    python tests/benchmarks/growth.py FOLDER

writes growth.csv, growth.md and growth.png. Every point is a fresh process on one core: the
processor's seconds of the best of three runs, and the largest memory it ever had. One thing grows
while the others stay at 10 s, four microphones, one query and two sources. The exponent is the
slope of log seconds over log size in the upper half of the sizes.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

COLUMNS = ("command", "axis", "size", "seconds", "megabytes")
BASE = {"seconds": 10, "mics": 4, "queries": 1, "sources": 2}
SIZES = {
    "localize": {
        "seconds": [5, 10, 20, 40, 80, 160, 320, 600],
        "mics": [4, 6, 8, 12, 16, 24, 32],
        "queries": [1, 3, 10, 30, 100],
    },
    "simulate": {
        "seconds": [5, 10, 20, 40, 80, 160, 320, 600],
        "mics": [4, 8, 16, 32],
        "sources": [1, 2, 4, 8],
    },
}


def localize(seconds, mics, queries, sources):
    """Give a function that answers about a recording of noise."""
    import numpy as np
    import torch

    from tselcli.acoustics.geometry import parse_array
    from tselcli.models.localizer import Localizer

    torch.set_num_threads(1)
    signal = np.random.default_rng(0).standard_normal((mics, seconds * 16_000)).astype(np.float32)
    texts = [f"a sound of kind {number}" for number in range(queries)]
    localizer, array = Localizer.load(), parse_array(f"circular:{mics}:0.1")
    return lambda: localizer.locate(signal, 16_000, texts, array)


def simulate(seconds, mics, queries, sources):
    """Give a function that renders a scene in one and the same room."""
    from tselcli.acoustics.render import render_scene
    from tselcli.acoustics.scene import draw_scene
    from tselcli.dataset import corpus_of
    from tselcli.recipe import recipe_from_dict

    recipe = recipe_from_dict(
        {
            "name": "growth",
            "scene": {
                "duration_s": float(seconds),
                "directional": sources,
                "room": {
                    "length_m": [6, 6],
                    "width_m": [7, 7],
                    "height_m": [5, 5],
                    "rt60_s": [0.5, 0.5],
                },
                "array": {"geometry": f"circular:{mics}", "spacing_m": [0.1, 0.1]},
            },
        }
    )
    corpus = corpus_of(recipe, "train")
    scene = draw_scene(recipe.scene, corpus, 0, "train", 0)
    return lambda: render_scene(scene, corpus)


def one_point(command, sizes):
    """Measure in this process; prints seconds and megabytes."""
    import resource
    import time

    act = {"localize": localize, "simulate": simulate}[command](**sizes)
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        act()
        best = min(best, time.process_time() - began)
    print(json.dumps([best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure():
    """Measure all points, each in a process of its own, and yield the rows so far."""
    rows = []
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    for command, axes in SIZES.items():
        for axis, sizes in axes.items():
            for size in sizes:
                point = json.dumps([command, BASE | {axis: size}])
                ask = [sys.executable, __file__, "--point", point]
                told = subprocess.run(ask, env=alone, capture_output=True, text=True, check=True)
                seconds, megabytes = json.loads(told.stdout.splitlines()[-1])
                found = (command, axis, size, round(seconds, 4), round(megabytes))
                rows.append(dict(zip(COLUMNS, found, strict=True)))
                print(*found, file=sys.stderr, flush=True)
            yield rows


def exponent(rows):
    """Fit the slope in the upper half of the sizes."""
    import numpy as np

    upper = rows[len(rows) // 2 - 1 :]
    sizes, seconds = ([row[key] for row in upper] for key in ("size", "seconds"))
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def curves(rows):
    """Gather rows by command and axis."""
    found = {}
    for row in rows:
        found.setdefault((row["command"], row["axis"]), []).append(row)
    return found


def table(rows):
    """Lay the curves out as Markdown."""
    lines = [
        "| cost of | against | seconds at each size | memory | exponent |",
        "|---|---|---|---|---|",
    ]
    for (command, axis), points in curves(rows).items():
        each = ", ".join(f"{point['size']}: {point['seconds']:.3g}" for point in points)
        memory = f"{points[0]['megabytes']} to {points[-1]['megabytes']} MB"
        lines.append(f"| {command} | {axis} | {each} | {memory} | {exponent(points):.2f} |")
    return "\n".join(lines) + "\n"


def draw(rows, path):
    """Draw seconds and memory against each size, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    axes_of = ["seconds", "mics", "queries", "sources"]
    figure, panels = plt.subplots(2, 4, figsize=(13, 6), layout="constrained", sharey="row")
    for (command, axis), points in curves(rows).items():
        column = axes_of.index(axis)
        sizes = [point["size"] for point in points]
        for row, key in enumerate(("seconds", "megabytes")):
            values = [point[key] for point in points]
            label = f"{command} ~ size^{exponent(points):.2f}" if row == 0 else command
            panels[row, column].loglog(sizes, values, "o-", label=label)
    for column, axis in enumerate(axes_of):
        panels[1, column].set_xlabel("length in seconds" if axis == "seconds" else axis)
        sizes = sorted({row["size"] for row in rows if row["axis"] == axis})
        for panel in panels[:, column]:
            panel.grid(which="both", alpha=0.3)
            if sizes:
                panel.set_xticks(sizes, [str(size) for size in sizes])
                panel.minorticks_off()
                panel.legend()
    panels[0, 0].set_ylabel("seconds")
    panels[1, 0].set_ylabel("memory in MB")
    figure.savefig(path, dpi=110)


def main(folder):
    """Measure, and write all three files."""
    folder.mkdir(parents=True, exist_ok=True)
    for rows in measure():  # what is there stays when the rest is interrupted
        with (folder / "growth.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        (folder / "growth.md").write_text(table(rows))
        draw(rows, folder / "growth.png")


if __name__ == "__main__":
    if sys.argv[1] == "--point":
        one_point(*json.loads(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
