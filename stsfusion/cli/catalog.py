"""Catalogs of scenes on the command line: parse, call, print."""

from __future__ import annotations

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

    Bad deliveries are listed with the reason and hold up no others; the exit code is then 3. Running it again
    changes nothing unless there are new, other or fewer deliveries.

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
    show("", ("scene", "sensor", "UTC", "notes"), rows)
    again = [(path, f"is {name} again") for path, name in found.repeated]
    again += [(name, f"superseded by {newer}") for name, newer in found.superseded]
    if again:
        show("\nleft out", ("delivery", "why"), again)
    if found.refused:
        show("\nbad", ("delivery", "why"), [(Path(one.delivery).name, one.reason) for one in found.refused])
    state = "written" if built.changed else "unchanged"
    typer.echo(f"\n{len(found.scenes)} scenes, {len(found.refused)} bad deliveries; {built.path} {state}")
    raise typer.Exit(FAILED if found.refused else 0)
