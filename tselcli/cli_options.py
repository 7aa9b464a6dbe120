"""Arguments and options that several commands share, and the words that some of them accept."""

import enum
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tselcli.recipe import Recipe

ALL_CORES = 0


def read_recipe(
    recipe: str, overrides: Sequence[str] | None, corpus: Sequence[str] | None
) -> "Recipe":
    """Read a recipe, with ``--set`` and then ``--corpus`` over what it says."""
    from tselcli.recipe import load_recipe

    sources = [f"corpus.source={json.dumps(corpus[0])}"] if corpus else []
    others = [f"corpus.also={json.dumps(corpus[1:])}"] if corpus else []
    return load_recipe(recipe, [*(overrides or ()), *sources, *others])


def scenes_of(recipe: "Recipe", split: str) -> int:
    """Return how many scenes of a split the recipe asks for."""
    counts = {
        "train": recipe.train.scenes,
        "val": recipe.train.val_scenes,
        "test": recipe.eval.count,
    }
    return counts[split]


def processes(wanted: int) -> int:
    """Return the number of processes: as wanted, or one per processor that we may use."""
    if wanted != ALL_CORES:
        return wanted
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refuse_options(context: typer.Context, names: Sequence[str], reason: str) -> None:
    """Refuse options that were given and would not be followed.

    Raises:
        RecipeError: one of the parameters ``names`` was given on the command line.
    """
    from tselcli.errors import RecipeError

    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            options = {one.name: max(one.opts, key=len) for one in context.command.params}
            raise RecipeError(f"{options[name]}: {reason}")


def examples(*lines: str) -> str:
    """Write the closing lines of a help text: commands that can be run as they stand."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


class Split(str, enum.Enum):
    """A part of the corpus; no clip is in two of them."""

    train = "train"
    val = "val"
    test = "test"


class Rir(str, enum.Enum):
    """Where room impulse responses come from."""

    simulated = "simulated"
    real = "real"


def with_rirs(overrides: Sequence[str] | None, rir: Rir | None, folder: Path | None) -> list[str]:
    """Turn ``--rir`` and ``--rir-dir`` into overrides of a recipe; None leaves it as it is."""
    from tselcli.errors import RecipeError

    given = list(overrides or ())
    named = any(override.startswith("scene.measured") for override in given)
    if rir is Rir.simulated and folder is not None:
        raise RecipeError(f"--rir-dir {folder}: is for --rir real")
    if rir is Rir.real and folder is None and not named:
        raise RecipeError(
            "--rir real: needs --rir-dir with measured responses: the folder of TAU-SRIR DB "
            "(`tsel data ls` says where it is), or a SOFA file of any room"
        )
    if rir is Rir.simulated:
        given.append("scene.measured=null")
    if folder is not None:
        given.append(f"scene.measured.folder={json.dumps(str(folder))}")
    return given


class SceneFormat(str, enum.Enum):
    """How a folder keeps its scenes."""

    files = "files"
    webdataset = "webdataset"


class Device(str, enum.Enum):
    """What computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class TableFormat(str, enum.Enum):
    """How figures are printed."""

    table = "table"
    markdown = "markdown"
    json = "json"


class ReportFormat(str, enum.Enum):
    """How the tables of several runs are written."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"


class AnswerFormat(str, enum.Enum):
    """How answers are printed."""

    rich = "rich"
    json = "json"
    csv = "csv"
    dcase = "dcase"
    audacity = "audacity"


class FindingsFormat(str, enum.Enum):
    """How findings about a recording are printed."""

    text = "text"
    json = "json"


RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A name of `tsel recipes ls`, or a YAML file.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in train.steps=50."),
]
CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="SOURCE",
        help="synthetic, DIR, FILE.csv, audiocaps:DIR or clotho:DIR, instead of the recipe's "
        "corpus; several are read as one.",
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="What computes.")]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", "-j", min=0, callback=processes, help="Processes; 0 is one per core."),
]
OutFolder = Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Folder to write.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A Dask scheduler, as tcp://HOST:8786, whose workers work instead of processes here. "
        "All machines must share the folder written to, and the sounds, under the same names.",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, help="Of the scenes; default: the recipe's.")
]
CountOption = Annotated[int | None, typer.Option(min=1, help="Scenes; default: the recipe's.")]
DataOption = Annotated[
    Path | None, typer.Option(help="A folder of `tsel simulate`, or of such shards.")
]
