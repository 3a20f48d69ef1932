"""Benchmarks on the command line: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stsfusion.cli.bench_engine import bench_engine
from stsfusion.cli.terminal import FAILED, aside, indices, listed, plainly, wide

__all__ = ["bench"]

bench = typer.Typer(no_args_is_help=True, help="Compare methods on a truth that they never see.")
bench.command("engine")(bench_engine)

Json = Annotated[Path | None, typer.Option("--json", help="Write protocol and rows here.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of rows that are done; none: the user's cache.")]


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
    json_file: Json = None,
    cache: Cache = None,
) -> None:
    """Spatio-temporal-spectral fusion of a simulated series; scores are against the noise-free truth.

    Each method runs in a process of its own and is given the question alone. Rows are kept, so that a run
    that was cut off goes on where it was.
    """
    from stsfusion.forward.simulate import Protocol
    from stsfusion.pipeline import benchmark, benchtable, contest, shorthand

    with plainly():
        protocol = Protocol(
            dense=dense,
            sharp=sharp,
            rich_ratio=rich_ratio,
            dense_ratio=dense_ratio,
            rich_dates=indices(rich_dates),
            psf=psf,
            snr_db=snr_db,
            shift=shift,
            gain=gain,
            seed=seed,
        )
        with benchtable.watching(aside(json_file is not None)) as watch:
            result = benchmark.bench_sts(truth, shorthand.split(methods), protocol, json_file, cache, watch)
    wide().print(benchtable.table(result))
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)


@bench.command("stf")
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
    json_file: Json = None,
    cache: Cache = None,
) -> None:
    """Spatio-temporal fusion of real series: a fine image is hidden, predicted and compared.

    Methods are given the fine images of all other dates and the coarse ones of all, which have the same bands
    and cover the same ground: on the same grid, or with pixels a whole number of times as large. Each runs in
    a process of its own. Rows are kept, so that a run that was cut off goes on where it was.

    [bold]Examples[/bold]

      stsfusion bench stf boreas_west.nc --predict 1
      stsfusion bench stf landsat.nc --predict 4 --coarse viirs --methods coarsedelta,efast --json rows.json
    """
    from stsfusion.pipeline import benchtable, contest, shorthand
    from stsfusion.pipeline.stf import bench_stf as compare

    with plainly(), benchtable.watching(aside(json_file is not None)) as watch:
        result = compare(series, predict, shorthand.split(methods), coarse, json_file, cache, watch)
    wide().print(benchtable.table(result))
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)


@bench.command("hsi-msi")
def bench_hsi_msi(
    scenes: Annotated[
        list[Path],
        typer.Argument(metavar="SCENE", help="NetCDF with `reflectance` (band, y, x), `wavelength` in nm."),
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
    json_file: Json = None,
    cache: Cache = None,
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

    with plainly():
        protocol = PairProtocol(
            ratio=ratio,
            msi=msi,
            bands=None if bands is None else tuple(listed(bands)),
            blind=blind,
            snr_db=snr_db,
            shift=shift,
            pair=pair,
            seed=seed,
        )
        with benchtable.watching(aside(json_file is not None)) as watch:
            result = compare(
                scenes,
                shorthand.split(methods),
                protocol,
                listed(psf),
                crop=None if crop is None else parse_crop(crop),
                quick=quick,
                json_path=json_file,
                cache_dir=cache,
                progress=watch,
            )
    for board in pairtable.boards(result):
        wide().print(board)
    raise typer.Exit(FAILED if contest.failures(result["rows"]) else 0)
