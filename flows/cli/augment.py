"""`pneumo augment`: the augmentation recipes, shown and compared."""

from pathlib import Path
from typing import Annotated

import typer

from pneumo_core.params import Strategy

app = typer.Typer(help="Show and compare the augmentation recipes.", no_args_is_help=True)


@app.command("show")
def show(
    recipe: Annotated[
        str | None, typer.Argument(help="Name of a recipe; by default that of params.yaml.")
    ] = None,
) -> None:
    """Print what a recipe does to a film, and the range of each change."""
    from pneumo_core import params
    from pneumo_core.errors import ParamsError
    from pneumo_core.preparation import recipes

    if recipe in (None, "own"):
        asked = params.load().augment
        if recipe:
            asked = asked.model_copy(update={"recipe": recipe})
        name, found = asked.recipe, recipes.chosen(asked)
    elif recipe in recipes.RECIPES:
        name, found = recipe, recipes.RECIPES[recipe]
    else:
        raise ParamsError(
            f"No recipe {recipe!r}; there are {', '.join(recipes.RECIPES)}, and own with the "
            "ranges of augment.ranges."
        )
    print(f"{name}: {found.what} (source: {found.source})")
    for line in found.describe_ranges():
        print(f"  {line}")


@app.command("compare")
def compare(
    out: Annotated[
        Path, typer.Option(help="Folder for index.html, comparison.json and comparison.csv.")
    ] = Path("var/augment_compare"),
    size_per_class: Annotated[
        int, typer.Option(min=10, help="Training films of each class in one training.")
    ] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each recipe.")] = 3,
    model: Annotated[
        str | None, typer.Option(help="timm name; by default the first of train.models.")
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="Which layers are trained.")] = Strategy.FROZEN,
) -> None:
    """Train with each of the twelve recipes and with none, and compare them on validation."""
    from pneumo_core import params
    from tasks.commands import augment_compare as body

    body.run(params.load(), out, size_per_class, seeds, model, strategy)
