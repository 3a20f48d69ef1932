"""What a run would take, on the command line: parse, call, print."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stsfusion.cli.options import AsJson, Quiet, Recipe, Set
from stsfusion.cli.terminal import plainly, show, tell_in_json

if TYPE_CHECKING:
    from stsfusion.pipeline.estimate import Estimate

__all__ = ["plan"]


def plan(
    recipe: Recipe,
    assignments: Set = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Fuse the tile in the middle and time it; its result is dropped.")
    ] = False,
    tile_seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds of a tile in one process, where they are known.")
    ] = None,
    tiles: Annotated[bool, typer.Option("--tiles", help="List the keys of all tiles.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what a recipe will take: tiles, bytes read and written, memory, disk, hours; do nothing.

    Of a published series only what is new or changes is counted, as 'update' would make it.

    Hours are known from a timed tile (--sample), from --tile-seconds, or from the last run. What cannot be
    done with the memory and disk that there are is refused, with the numbers and a tile that fits. How much a
    compact series writes is known once its method has learned: from --sample, or from the published series.

    Exit codes: 0 it can be done; 2 it cannot, or settings or input are wrong.

    [bold]Examples[/bold]

      stsfusion plan my-recipe.yaml --sample
      stsfusion plan my-recipe.yaml --tile-seconds 12 --set fuse.workers=16 --json
    """
    if tile_seconds is not None and not math.isfinite(tile_seconds):
        raise typer.BadParameter(f"{tile_seconds} is no number of seconds", param_hint="--tile-seconds")
    with plainly(as_json):
        found = _found(recipe, assignments or [], sample, tile_seconds, quiet or as_json)
    if as_json:
        tell_in_json(0, **_facts(found, tiles))
    elif isinstance(found, str):
        typer.echo(found)
    else:
        show("", ("what", "takes"), [*_rows(found), *(("", key) for key in (found.tiles if tiles else ()))])


def _found(
    recipe: str, given: list[str], sample: bool, tile_seconds: float | None, quiet: bool
) -> Estimate | str:
    """What it takes; of a comparison what it will do, in words."""
    from stsfusion.pipeline.comparerun import intended
    from stsfusion.pipeline.estimate import estimate
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.reciperun import RecipeRun
    from stsfusion.pipeline.steps import folder_of

    loaded, file = load_recipe(recipe, given)
    folder = folder_of(loaded, file)
    if loaded.compares:
        return intended(loaded, file, folder)
    run = RecipeRun(loaded, file, folder, given, quiet)
    return estimate(run, sample=sample, tile_seconds=tile_seconds)


def _facts(found: Estimate | str, keys: bool) -> dict[str, object]:
    """The same for programs."""
    if isinstance(found, str):
        return {"words": found}
    said = {**asdict(found), "tiles": len(found.tiles), "hours": found.hours}
    return said | ({"keys": found.tiles} if keys else {})


def _rows(found: Estimate) -> list[tuple[str, str]]:
    from stsfusion.pipeline.words import size

    dates, bands, rows, cols = found.target
    return [
        ("method", found.method),
        ("asked for", f"{dates} dates × {bands} bands × {rows} × {cols} pixels"),
        ("to publish", f"{found.published} of the dates, {_made(found)}"),
        ("tiles", f"{len(found.tiles)} of {found.tile[0]} × {found.tile[1]} pixels, halo {found.halo}"),
        ("memory", f"{size(found.memory)} a worker"),
        ("reading", f"{size(found.read)} with halos, before compression"),
        ("writing", _writing(found)),
        ("time", _hours(found)),
    ]


def _made(found: Estimate) -> str:
    """Which of them would be made."""
    more = (
        "" if found.exact else "; more where images were processed anew, which a run finds when it reads them"
    )
    return f"{found.new} of them new, {found.changed} to be made anew{more}"


def _writing(found: Estimate) -> str:
    from stsfusion.pipeline.words import size

    if found.written is not None:
        return f"{size(found.written)} at most, before compression"
    return f"not known before the method has learned: say --sample; with all bands {size(found.full)}"


def _hours(found: Estimate) -> str:
    from stsfusion.pipeline.words import duration

    if found.hours is None:
        return "not known: say --sample or --tile-seconds"
    known = f"{found.tile_seconds:g} s a tile ({found.known_from})"
    lasting = f"{found.hours:.1f} hours" if found.hours >= 1 else duration(3600 * found.hours)
    many = f"{found.workers} worker{'s' * (found.workers != 1)}"
    learning = "; the method learns first, which comes on top" if found.learns else ""
    return f"{lasting} with {many}, {known}{learning}"
