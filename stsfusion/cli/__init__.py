"""The command line: parse, call, print. Everything it can do, Python can do too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stsfusion import __version__
from stsfusion.cli.bench import bench
from stsfusion.cli.catalog import catalog
from stsfusion.cli.terminal import FAILED, plainly, show
from stsfusion.errors import StoreError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Spatio-temporal-spectral fusion: 10 m hyperspectral series at the dates of a multispectral sensor.",
    epilog="Start with: stsfusion run demo. Exit codes: 0 done or nothing to do, 2 wrong settings or input, "
    "3 some tiles or methods failed, 75 try again later (locked or interrupted).",
)
app.add_typer(bench, name="bench")
app.add_typer(catalog, name="catalog")

Recipe = Annotated[
    str, typer.Argument(help="A recipe's file, or the name of one that came along, as 'demo'.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Say a key of the recipe anew; may be given repeatedly."),
]


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Take the options that all commands share."""


@app.command()
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


@app.command()
def status(recipe: Recipe, assignments: Set = None) -> None:
    """Say how far a recipe's run is: steps, tiles, failures, time."""
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.status import status_of

    with plainly():
        loaded, file = load_recipe(recipe, assignments or ())
        show("", ("what", "state"), status_of(loaded, file))


@app.command()
def info(store: Annotated[Path, typer.Argument(help="A store: fused.zarr, cubes.zarr.")]) -> None:
    """Describe a store: size, dates, bands, place, provenance."""
    from stsfusion.cube.store import CubeStore

    with plainly():
        found = CubeStore(store).info()
        if not found:
            raise StoreError(
                f"store {store}",
                expected="a published series or cubes",
                got="nothing published",
                mend="Name a folder such as demo-out/fused.zarr; a run publishes when all tiles are done.",
            )
        for name, facts in found.items():
            show(name or store.name, ("what", "is"), [(key, _short(value)) for key, value in facts.items()])


@app.command()
def verify(
    store: Annotated[Path, typer.Argument(help="A store: fused.zarr, cubes.zarr.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Read every published file of a store and say which is not what it was when it was published.

    Exit code 0: all is whole; 3: something is damaged, missing or unknown.

    [bold]Examples[/bold]

      stsfusion verify demo-out/fused.zarr
      stsfusion verify demo-out/cubes.zarr --json
    """
    from dataclasses import asdict

    from stsfusion.cube.verification import verify as read_all
    from stsfusion.running.progress import progress

    with plainly(), progress("Reading", 1.0, quiet=quiet) as bar:
        verdict = read_all(store, bar.at)
    if as_json:
        print(json.dumps(asdict(verdict), indent=1))
    else:
        size = f"{verdict.size / 2**20:.1f} MiB"
        rows = [("files", f"{verdict.files} ({size})"), ("not what they were", len(verdict.damages))]
        rows += [(f"  {damage.what}", damage.file) for damage in verdict.damages]
        for name, dates in verdict.shares.items():
            rows += [(f"{name} {date}".strip(), f"{share:.1%} with data") for date, share in dates.items()]
        show("", ("what", "is"), rows)
    raise typer.Exit(FAILED if verdict.damages else 0)


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the methods: what they need, how they learn, and their settings."""
    from dataclasses import fields

    from stsfusion import methods as zoo

    with plainly():
        cards = [(zoo.kind(name), zoo.card(name)) for name in zoo.names()]
    settings = [[f.name for f in fields(cls) if f.init] for cls, _ in cards]  # type: ignore[arg-type]
    if as_json:
        rows = [{**vars(card), "settings": own} for (_, card), own in zip(cards, settings, strict=True)]
        print(json.dumps(rows, indent=1))
        return
    lines = [
        (c.name, c.title, " + ".join(c.needs), c.fits, c.source, ", ".join(own))
        for (_, c), own in zip(cards, settings, strict=True)
    ]
    show("", ("method", "what it does", "needs", "fit", "source", "settings"), lines)


@app.command()
def sensors() -> None:
    """List the instruments of the catalogs."""
    from stsfusion.sensing.sensor import load_sensor, sensor_names

    with plainly():
        known = [load_sensor(name) for name in sensor_names()]
    lines = [
        (
            s.name,
            s.title,
            f"{s.pixel:g} m",
            len(s.bands),
            f"{s.wavelengths.min():.0f}–{s.wavelengths.max():.0f} nm",
        )
        for s in known
    ]
    show("", ("sensor", "title", "pixel", "bands", "centres"), lines)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, every method's settings included, for editors."""
    from stsfusion.pipeline.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=1))


@app.command()
def doctor() -> None:
    """Look at versions, GPU, memory, threads and disk, and say what is amiss."""
    from stsfusion.pipeline.doctor import examine

    found = list(examine(Path.cwd()))
    show("", ("what", "found", "to do"), [(f.what, f.says, f.mend) for f in found])
    raise typer.Exit(1 if any(f.mend for f in found) else 0)


def _short(value: object) -> str:
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    )
    return text if len(text) < 400 else text[:397] + "…"
