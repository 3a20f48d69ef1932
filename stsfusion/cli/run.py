"""Runs of recipes on the command line: parse, call, print."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stsfusion.cli.options import AsJson, Recipe, Set, grouped
from stsfusion.cli.terminal import listed, plainly, show, tell_in_json
from stsfusion.errors import PlanError

if TYPE_CHECKING:
    from stsfusion.pipeline.reciperun import Orders

__all__ = ["gc", "run", "status", "update"]


@dataclass(frozen=True)
class Asked:
    """What is asked of one run only, instead of in its recipe."""

    area: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Bounds of the part to fuse, in the cubes' own CRS.")
    ] = None
    dates: Annotated[
        list[str] | None,
        typer.Option(help="Publish only these: YYYY-MM-DD, YYYY-MM or FIRST/LAST; repeatable."),
    ] = None

    def assignments(self) -> list[str]:
        """The same in the words of --set."""
        given = [f"area.bounds=[{self.area}]"] if self.area else []
        given += [f"fuse.dates=[{', '.join(self.dates)}]"] if self.dates else []
        return given


@dataclass(frozen=True)
class Manner:
    """Where tiles run, which of them, and what is said of it."""

    executor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where tiles run: inline, local, address, slurm, cuda or array; instead of fuse.executor.",
        ),
    ] = None
    worker: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="With '--executor array': which worker this is, 1/N to N/N, or 'prepare' to do what all "
            "need; a job of a SLURM array knows it. Without: publish, and do what workers left.",
        ),
    ] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Fuse those tiles alone that failed before, if any did.")
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON, and print no other words.")
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No progress bars and no words of success; standard error tells what is amiss.",
        ),
    ] = False

    def assignments(self) -> list[str]:
        """The first two in the words of --set."""
        given = [f"fuse.executor={self.executor}"] if self.executor else []
        return [*given, *([f"fuse.worker={self.worker}"] if self.worker else [])]


@grouped
def run(
    recipe: Recipe,
    assignments: Set = None,
    *,
    asked: Asked,
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
    print_job: Annotated[
        bool, typer.Option("--print-job", help="With '--executor slurm': show the job script; do nothing.")
    ] = False,
    tiles: Annotated[
        str | None, typer.Option(metavar="KEY,…", help="Fuse these tiles alone, as t0-7.y0-384.x0-384.")
    ] = None,
    manner: Manner,
) -> None:
    """Run a recipe from its input to the published series and the report.

    What is done already is not done again; a run that was stopped goes on where it was. A published series of
    other settings or input is only replaced when that is said.

    It writes into the recipe's `output:` folder alone, a relative one being seen from the folder that the
    command is given in, though other paths are seen from the recipe: cubes.zarr (the input on one grid),
    fused.zarr (the series), scores.json, report.html with its pictures, and .stsfusion (what is known of the
    run).

    Exit codes: 0 done; 2 wrong settings or input; 3 some tiles failed (--retry-failed tries them again);
    75 locked by another run, or interrupted: the same command goes on.

    [bold]Examples[/bold]

      stsfusion run demo
      stsfusion run demo --set fuse.method=gsa --set output=gsa-out
      stsfusion run my-recipe.yaml --dates 2022-03/2022-06 --dry-run
      stsfusion run my-recipe.yaml --executor slurm --set fuse.slurm.partition=cpu --print-job
      stsfusion run my-recipe.yaml --executor array --worker 2/8
    """
    from stsfusion.pipeline.reciperun import Orders

    given = [*(assignments or []), *asked.assignments(), *manner.assignments()]
    if print_job:
        _print_job(recipe, given, manner.as_json)
    with plainly(manner.as_json, {"command": "run", "recipe": recipe}):
        keys = () if tiles is None else _keys(tiles)
    orders = Orders(overwrite=overwrite, learned=learned, tiles=keys, retry_failed=manner.retry_failed)
    _carry_out(recipe, given, orders, manner, dry_run=dry_run)


def _keys(text: str) -> tuple[str, ...]:
    """Keys between commas; none is not all: a variable of a shell may be empty by mistake."""
    keys = tuple(listed(text))
    if not keys:
        raise PlanError(
            "option '--tiles'",
            expected="keys of tiles between commas, such as t0-7.y0-384.x0-384",
            got=f"'{text}', which names none",
            mend="Name the tiles that 'stsfusion plan RECIPE --tiles' lists; leave the option out for all.",
        )
    return keys


@grouped
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
    *,
    manner: Manner,
) -> None:
    """Bring a published series up to date: new dates, and those that new input changes.

    Of deliveries those are read that are new or were touched, and their dates alone are ingested, with those
    that were laid onto them; one's own cubes are read again. What the method has learned stays as it was
    published, so that yesterday's dates do not change; what is published is never lost. New dates at the end
    that change no other are added in place; whatever changes a published date (a late or
    reprocessed scene, or a new date in its neighbourhood) makes a new generation, which links to the files of
    all dates that stay. Without 'fuse.neighbours' every date is made from all dates, and new input makes
    every date anew. Without a published series it runs the recipe.

    Who opens the series sees the old one or the whole new one; on file systems that cannot exchange folders
    in one step ('stsfusion doctor' tells) there is none to open for a moment. What was opened lazily
    before a new generation must be opened anew: a path always leads to the present files. To go on reading
    the old ones, read from a copy of links, 'cp -al my-out/fused.zarr mine.zarr', which takes no room and
    never changes.

    It writes where `run` does: give it in the same folder, or let `output:` be absolute. It says so when
    nothing is there yet, and ends with the same exit codes: 0, 2, 3, 75. What was published before a
    new generation stays in .stsfusion/generations, the last one until the next comes.

    [bold]Examples[/bold]

      stsfusion update my-recipe.yaml --quiet
      stsfusion update my-recipe.yaml --refit
      stsfusion update my-recipe.yaml --executor array --worker 2/8
    """
    from stsfusion.pipeline.reciperun import Orders

    given = [*(assignments or []), *manner.assignments()]
    orders = Orders(
        update=True, refit=refit, across_versions=across_versions, retry_failed=manner.retry_failed
    )
    _carry_out(recipe, given, orders, manner)


def _carry_out(
    recipe: str, given: list[str], orders: Orders, manner: Manner, *, dry_run: bool = False
) -> NoReturn:
    from stsfusion.pipeline.arrayrun import run_or_share
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import folder_of, run_recipe

    quiet = manner.quiet or manner.as_json
    about = {"command": "update" if orders.update else "run", "recipe": recipe}
    with plainly(manner.as_json, about):
        loaded, file = load_recipe(recipe, given)
        root = folder_of(loaded, file).root
        if orders.update and not root.exists():
            print(f"Nothing is there yet, the series begins: {root.absolute()}", file=sys.stderr)
        if dry_run:
            end = run_recipe(loaded, file, dry_run=True, quiet=quiet, said=given, orders=orders)
        else:
            end = run_or_share(loaded, file, quiet=quiet, said=given, orders=orders)
    if manner.as_json:
        tell_in_json(end.code, **(end.summary or {"words": end.words}))
    elif quiet and end.code:
        print(end.words, file=sys.stderr)
    raise typer.Exit(end.code)


def _print_job(recipe: str, given: list[str], as_json: bool) -> NoReturn:
    from stsfusion.pipeline.executing import job_script
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.steps import folder_of

    with plainly(as_json):
        loaded, file = load_recipe(recipe, given)
        script = job_script(loaded.fuse, folder_of(loaded, file).jobs)
    if as_json:
        tell_in_json(0, script=script)
    else:
        print(script, end="")
    raise typer.Exit


def status(
    recipe: Recipe,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """Say how far a recipe's run is: steps, tiles, failures, time.

    Nothing is written, and a run that is under way is not disturbed. It looks where `run` would write if it
    were given in this folder.

    Exit codes: 0 told; 2 wrong settings or input.

    [bold]Examples[/bold]

      stsfusion status demo
      stsfusion status my-recipe.yaml --json
    """
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.status import plain, status_of

    with plainly(as_json):
        loaded, file = load_recipe(recipe, assignments or ())
        lines = status_of(loaded, file)
        if as_json:
            tell_in_json(0, **plain(lines))
        else:
            show("", ("what", "state"), lines)


def gc(
    recipe: Recipe,
    assignments: Set = None,
    keep: Annotated[
        int, typer.Option(help="Generations that stay, the one that readers see among them.")
    ] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take away old generations of a series, and what killed runs left; never what readers see.

    A run that was stopped and is meant to go on loses the tiles that it had done.

    Exit codes: 0 done, or nothing to do; 2 wrong settings or input; 75 a run is under way: try again later.

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
        tell_in_json(0, dry_run=dry_run, removed=rows)
        return
    show(
        "",
        ("would go" if dry_run else "gone", "what it is", "room"),
        [(e.path, e.why, size(e.size)) for e in found],
    )
    if not found:
        typer.echo("Nothing to do.")
