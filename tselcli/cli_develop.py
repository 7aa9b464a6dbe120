"""Commands for those who make models: ``tsel adapt``, ``calibrate``, ``distill`` and others."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import (
    ALL_CORES,
    CorpusOption,
    Device,
    DeviceOption,
    JobsOption,
    Overrides,
    examples,
    read_recipe,
    refuse_options,
)
from tselcli.cli_output import print_json

DEVELOPERS = "For developers"
ADAPT_EXAMPLES = examples("tsel adapt runs/mine better.safetensors --captions paraphrases.csv")
CALIBRATE_EXAMPLES = examples("tsel calibrate runs/mine better.safetensors --corpus DIR")
JOIN_EXAMPLES = examples("tsel join runs/first runs/second both.safetensors")
LESSONS_EXAMPLES = examples(
    "tsel lessons yamnet.tflite one.safetensors --corpus DIR --classes yamnet_class_map.csv",
    "tsel lessons tagger.onnx both.safetensors --corpus DIR --classes C.csv --with one.safetensors",
)
DISTILL_EXAMPLES = examples("tsel distill encoder.safetensors --captions captions.csv")


def adapt(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder or a file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
    captions: Annotated[
        list[str], typer.Option(help="CSV of label,caption, or: paraphrases. Repeatable.")
    ],
    recipe: Annotated[str, typer.Option(help="Its corpus gives the sounds.")] = "mask",
    corpus: CorpusOption = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 800,
    batches: Annotated[int, typer.Option(min=1, help="Mixtures to hear, in batches.")] = 1400,
    seed: Annotated[int, typer.Option(min=0, help="Of mixtures and captions.")] = 0,
    device: DeviceOption = Device.auto,
    jobs: JobsOption = ALL_CORES,
    overrides: Overrides = None,
) -> None:
    """Teach a trained model more ways to say it."""
    from tselcli.commands.adapt import adapt

    figures = adapt(
        model,
        out,
        recipe=read_recipe(recipe, overrides, corpus),
        captions=captions,
        steps=steps,
        batches=batches,
        seed=seed,
        device=device.value,
        jobs=jobs,
    )
    print_json(figures)


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder or a file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
    recipe: Annotated[str, typer.Option(help="Its scenes, validation split.")] = "mask",
    corpus: CorpusOption = None,
    count: Annotated[int, typer.Option(min=30, help="Scenes.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of the scenes.")] = 0,
    device: DeviceOption = Device.auto,
    jobs: JobsOption = ALL_CORES,
    overrides: Overrides = None,
) -> None:
    """Fit a model's choice among directions, and its presence, to your scenes."""
    from tselcli.commands.calibrate import calibrate

    figures = calibrate(
        model,
        out,
        recipe=read_recipe(recipe, overrides, corpus),
        count=count,
        seed=seed,
        device=device.value,
        jobs=jobs,
    )
    print_json(figures)


def join(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL MODEL...", help="Run folders or files.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
) -> None:
    """Make one model of several whose masks then vote; `tsel calibrate` comes next."""
    from tselcli.commands.join import join

    print_json(join(models, out))


def distill(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
    captions: Annotated[
        list[Path],
        typer.Option(help="CSV with a column caption, a text per line, or: synthetic. Repeatable."),
    ],
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of a sentence encoder; default: all-MiniLM-L6-v2.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 4000,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per step.")] = 128,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-4,
    seed: Annotated[int, typer.Option(min=0, help="Of the texts' variation and order.")] = 0,
    device: DeviceOption = Device.auto,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Train the compact text encoder to imitate a large one."""
    from tselcli.commands.distill import distill

    figures = distill(
        out,
        captions=captions,
        teacher=teacher,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        device=device.value,
        threads=threads,
    )
    print_json(figures)


def lessons(
    context: typer.Context,
    teacher: Annotated[
        Path, typer.Argument(metavar="TEACHER", help="YAMNet.tflite, or a classifier as .onnx.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
    recipe: Annotated[str, typer.Option(help="Its corpus and rooms.")] = "mask",
    corpus: CorpusOption = None,
    classes: Annotated[
        Path | None, typer.Option(help="CSV of its classes' names, in display_name.")
    ] = None,
    size: Annotated[int, typer.Option(min=1, max=1024, help="Numbers per clip.")] = 192,
    rate: Annotated[int, typer.Option(min=8000, help="Of the sounds for .onnx, in Hz.")] = 32_000,
    rooms: Annotated[int, typer.Option(min=0, help="To hear each clip in, besides dry.")] = 2,
    beside: Annotated[
        Path | None, typer.Option("--with", help="Lessons of another teacher, to be joined.")
    ] = None,
    jobs: JobsOption = ALL_CORES,
    overrides: Overrides = None,
) -> None:
    """Let a sound classifier listen to the training clips (mixing.teacher).

    One in ONNX takes a sound (1, N) of any length and gives log-odds of its classes (1, K), before
    a sigmoid, and then an embedding (1, E).
    """
    from tselcli.commands.lessons import lessons

    if teacher.suffix.lower() == ".tflite":
        refuse_options(context, ["rate"], "YAMNet takes 16 kHz; leave it out")
    figures = lessons(
        teacher,
        out,
        recipe=read_recipe(recipe, overrides, corpus),
        classes=classes,
        size=size,
        rate=rate,
        rooms=rooms,
        beside=beside,
        jobs=jobs,
    )
    print_json(figures)
