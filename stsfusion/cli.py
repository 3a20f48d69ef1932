"""The command line: parse, call, print. Everything it can do, Python can do too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stsfusion import __version__
from stsfusion.errors import LockedError, StoreError, StsfusionError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Spatio-temporal-spectral fusion: 10 m hyperspectral series at the dates of a multispectral sensor.",
    epilog="Start with: stsfusion run demo. Exit codes: 0 done or nothing to do, 2 wrong settings or input, "
    "3 some tiles or methods failed, 75 try again later (locked or interrupted).",
)
bench = typer.Typer(no_args_is_help=True, help="Compare methods on a truth that they never see.")
app.add_typer(bench, name="bench")

FAILED, LATER, WRONG = 3, 75, 2

Recipe = Annotated[
    str, typer.Argument(help="A recipe's file, or the name of one that came along, as 'demo'.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Say a key of the recipe anew; may be given repeatedly."),
]


@contextmanager
def _plainly() -> Iterator[None]:
    """Errors made on purpose are told in words, with the exit code that schedulers understand."""
    try:
        yield
    except LockedError as error:
        Console(stderr=True).print(str(error), style="yellow", markup=False, highlight=False)
        raise typer.Exit(LATER) from None
    except StsfusionError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        raise typer.Exit(WRONG) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the same command goes on from here", style="yellow")
        raise typer.Exit(LATER) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        said = f"error: {place}{error.strerror or error}. Check that the path can be read and written."
        Console(stderr=True).print(said, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(WRONG) from None


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
    with _plainly():
        loaded, file = load_recipe(recipe, given)
        end = run_recipe(loaded, file, dry_run=dry_run, quiet=quiet, said=given)
    raise typer.Exit(end.code)


@app.command()
def status(recipe: Recipe, assignments: Set = None) -> None:
    """Say how far a recipe's run is: steps, tiles, failures, time."""
    from stsfusion.pipeline.recipe import load_recipe
    from stsfusion.pipeline.status import status_of

    with _plainly():
        loaded, file = load_recipe(recipe, assignments or ())
        _show("", ("what", "state"), status_of(loaded, file))


@app.command()
def info(store: Annotated[Path, typer.Argument(help="A store: fused.zarr, cubes.zarr.")]) -> None:
    """Describe a store: size, dates, bands, place, provenance."""
    from stsfusion.cube.store import CubeStore

    with _plainly():
        found = CubeStore(store).info()
        if not found:
            raise StoreError(
                f"store {store}",
                expected="a published series or cubes",
                got="nothing published",
                mend="Name a folder such as demo-out/fused.zarr; a run publishes when all tiles are done.",
            )
        for name, facts in found.items():
            _show(name or store.name, ("what", "is"), [(key, _short(value)) for key, value in facts.items()])


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the methods: what they need, how they learn, and their settings."""
    from dataclasses import fields

    from stsfusion import methods as zoo

    with _plainly():
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
    _show("", ("method", "what it does", "needs", "fit", "source", "settings"), lines)


@app.command()
def sensors() -> None:
    """List the instruments of the catalogs."""
    from stsfusion.sensing.sensor import load_sensor, sensor_names

    with _plainly():
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
    _show("", ("sensor", "title", "pixel", "bands", "centres"), lines)


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
    _show("", ("what", "found", "to do"), [(f.what, f.says, f.mend) for f in found])
    raise typer.Exit(1 if any(f.mend for f in found) else 0)


@bench.command("sts")
def bench_sts(
    truth: Annotated[
        Path, typer.Argument(help="NetCDF with `reflectance` (time, band, y, x), `wavelength` in nm.")
    ],
    methods: Annotated[
        str, typer.Option(help="Methods, with settings as in stsnet:steps=200,kernels=1/3.")
    ] = "bicubic,lineartime,gsa,stsnet",
    dense: Annotated[str, typer.Option(help="The dense sensor.")] = "gf6-wfv",
    sharp: Annotated[
        str, typer.Option(help="The sharp sensor: zy1-02d-vnic or zy1-02d-pan.")
    ] = "zy1-02d-vnic",
    rich_ratio: Annotated[int, typer.Option(help="Pixel of the hyperspectral sensor, truth pixels.")] = 3,
    dense_ratio: Annotated[int, typer.Option(help="Pixel of the dense sensor, truth pixels.")] = 2,
    rich_dates: Annotated[
        str | None,
        typer.Option(help="Dates that the hyperspectral sensor saw, as 0,2,4,6; none: every second."),
    ] = None,
    psf: Annotated[
        str, typer.Option(help="gaussian (full width = ratio), gaussian:WIDTH, bilinear or box.")
    ] = "gaussian",
    snr_db: Annotated[
        float | None, typer.Option(help="Signal-to-noise ratio; replaces all noise and striping.")
    ] = None,
    shift: Annotated[
        float, typer.Option(metavar="PX", help="Misregistration of rich and dense, truth pixels.")
    ] = 0.0,
    gain: Annotated[
        float, typer.Option(metavar="PCT", help="Gain error of the dense sensor, percent.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write protocol and rows here.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of rows that are done; none: the user's cache.")
    ] = None,
) -> None:
    """Spatio-temporal-spectral fusion of a simulated series; scores are against the noise-free truth.

    Each method runs in a process of its own and is given the question alone. Rows are kept, so that a run
    that was cut off goes on where it was.
    """
    from stsfusion.forward.simulate import Protocol
    from stsfusion.pipeline import benchmark, benchtable, contest, shorthand

    console = Console(stderr=json_file is None and not sys.stdout.isatty())
    with _plainly():
        protocol = Protocol(
            dense=dense,
            sharp=sharp,
            rich_ratio=rich_ratio,
            dense_ratio=dense_ratio,
            rich_dates=_indices(rich_dates),
            psf=psf,
            snr_db=snr_db,
            shift=shift,
            gain=gain,
            seed=seed,
        )
        with benchtable.watching(console) as watch:
            result = benchmark.bench_sts(truth, shorthand.split(methods), protocol, json_file, cache, watch)
    _wide().print(benchtable.table(result))
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)


@bench.command("hsi-msi")
def bench_hsi_msi(
    scenes: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCENE...", help="NetCDF with `reflectance` (band, y, x), `wavelength` in nm."
        ),
    ],
    ratio: Annotated[int, typer.Option(help="Pixel of the hyperspectral image, scene pixels.")] = 4,
    psf: Annotated[
        str,
        typer.Option(
            help="What a coarse pixel sees: gaussian:SIGMA of its own block, fwhm:WIDTH (overlapping "
            "Gaussian), box; a list with commas tries them in turn."
        ),
    ] = "gaussian:0.5",
    msi: Annotated[
        str, typer.Option(help="The multispectral sensor, see `stsfusion sensors`.")
    ] = "landsat8-oli",
    bands: Annotated[
        str | None, typer.Option(help="Its bands, as B2,B3 (one band: pansharpening); none: all covered.")
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Methods, with settings as in gsa:psf=box; all: every one that can.")
    ] = "all",
    blind: Annotated[
        bool,
        typer.Option("--blind/--known", help="Tell methods ratio and band coverage only, or everything."),
    ] = True,
    snr_db: Annotated[float | None, typer.Option(help="Signal-to-noise ratio of both images, dB.")] = None,
    shift: Annotated[
        float, typer.Option(metavar="PX", help="Misregistration, scene pixels down and right.")
    ] = 0.0,
    crop: Annotated[
        str | None, typer.Option(metavar="Y0:Y1,X0:X1", help="Use these rows and columns only.")
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE", help="The scene's own real multispectral image; nothing is simulated of it."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorten iterative methods and mark their rows.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write protocol and rows here.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of rows that are done; none: the user's cache.")
    ] = None,
) -> None:
    """Hyperspectral–multispectral fusion: scenes are coarsened, fused with a sharp image, and compared.

    Each method runs in a process of its own and is given the question alone; scores are on the scene's own
    pixels. Rows are kept, so that a run that was cut off goes on where it was. With several scenes a table of
    medians and wins ends the run.

    [bold]Examples[/bold]

      stsfusion bench hsi-msi jasper_ridge.nc --methods gsa,bicubic
      stsfusion bench hsi-msi scenes/*.nc --psf gaussian:0.5,gaussian:1,gaussian:2 --quick --json rows.json
      stsfusion bench hsi-msi samson.nc --bands B8 --known --snr-db 40
      stsfusion bench hsi-msi paris_hyperion.nc --pair ali --ratio 3 --psf fwhm:3
    """
    from stsfusion.pipeline import benchtable, contest, pairtable, shorthand
    from stsfusion.pipeline.hsimsi import bench_hsi_msi as compare
    from stsfusion.pipeline.pairprotocol import PairProtocol
    from stsfusion.pipeline.scene import parse_crop

    console = Console(stderr=json_file is None and not sys.stdout.isatty())
    with _plainly():
        protocol = PairProtocol(
            ratio=ratio,
            msi=msi,
            bands=None if bands is None else tuple(_listed(bands)),
            blind=blind,
            snr_db=snr_db,
            shift=shift,
            pair=pair,
            seed=seed,
        )
        with benchtable.watching(console) as watch:
            result = compare(
                scenes,
                shorthand.split(methods),
                protocol,
                _listed(psf),
                crop=None if crop is None else parse_crop(crop),
                quick=quick,
                json_path=json_file,
                cache_dir=cache,
                progress=watch,
            )
    for board in pairtable.boards(result):
        _wide().print(board)
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _wide() -> Console:
    """As wide as the terminal, or wide enough for a table where there is none."""
    return Console(width=None if sys.stdout.isatty() else 160)


def _indices(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no list of whole numbers such as 0,2,4,6") from None


def _show(title: str, columns: tuple[str, ...], rows: Any) -> None:
    table = Table(
        *columns, title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    _wide().print(table, highlight=False, markup=False)


def _short(value: object) -> str:
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    )
    return text if len(text) < 400 else text[:397] + "…"


if __name__ == "__main__":
    app()
