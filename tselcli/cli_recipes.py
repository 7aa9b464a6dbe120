"""``tsel recipes ls | show | cp | validate``."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import Overrides, RecipeArgument, examples
from tselcli.cli_output import print_text

recipes_app = typer.Typer(
    no_args_is_help=True,
    help="List, show, copy and check recipes.",
    epilog=examples(
        "tsel recipes cp mask mine.yaml",
        "tsel recipes validate mine.yaml",
        "tsel recipes show mine.yaml --set train.steps=50",
    ),
)


@recipes_app.command("ls")
def ls() -> None:
    """List the recipes that come with the package."""
    from tselcli.commands.recipes import list_recipes

    recipes = list_recipes()
    width = max((len(name) for name, _ in recipes), default=0)
    for name, sentence in recipes:
        print_text(f"{name.ljust(width)}  {sentence}".rstrip())


@recipes_app.command("show")
def show(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Print a recipe in full, with every default and override in its place."""
    from tselcli.recipe import load_recipe, recipe_to_yaml

    print_text(recipe_to_yaml(load_recipe(recipe, overrides or ())), end="")


@recipes_app.command("cp")
def cp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `tsel recipes ls`.")],
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="File or folder; default: here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Copy a recipe, comments and all, to change it."""
    from tselcli.commands.recipes import copy_recipe

    print_text(str(copy_recipe(name, target, overwrite=force)))


@recipes_app.command("validate")
def validate(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE", help="Names or files.")],
) -> None:
    """Check recipes and explain all their problems at once."""
    from tselcli.commands.recipes import find_problems

    found = find_problems(recipes)
    for recipe, problem in found.items():
        if problem is None:
            print_text(f"{recipe}: ok")
        else:
            typer.echo(f"tsel: {problem}", err=True)
    if any(found.values()):
        raise typer.Exit(2)
