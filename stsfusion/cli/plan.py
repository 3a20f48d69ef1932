"""What a run would take, on the command line: parse, call, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from stsfusion.cli.run import Quiet, Recipe, Set
from stsfusion.cli.terminal import plainly, show

__all__ = ["plan"]


def plan(
    recipe: Recipe,
    assignments: Set = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Fuse the tile in the middle and time it; its result is dropped.")
    ] = False,
    tile_seconds: Annotated[
        float | None, typer.Option(help="Seconds of a tile in one process, where they are known.")
    ] = None,
    tiles: Annotated[bool, typer.Option("--tiles", help="List the keys of all tiles.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what a recipe will take: tiles, bytes read and written, memory, disk, hours; do nothing.

    Hours are known from a timed tile (--sample), from --tile-seconds, or from the last run. What cannot be
    done with the memory and disk that there are is refused, with the numbers and a tile that fits.

    [bold]Examples[/bold]

      stsfusion plan my-recipe.yaml --sample
      stsfusion plan my-recipe.yaml --tile-seconds 12 --set fuse.workers=16 --json
    """
    from stsfusion.pipeline.comparerun import intended
    from stsfusion.pipeline.estimate import estimate
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.reciperun import RecipeRun
    from stsfusion.pipeline.steps import folder_of
    from stsfusion.pipeline.words import size

    with plainly(as_json):
        given = assignments or []
        loaded, file = load_recipe(recipe, given)
        folder = folder_of(loaded, file)
        if loaded.compares:
            typer.echo(intended(loaded, file, folder))
            return
        run = RecipeRun(loaded, file, folder, given, quiet or as_json)
        found = estimate(run, sample=sample, tile_seconds=tile_seconds)
    if as_json:
        said = {**asdict(found), "tiles": len(found.tiles), "hours": found.hours}
        print(json.dumps(said | ({"keys": found.tiles} if tiles else {})))
        return
    dates, bands, rows, cols = found.target
    hours = "not known: say --sample or --tile-seconds"
    if found.hours is not None:
        known = f"{found.tile_seconds:g} s a tile ({found.known_from})"
        hours = f"{found.hours:.2g} with {found.workers} workers, {known}"
    lines = [
        ("method", found.method),
        ("asked for", f"{dates} dates × {bands} bands × {rows} × {cols} pixels"),
        ("to publish", f"{found.published} of the dates, {found.new} of them new"),
        ("tiles", f"{len(found.tiles)} of {found.tile[0]} × {found.tile[1]} pixels, halo {found.halo}"),
        ("memory", f"{size(found.memory)} a worker"),
        ("reading", f"{size(found.read)} with halos, before compression"),
        ("writing", f"{size(found.disk)} at most"),
        ("hours", hours),
    ]
    show("", ("what", "takes"), lines + [("", key) for key in (found.tiles if tiles else ())])
