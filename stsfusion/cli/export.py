"""Export on the command line: parse, call, print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stsfusion.cli.options import AsJson, Quiet, Store, grouped
from stsfusion.cli.terminal import plainly, show, tell_in_json

if TYPE_CHECKING:
    from stsfusion.export.part import Part

__all__ = ["export"]


@dataclass(frozen=True)
class Chosen:
    """Which part of a store is exported."""

    name: Annotated[str | None, typer.Option(help="The dataset of a store that holds several, as rich.")] = (
        None
    )
    dates: Annotated[
        list[str] | None, typer.Option(help="Only these: YYYY-MM-DD, YYYY-MM or FIRST/LAST; repeatable.")
    ] = None
    area: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Only this part, in the series' own CRS.")
    ] = None
    qa: Annotated[bool, typer.Option("--qa/--no-qa", help="Add how each pixel came to be.")] = True
    sigma: Annotated[bool, typer.Option("--sigma", help="Add the standard deviation.")] = False

    def of(self, store: Path) -> Part:
        """The part of this store."""
        from stsfusion.export.choice import choose

        bounds = None if self.area is None else _bounds(self.area)
        return choose(store, self.name, dates=self.dates or (), area=bounds, qa=self.qa, sigma=self.sigma)


@grouped
def export(
    store: Store,
    form: Annotated[
        str,
        typer.Option("--format", help="cog (a GeoTIFF a date), envi (an image a date) or netcdf (one file)."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; none: beside the store, as fused-cog.")
    ] = None,
    *,
    chosen: Chosen,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of the same names.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a published series as files that other programs read, block by block.

    Files appear under their names when all of them are whole, or none does; the store is only read. When the
    series is made anew meanwhile, the export stops and says so; dates that are added do not disturb it.

    Exit codes: 0 written; 2 wrong settings or input, no room, files of these names, a new series meanwhile.

    [bold]Examples[/bold]

      stsfusion export demo-out/fused.zarr --format cog
      stsfusion export demo-out/fused.zarr --format envi --dates 2022-03/2022-06 --sigma
      stsfusion export demo-out/cubes.zarr --name rich --format netcdf --area 398000,4390000,401000,4393000
    """
    from stsfusion.export.delivery import deliver
    from stsfusion.export.formats import load
    from stsfusion.running.progress import progress

    with plainly(as_json):
        kind, part = load(form), chosen.of(store)
        folder = out or store.parent / f"{part.stem}-{form}"
        with progress("Exporting", 1.0, quiet=quiet) as bar:
            written = deliver(part, kind, folder, overwrite=overwrite, watch=bar.at)
    if as_json:
        files = [{"file": str(one.path), "bytes": one.bytes} for one in written]
        tell_in_json(0, format=form, **_facts(part), files=files)
        return
    show("", ("file", "MiB"), [(one.path, f"{one.bytes / 2**20:.1f}") for one in written])


def _facts(part: Part) -> dict[str, object]:
    """What was exported, as JSON knows it."""
    shape = {"band": len(part.spec.bands), "y": part.grid.shape[0], "x": part.grid.shape[1]}
    return {"dates": [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in part.times()], "shape": shape}


def _bounds(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(piece) for piece in text.split(","))
        if not all(map(math.isfinite, (west, south, east, north))):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is no area such as 398000,4390000,401000,4393000", param_hint="--area"
        ) from None
    return west, south, east, north
