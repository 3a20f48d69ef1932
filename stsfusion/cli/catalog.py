"""Catalogs of scenes on the command line: parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stsfusion.cli.terminal import FAILED, plainly, show

__all__ = ["catalog"]

catalog = typer.Typer(no_args_is_help=True, help="Catalogs of delivered scenes.")


@catalog.callback()
def main() -> None:
    """Keep `build` a command of its own, though it is the only one."""


@catalog.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="Folder of deliveries: archives, unpacked ones, or both.")],
    out: Annotated[Path, typer.Option(help="The catalog's folder, as catalogs/scenes/NAME.")],
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Take products of which an image is missing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Name no delivery that is looked at.")] = False,
) -> None:
    """Catalog the deliveries below a folder as static STAC.

    Bad deliveries are listed with the reason and hold up no others; so are images and archives that are not
    recognised. The exit code is 3 when there are any of either. A run stops at bad deliveries, unless they
    may be missing, and leaves alone what is not recognised. Other files, as a README, are named, and count
    for nothing. Running it again changes nothing unless there are new, other or fewer deliveries.

    [bold]Example[/bold]

      stsfusion catalog build /data/deliveries --out catalogs/scenes/shandong
    """
    from stsfusion.ingest.catalogue import build_catalog

    def watch(path: Path) -> None:
        typer.echo(f"  {path.name}", err=True)

    with plainly():
        built = build_catalog(folder, out, allow_missing=allow_missing, watch=None if quiet else watch)
    found = built.found
    rows = [(s.name, s.sensor, f"{s.time:%Y-%m-%d %H:%M}", "; ".join(s.notes)) for s in found.scenes]
    if rows:
        show("", ("scene", "sensor", "UTC", "notes"), rows)
    again = [(path, f"is {name} again") for path, name in found.repeated]
    again += [(name, f"superseded by {newer}") for name, newer in found.superseded]
    if again:
        show("\nleft out", ("delivery", "why"), again)
    here = f"{folder}{os.sep}"
    for title, refused in (("bad", found.refused), ("not recognised", found.strange)):
        if refused:
            typer.echo(f"\n{title}")
        for one in refused:
            # No table: its columns break paths where nobody finds them again.
            reason = one.reason.replace(here, "").replace("\n", "\n    ")
            typer.echo(f"  {Path(one.delivery).name}\n    {reason}")
    if found.others:
        typer.echo(f"\nno deliveries: {', '.join(os.path.relpath(path, folder) for path in found.others)}")
    state = "written" if built.changed else "unchanged"
    strange = f", {len(found.strange)} not recognised" if found.strange else ""
    counts = f"{_counted(len(found.scenes), 'scene', 'scenes')}, "
    counts += f"{_counted(len(found.refused), 'bad delivery', 'bad deliveries')}{strange}"
    typer.echo(f"\n{counts}; {built.path} {state}")
    raise typer.Exit(FAILED if found.refused or found.strange else 0)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
