"""``tsel simulate`` and ``tsel features``."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import (
    ALL_CORES,
    CorpusOption,
    CountOption,
    JobsOption,
    OutFolder,
    Overrides,
    Rir,
    SceneFormat,
    SchedulerOption,
    SeedOption,
    Split,
    examples,
    read_recipe,
    refuse_options,
    scenes_of,
    with_rirs,
)
from tselcli.cli_output import print_json
from tselcli.errors import RecipeError

EXAMPLES = examples(
    "tsel simulate tiny --split test --count 20 --out scenes/test",
    "tsel simulate mask --corpus audiocaps:AudioCaps --shard 1/4 --out scenes/part1",
    "tsel simulate --merge scenes/part1 scenes/part2 --out scenes/train",
    "tsel simulate --merge scenes/train --format webdataset --out scenes/packed",
    "tsel simulate mask --scheduler tcp://10.0.0.1:8786 --out /shared/scenes",
    "tsel simulate --rir real --rir-dir TAU-SRIR_DB --split test --out scenes/real",
)
FEATURES_EXAMPLES = examples(
    "tsel features scenes/train",
    "tsel features /shared/scenes --cache /shared/cache --scheduler tcp://10.0.0.1:8786",
)
# Parameters that merging has no use for.
RENDERING = (
    *("rir", "rir_dir", "corpus", "split", "count", "seed"),
    *("jobs", "shard", "scheduler", "overrides"),
)
NO_JOBS = "is for processes of this machine; a cluster has the workers that it has"


def simulate(
    context: typer.Context,
    out: OutFolder,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            help="A name of `tsel recipes ls`, or a YAML file; mask or real if none. "
            "With --merge: the folders to merge.",
            show_default=False,
        ),
    ] = None,
    rir: Annotated[
        Rir | None, typer.Option(help="Room impulse responses; default: the recipe's.")
    ] = None,
    rir_dir: Annotated[
        Path | None, typer.Option(help="Of TAU-SRIR DB, or a SOFA file: --rir real.")
    ] = None,
    corpus: CorpusOption = None,
    split: Annotated[Split, typer.Option(help="Part of the corpus.")] = Split.train,
    count: CountOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = ALL_CORES,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I (1 to N) of N, for a cluster.")
    ] = None,
    scheduler: SchedulerOption = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Render nothing: bring folders of shards together.")
    ] = False,
    form: Annotated[
        SceneFormat,
        typer.Option(
            "--format",
            help="One file per recording, or WebDataset: tar files of 1,000 scenes, written "
            "when all are rendered. `features`, `train` and `eval` read both.",
        ),
    ] = SceneFormat.files,
    overrides: Overrides = None,
) -> None:
    """Render scenes into a folder: recordings, a manifest and DCASE labels.

    The same command continues an interrupted run.
    """
    names = names or []
    packed = form is SceneFormat.webdataset
    if merge:
        from tselcli.commands.merge import merge as merge_folders

        refuse_options(context, RENDERING, "--merge renders nothing; leave it away")
        print_json(merge_folders([Path(name) for name in names], out, webdataset=packed))
        return
    if len(names) > 1:
        raise RecipeError(f"{names[1]}: one recipe is enough; --merge takes several folders")
    if scheduler is not None:
        refuse_options(context, ["jobs"], NO_JOBS)
    from tselcli.commands.simulate import simulate

    recipe = names[0] if names else "real" if rir is Rir.real or rir_dir else "mask"
    loaded = read_recipe(recipe, with_rirs(overrides, rir, rir_dir), corpus)
    summary = simulate(
        loaded,
        out,
        split=split.value,
        count=scenes_of(loaded, split.value) if count is None else count,
        seed=seed,
        jobs=jobs,
        shard=shard,
        scheduler=scheduler,
        webdataset=packed,
    )
    print_json(summary)


def features(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of `tsel simulate`.")],
    jobs: JobsOption = ALL_CORES,
    cache: Annotated[Path | None, typer.Option(help="Where features are kept.")] = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Compute the features of a folder ahead of training."""
    from tselcli.commands.features import features

    if scheduler is not None:
        refuse_options(context, ["jobs"], NO_JOBS)
    print_json(features(folder, jobs=jobs, cache=cache, scheduler=scheduler))
