"""Benchmarks on the command line: parse, call, print."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from stsfusion.cli.bench_engine import bench_engine
from stsfusion.cli.options import grouped
from stsfusion.cli.terminal import FAILED, aside, indices, listed, plainly, wide

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from stsfusion.forward.simulate import Protocol
    from stsfusion.pipeline.pairprotocol import PairProtocol

__all__ = ["bench"]

_ENDS = (
    "A table is printed; only --json writes a file, and finished rows are kept in the user's cache. "
    "Exit codes: 0 every method gave an answer, 2 wrong settings or input, 3 some methods failed (the table "
    "says why), 75 interrupted: the same command goes on."
)

bench = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Compare methods on a truth that they never see, and the engine with what its work takes.",
)
bench.command("engine")(bench_engine)


@dataclass(frozen=True)
class Kept:
    """Where the rows of a comparison stay."""

    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write protocol and rows to this file.")
    ] = None
    cache: Annotated[
        Path | None, typer.Option(help="Folder of rows that are done; none: the user's cache.")
    ] = None


@dataclass(frozen=True)
class Simulated:
    """How a series is seen by three sensors."""

    dense: Annotated[str, typer.Option(help="The dense sensor, see `stsfusion sensors`.")] = "gf6-wfv"
    sharp: Annotated[str, typer.Option(help="The sharp sensor: zy1-02d-vnic or zy1-02d-pan.")] = (
        "zy1-02d-vnic"
    )
    rich_ratio: Annotated[int, typer.Option(help="Pixel of the hyperspectral sensor, truth pixels.")] = 3
    dense_ratio: Annotated[int, typer.Option(help="Pixel of the dense sensor, truth pixels.")] = 2
    rich_dates: Annotated[
        str | None,
        typer.Option(help="Dates that the hyperspectral sensor saw, as 0,2,4,6; none: every second."),
    ] = None
    psf: Annotated[
        str, typer.Option(help="gaussian (full width = ratio), gaussian:WIDTH, bilinear or box.")
    ] = "gaussian"
    snr_db: Annotated[
        float | None, typer.Option(help="Signal-to-noise ratio; replaces all noise and striping.")
    ] = None
    shift: Annotated[
        float, typer.Option(metavar="PX", help="Misregistration of rich and dense, truth pixels.")
    ] = 0.0
    gain: Annotated[float, typer.Option(metavar="PCT", help="Gain error of the dense sensor, percent.")] = 0.0
    clouds: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of each sensor's pixels under cloud, 0 to 1.")
    ] = 0.0
    cloudy_dates: Annotated[str | None, typer.Option(help="Dates that have clouds, as 2,3; none: all.")] = (
        None
    )
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0

    def protocol(self) -> Protocol:
        """The same, checked."""
        from stsfusion.forward.simulate import Protocol
        from stsfusion.fusion.problem import ROLES

        dates = {name: indices(getattr(self, name)) for name in ("rich_dates", "cloudy_dates")}
        clouds = dict.fromkeys(ROLES, self.clouds) if self.clouds else {}
        return Protocol(**{**vars(self), **dates, "clouds": clouds})


@dataclass(frozen=True)
class Posed:
    """How a scene becomes a hyperspectral and a multispectral image."""

    ratio: Annotated[int, typer.Option(help="Pixel of the hyperspectral image, scene pixels.")] = 4
    psf: Annotated[
        str,
        typer.Option(
            help="What a coarse pixel sees: gaussian:SIGMA of its own block, fwhm:WIDTH (overlapping "
            "Gaussian), box; a list with commas tries them in turn."
        ),
    ] = "gaussian:0.5"
    msi: Annotated[str, typer.Option(help="The multispectral sensor, see `stsfusion sensors`.")] = (
        "landsat8-oli"
    )
    bands: Annotated[
        str | None, typer.Option(help="Its bands, as B2,B3 (one band: pansharpening); none: all covered.")
    ] = None
    blind: Annotated[
        bool,
        typer.Option("--blind/--known", help="Tell methods ratio and band coverage only, or everything."),
    ] = True
    snr_db: Annotated[float | None, typer.Option(help="Signal-to-noise ratio of both images, dB.")] = None
    shift: Annotated[
        float, typer.Option(metavar="PX", help="Misregistration, scene pixels down and right.")
    ] = 0.0
    crop: Annotated[
        str | None, typer.Option(metavar="Y0:Y1,X0:X1", help="Use these rows and columns only.")
    ] = None
    pair: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE", help="The scene's own real multispectral image; nothing is simulated of it."
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0

    def protocol(self) -> PairProtocol:
        """The same, checked, but for the point spreads and the crop."""
        from stsfusion.pipeline.pairprotocol import PairProtocol

        told = {name: value for name, value in vars(self).items() if name not in ("psf", "crop")}
        return PairProtocol(**told | {"bands": None if self.bands is None else tuple(listed(self.bands))})


@bench.command("sts", epilog=_ENDS)
@grouped
def bench_sts(
    truth: Annotated[
        Path, typer.Argument(help="NetCDF with `reflectance` (time, band, y, x), `wavelength` in nm.")
    ],
    methods: Annotated[
        str, typer.Option(help="Methods, with settings as in stsnet:steps=200,kernels=1/3.")
    ] = "bicubic,lineartime,gsa,stsnet",
    *,
    simulated: Simulated,
    kept: Kept,
) -> None:
    """Spatio-temporal-spectral fusion of a simulated series; scores are against the noise-free truth.

    Each method runs in a process of its own and is given the question alone. Rows are kept, so that a run
    that was cut off goes on where it was.

    [bold]Examples[/bold]

      stsfusion bench sts series.nc
      stsfusion bench sts series.nc --methods bicubic,stsnet:steps=500 --rich-dates 0,3 --json rows.json
      stsfusion bench sts series.nc --methods jointlr --clouds 0.5 --cloudy-dates 2,3
    """
    from stsfusion.pipeline import benchmark, benchtable, shorthand

    with plainly():
        protocol = simulated.protocol()
        with benchtable.watching(aside(kept.json_file is not None)) as watch:
            result = benchmark.bench_sts(
                truth, shorthand.split(methods), protocol, kept.json_file, kept.cache, watch
            )
    _end(result, [benchtable.table(result)])


@bench.command("stf", epilog=_ENDS)
@grouped
def bench_stf(
    series: Annotated[
        Path,
        typer.Argument(
            help="NetCDF with `reflectance` (time, band, y, x), `wavelength` in nm, and a coarse variable."
        ),
    ],
    predict: Annotated[
        int, typer.Option(metavar="INDEX", help="The date whose fine image is hidden, counted from 0.")
    ],
    coarse: Annotated[
        str, typer.Option(metavar="VARIABLE", help="The coarse series, on the same grid or a coarser one.")
    ] = "modis",
    methods: Annotated[
        str, typer.Option(help="Methods, with settings as in estarfm:window=31; all: every one that can.")
    ] = "all",
    *,
    kept: Kept,
) -> None:
    """Spatio-temporal fusion of real series: a fine image is hidden, predicted and compared.

    Methods are given the fine images of all other dates and the coarse ones of all, which have the same bands
    and cover the same ground: on the same grid, or with pixels a whole number of times as large. Each runs in
    a process of its own. Rows are kept, so that a run that was cut off goes on where it was.

    [bold]Examples[/bold]

      stsfusion bench stf boreas_west.nc --predict 1
      stsfusion bench stf landsat.nc --predict 4 --coarse viirs --methods coarsedelta,efast --json rows.json
    """
    from stsfusion.pipeline import benchtable, shorthand
    from stsfusion.pipeline.stf import bench_stf as compare

    with plainly(), benchtable.watching(aside(kept.json_file is not None)) as watch:
        result = compare(series, predict, shorthand.split(methods), coarse, kept.json_file, kept.cache, watch)
    _end(result, [benchtable.table(result)])


@bench.command("hsi-msi", epilog=_ENDS)
@grouped
def bench_hsi_msi(
    scenes: Annotated[
        list[Path],
        typer.Argument(metavar="SCENE", help="NetCDF with `reflectance` (band, y, x), `wavelength` in nm."),
    ],
    methods: Annotated[
        str, typer.Option(help="Methods, with settings as in gsa:psf=box; all: every one that can.")
    ] = "all",
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorten iterative methods and mark their rows.")
    ] = False,
    *,
    posed: Posed,
    kept: Kept,
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
    from stsfusion.pipeline import benchtable, pairtable, shorthand
    from stsfusion.pipeline.hsimsi import bench_hsi_msi as compare
    from stsfusion.pipeline.scene import parse_crop

    with plainly():
        protocol = posed.protocol()
        with benchtable.watching(aside(kept.json_file is not None)) as watch:
            result = compare(
                scenes,
                shorthand.split(methods),
                protocol,
                listed(posed.psf),
                crop=None if posed.crop is None else parse_crop(posed.crop),
                quick=quick,
                json_path=kept.json_file,
                cache_dir=kept.cache,
                progress=watch,
            )
    _end(result, pairtable.boards(result))


def _end(result: dict[str, Any], tables: Iterable[Table | Text]) -> NoReturn:
    """Show the tables, and say by the exit code whether every method gave an answer."""
    from stsfusion.pipeline import contest

    for table in tables:
        wide().print(table)
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)
