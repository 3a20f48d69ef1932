"""A small run on a user's own cubes: three NetCDF files and a recipe."""

import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401 - gives cubes their .rio
import xarray as xr
import yaml
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.testing import tiny_problem

EPOCH = np.datetime64("2022-03-01")
BANDS = {"rich": [f"h{i:02d}" for i in range(20)], "sharp": list("abcd"), "dense": list("vwxyz")}


def cube_of(problem, role, pixel=10.0):
    """A role of a tensor problem as a labelled cube in UTM."""
    seen = problem.observations[role]
    size = seen.data.shape[-1]
    step = pixel * seen.ratio
    centres = (np.arange(size) + 0.5) * step
    days = problem.target.days.numpy()[seen.dates]
    nm = (
        np.linspace(420, 980, seen.data.shape[1])
        if role == "rich"
        else np.linspace(450, 950, seen.data.shape[1])
    )
    valid = np.broadcast_to(seen.valid.numpy(), seen.data.shape)
    return xr.DataArray(
        np.where(valid, seen.data.numpy(), np.nan).astype("float32"),
        dims=("time", "band", "y", "x"),
        coords={
            "time": EPOCH + (days * 86400e3).astype("timedelta64[ms]"),
            "band": BANDS[role] if len(BANDS[role]) == len(nm) else BANDS["sharp"],
            "wavelength": ("band", nm, {"units": "nm"}),
            "fwhm": ("band", np.full(len(nm), 30.0 if role == "rich" else 80.0), {"units": "nm"}),
            "y": 4_000_000.0 - centres,
            "x": 500_000.0 + centres,
        },
        name="reflectance",
        attrs={"units": "1"},
    ).rio.write_crs("EPSG:32650")


@lru_cache
def cubes():
    """{role: the bytes of its NetCDF file}, written once for all projects."""
    problem, encoding = tiny_problem(size=72, gaps=True), {"reflectance": {"_FillValue": -9999.0}}
    with tempfile.TemporaryDirectory() as folder:
        files = {role: Path(folder) / f"{role}.nc" for role in problem.observations}
        for role, file in files.items():
            cube_of(problem, role).to_netcdf(file, engine="h5netcdf", encoding=encoding)
        return {role: file.read_bytes() for role, file in files.items()}


def project_in(folder, tile=12):
    """Write three cubes and a recipe into a folder; gives the recipe's path."""
    for role, held in cubes().items():
        (folder / f"{role}.nc").write_bytes(held)
    recipe = {
        "cubes": {role: f"{role}.nc" for role in cubes()},
        "roles": {role: {"psf": "gaussian"} for role in cubes()},
        "fuse": {"method": "gsa", "tile": tile, "executor": "inline"},
        "evaluate": {"compare": []},
        "report": {"pictures": False},
        "output": str(folder / "out"),
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def here(*words):
    """Run the command line in this process: quicker, and as good where no process must be killed."""
    return CliRunner().invoke(app, list(map(str, words)))


def stsfusion(*words, cwd=None, **options):
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "stsfusion.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, timeout=240, **options
    )


def bytes_of(store: Path):
    """Every file of a store, by its place."""
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
