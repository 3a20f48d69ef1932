"""Runs of recipes on the command line: parse, call, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stsfusion.cli.terminal import listed, plainly, show

if TYPE_CHECKING:
    from stsfusion.pipeline.reciperun import Orders

__all__ = ["gc", "run", "status", "update"]

Recipe = Annotated[
    str, typer.Argument(help="A recipe's file, or the name of one that came along, as 'demo'.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Say a key of the recipe anew; may be given repeatedly."),
]
Executor = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where tiles run: inline, local, address, slurm, cuda or array; instead of fuse.executor.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Json = Annotated[bool, typer.Option("--json", help="End with one line of JSON, and print no other words.")]


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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a published series of other settings or input.")
    ] = False,
    learned: Annotated[
        Path | None,
        typer.Option(metavar="SERIES", help="Take what was learned from a published series; do not learn."),
    ] = None,
    executor: Executor = None,
    worker: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="With '--executor array': which worker this is, 1/N to N/N, or 'prepare' to do what all "
            "need; a job of a SLURM array knows it. Without: publish, and do what workers left.",
        ),
    ] = None,
    print_job: Annotated[
        bool, typer.Option("--print-job", help="With '--executor slurm': show the job script; do nothing.")
    ] = False,
    tiles: Annotated[
        str | None, typer.Option(metavar="KEY,…", help="Fuse these tiles alone, as t0-7.y0-384.x0-384.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Fuse those tiles alone that failed before.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a recipe from its input to the published series and the report.

    What is done already is not done again; a run that was stopped goes on where it was. A published series of
    other settings or input is only replaced when that is said.

    [bold]Examples[/bold]

      stsfusion run demo
      stsfusion run demo --set fuse.method=gsa --set output=gsa-out
      stsfusion run my-recipe.yaml --dates 2022-03/2022-06 --dry-run
      stsfusion run my-recipe.yaml --executor slurm --set fuse.slurm.partition=cpu --print-job
      stsfusion run my-recipe.yaml --executor array --worker 2/8
    """
    from stsfusion.pipeline.reciperun import Orders

    given = [*(assignments or [])]
    given += [f"area.bounds=[{area}]"] if area else []
    given += [f"fuse.dates=[{', '.join(dates)}]"] if dates else []
    given += [f"fuse.executor={executor}"] if executor else []
    given += [f"fuse.worker={worker}"] if worker else []
    if print_job:
        _print_job(recipe, given)
    orders = Orders(
        overwrite=overwrite, learned=learned, tiles=tuple(listed(tiles or "")), retry_failed=retry_failed
    )
    _carry_out(recipe, given, orders, dry_run=dry_run, quiet=quiet, as_json=as_json)


def update(
    recipe: Recipe,
    assignments: Set = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Learn anew from all there is now, and make all dates anew.")
    ] = False,
    across_versions: Annotated[
        bool,
        typer.Option("--across-versions", help="Keep dates that another version of the code made."),
    ] = False,
    executor: Executor = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Fuse those tiles alone that failed before.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring a published series up to date: new dates, and those that new input changes.

    A folder of deliveries is looked through again, cubes are read again. What the method has learned stays
    as it was published, so that yesterday's dates do not change; what is published is never lost. New dates
    at the end are added in place; a late or reprocessed scene makes a new generation, which links to the
    files of all dates that stay. Without a published series it runs the recipe.

    [bold]Examples[/bold]

      stsfusion update my-recipe.yaml --quiet
      stsfusion update my-recipe.yaml --refit
    """
    from stsfusion.pipeline.reciperun import Orders

    given = [*(assignments or []), *([f"fuse.executor={executor}"] if executor else [])]
    orders = Orders(update=True, refit=refit, across_versions=across_versions, retry_failed=retry_failed)
    _carry_out(recipe, given, orders, quiet=quiet, as_json=as_json)


def _carry_out(
    recipe: str,
    given: list[str],
    orders: Orders,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    as_json: bool = False,
) -> NoReturn:
    from stsfusion.pipeline.arrayrun import run_or_share
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import run_recipe

    quiet = quiet or as_json
    with plainly(as_json):
        loaded, file = load_recipe(recipe, given)
        if dry_run:
            end = run_recipe(loaded, file, dry_run=True, quiet=quiet, said=given, orders=orders)
        else:
            end = run_or_share(loaded, file, quiet=quiet, said=given, orders=orders)
    if as_json:
        print(json.dumps(end.summary or {"code": end.code, "words": end.words}, default=str))
    elif quiet and end.code:
        print(end.words, file=sys.stderr)
    raise typer.Exit(end.code)


def _print_job(recipe: str, given: list[str]) -> NoReturn:
    from stsfusion.pipeline.executing import job_script
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import folder_of

    with plainly():
        loaded, file = load_recipe(recipe, given)
        print(job_script(loaded.fuse, folder_of(loaded, file).jobs), end="")
    raise typer.Exit


def status(
    recipe: Recipe,
    assignments: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how far a recipe's run is: steps, tiles, failures, time."""
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.status import status_of

    with plainly(as_json):
        loaded, file = load_recipe(recipe, assignments or ())
        lines = status_of(loaded, file)
        if as_json:
            print(json.dumps({what.strip(): state for what, state in lines}))
        else:
            show("", ("what", "state"), lines)


def gc(
    recipe: Recipe,
    assignments: Set = None,
    keep: Annotated[
        int, typer.Option(help="Generations that stay, the one that readers see among them.")
    ] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Take away old generations of a series, and what killed runs left; never what readers see.

    A run that was stopped and is meant to go on loses the tiles that it had done.

    [bold]Examples[/bold]

      stsfusion gc my-recipe.yaml --dry-run
      stsfusion gc my-recipe.yaml --keep 1
    """
    from stsfusion.pipeline.cleaning import clean
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import folder_of
    from stsfusion.pipeline.words import size

    with plainly(as_json):
        found = clean(folder_of(*load_recipe(recipe, assignments or ())), keep=keep, dry_run=dry_run)
    if as_json:
        rows = [{"path": str(each.path), "why": each.why, "bytes": each.size} for each in found]
        print(json.dumps({"code": 0, "dry_run": dry_run, "removed": rows}))
        return
    show(
        "",
        ("would go" if dry_run else "gone", "what it is", "room"),
        [(e.path, e.why, size(e.size)) for e in found],
    )
    if not found:
        typer.echo("Nothing to do.")
