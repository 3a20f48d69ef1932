"""A project of few dates and four tiles, whose run takes a second, and what its results are compared by."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 - gives cubes their .rio
import xarray as xr
import yaml
from faults.forks import Flight, Forks

from stsfusion.testing import tiny_problem

__all__ = ["STARTS", "Project", "contents", "series_of", "write_cube"]

STARTS = {"": "new", "old": "renewed"}
"""What is there before a run, and what an undisturbed one makes of it."""

_SAID = {
    "old": ("--set", "fuse.method=bicubic"),
    "new": (),
    "renewed": ("--overwrite",),
}
"""What is said to make each: a series of other settings, one of the recipe's, one in place of the other."""

_EPOCH = np.datetime64("2022-03-01")


@dataclass
class Project:
    """A recipe with its input, and output folders beside it, one for each fault."""

    folder: Path
    """Where all of it lies."""

    forks: Forks
    """Who runs it."""

    made: int = 0
    """Output folders so far."""

    kept: dict[str, Path] = field(default_factory=dict)
    """Finished outputs by name, to begin from and to compare with."""

    flights: dict[str, Flight] = field(default_factory=dict)
    """The runs that made them."""

    @classmethod
    def create(cls, folder: Path, forks: Forks) -> Project:
        """Write input and recipe."""
        problem = tiny_problem(size=48, bands=6, dates=5, roles=("rich", "sharp"), gaps=True)
        for role in problem.observations:
            write_cube(folder / f"{role}.nc", problem, role)
        recipe = {
            "cubes": {role: f"{role}.nc" for role in problem.observations},
            "roles": {role: {"psf": "gaussian"} for role in problem.observations},
            "fit": {"tiles": 2, "size": 24},
            "fuse": {"method": "gsa", "tile": 24, "executor": "inline"},
            "evaluate": {"compare": []},
            "report": {"pictures": False},
        }
        (folder / "tiny.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        return cls(folder, forks)

    @property
    def recipe(self) -> Path:
        """Its recipe."""
        return self.folder / "tiny.yaml"

    def words(self, out: Path, name: str, *more: str) -> list[str]:
        """The command that makes one of the series in a folder."""
        return ["run", str(self.recipe), "-q", "--set", f"output={out}", *_SAID[name], *more]

    def fresh(self, start: str = "") -> Path:
        """A new output folder: empty, or a copy of a finished one."""
        self.made += 1
        out = self.folder / f"out-{self.made:04d}"
        if start:
            shutil.copytree(self.kept[start], out, symlinks=True)
        return out

    def start(self, out: Path, name: str, *more: str, **options: Any) -> Flight:
        """Let a fork make one of the series, disturbed as `options` say."""
        return self.forks.start(*self.words(out, name, *more), **options)

    def run(self, out: Path, name: str, *more: str, **options: Any) -> Flight:
        """The same, and wait for its end."""
        flight = self.start(out, name, *more, **options)
        flight.wait()
        return flight

    def told(self, out: Path) -> str:
        """What `status` says of a folder: which tiles failed, and why."""
        return self.forks.run("status", self.recipe, "--set", f"output={out}").printed()

    def keep(self, name: str, start: str = "") -> Path:
        """A finished output under this name, made once by an undisturbed run."""
        if name not in self.kept:
            out = self.fresh(start)
            flight = self.run(out, name, watch={"root": str(out)})
            assert flight.code == 0, flight.printed()
            self.kept[name], self.flights[name] = out, flight
        return self.kept[name]

    def drop(self, out: Path) -> None:
        """Take an output folder away that nobody needs any more."""
        shutil.rmtree(out)


def write_cube(path: Path, problem: Any, role: str, dates: slice = slice(None)) -> None:
    """A role of a tensor problem as a NetCDF file in UTM."""
    seen = problem.observations[role]
    bands, size = seen.data.shape[1], seen.data.shape[-1]
    centres = (np.arange(size) + 0.5) * 10.0 * seen.ratio
    days = problem.target.days.numpy()[seen.dates]
    valid = np.broadcast_to(seen.valid.numpy(), seen.data.shape)
    width = 30.0 if role == "rich" else 80.0
    cube = xr.DataArray(
        np.where(valid, seen.data.numpy(), np.nan).astype("float32"),
        dims=("time", "band", "y", "x"),
        coords={
            "time": _EPOCH + (days * 86400e3).astype("timedelta64[ms]"),
            "band": [f"{role[0]}{i}" for i in range(bands)],
            "wavelength": ("band", np.linspace(450, 950, bands), {"units": "nm"}),
            "fwhm": ("band", np.full(bands, width), {"units": "nm"}),
            "y": 4_000_000.0 - centres,
            "x": 500_000.0 + centres,
        },
        name="reflectance",
        attrs={"units": "1"},
    ).rio.write_crs("EPSG:32650")
    encoding = {"reflectance": {"_FillValue": -9999.0}}
    cube.isel(time=dates).to_netcdf(path, engine="h5netcdf", encoding=encoding)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its place."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def series_of(store: Path) -> str | None:
    """A digest of what xarray shows of a published series: values, labels, flags, attributes; None: nothing.

    It reads through another library than the one that wrote, and knows nothing of how the store is laid out.
    """
    if not (store / "zarr.json").exists():
        return None
    found = hashlib.sha256()
    with xr.open_zarr(store, chunks=None, consolidated=True, decode_cf=False) as series:
        for name in sorted(map(str, series.variables)):
            variable = series.variables[name]
            values = variable.values
            data = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
            found.update(f"{name} {variable.dims} {variable.shape}".encode() + data)
            found.update(json.dumps(variable.attrs, sort_keys=True, default=str).encode())
        found.update(json.dumps(series.attrs, sort_keys=True, default=str).encode())
    return found.hexdigest()
