"""Runs of recipes on the command line: parse, call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from stsfusion.cli.terminal import plainly, show

__all__ = ["run", "status"]

Recipe = Annotated[
    str, typer.Argument(help="A recipe's file, or the name of one that came along, as 'demo'.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Say a key of the recipe anew; may be given repeatedly."),
]


def run(
    recipe: Recipe,
    assignments: Set = None,
    area: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Bounds of the part to fuse, in the cubes' own CRS.")
    ] = None,
    dates: Annotated[
        list[str] | None,
        typer.Option(help="Publish only these: YYYY-MM-DD, YYYY-MM or FIRST/LAST; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, with memory and disk; do nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Run a recipe from its input to the published series and the report.

    What is done already is not done again; a run that was stopped goes on where it was.

    [bold]Examples[/bold]

      stsfusion run demo
      stsfusion run demo --set fuse.method=gsa --set output=gsa-out
      stsfusion run my-recipe.yaml --dates 2022-03/2022-06 --dry-run
    """
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import run_recipe

    given = [*(assignments or [])]
    given += [f"area.bounds=[{area}]"] if area else []
    given += [f"fuse.dates=[{', '.join(dates)}]"] if dates else []
    with plainly():
        loaded, file = load_recipe(recipe, given)
        end = run_recipe(loaded, file, dry_run=dry_run, quiet=quiet, said=given)
    raise typer.Exit(end.code)


def status(recipe: Recipe, assignments: Set = None) -> None:
    """Say how far a recipe's run is: steps, tiles, failures, time."""
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.status import status_of

    with plainly():
        loaded, file = load_recipe(recipe, assignments or ())
        show("", ("what", "state"), status_of(loaded, file))
