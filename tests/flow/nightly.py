"""A series that grows night by night: cubes of a small scene, what comes in each night, and who watches."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - gives cubes their .rio
import xarray as xr
import yaml
from small_project import here

from stsfusion.pipeline import ingesting, ourcode, prints

EPOCH = np.datetime64("2022-03-01")
SIDE, RATIO = 24, {"rich": 3, "sharp": 1, "dense": 2}
NM = {"rich": np.linspace(420, 980, 8), "sharp": np.linspace(450, 950, 4), "dense": np.linspace(450, 950, 4)}

FIRST_DATES = {"rich": {0: 0, 12: 0}, "sharp": {0: 0, 12: 0}, "dense": {0: 0, 4: 0, 8: 0, 12: 0}}
"""What has come in before the first night: {role: {day: times processed anew}}."""


def truth(day, nm, seed=0):
    """(band, y, x) of one day: a field of smooth spectra that ripens, with fine texture."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    dice = np.random.default_rng(seed)
    plots = dice.uniform(0.1, 0.5, (6, 6)).repeat(4, 0).repeat(4, 1)
    ripe = 0.5 + 0.4 * np.sin(day / 17 + 2 * x)
    rise = 1 / (1 + np.exp(-(nm[:, None, None] - 710) / 40))
    return (0.05 + plots * (ripe * rise + 0.15 * (1 - ripe)) + 0.02 * np.cos(9 * y)).astype("float32")


def image(role, day, again=0):
    """(band, y, x) as a sensor saw it; `again` counts how often it was processed anew."""
    fine, ratio = truth(day, NM[role]), RATIO[role]
    seen = fine.reshape(len(fine), SIDE // ratio, ratio, SIDE // ratio, ratio).mean((2, 4))
    return seen * np.float32(1 + 0.01 * again)


def deliver(folder, seen):
    """Write the cubes of what has come in: {role: {day: times processed anew}}."""
    for role, days in seen.items():
        order = sorted(days)
        step, size = 10.0 * RATIO[role], SIDE // RATIO[role]
        centres = (np.arange(size) + 0.5) * step
        cube = xr.DataArray(
            np.stack([image(role, day, days[day]) for day in order]),
            dims=("time", "band", "y", "x"),
            coords={
                "time": EPOCH + np.array(order, "timedelta64[D]").astype("timedelta64[ms]"),
                "band": [f"{role}{i}" for i in range(len(NM[role]))],
                "wavelength": ("band", NM[role], {"units": "nm"}),
                "fwhm": ("band", np.full(len(NM[role]), 60.0), {"units": "nm"}),
                "y": 4_000_000.0 - centres,
                "x": 500_000.0 + centres,
            },
            name="reflectance",
            attrs={"units": "1"},
        ).rio.write_crs("EPSG:32650")
        beside = folder / f"{role}.new"
        cube.to_netcdf(beside, engine="h5netcdf", encoding={"reflectance": {"_FillValue": -9999.0}})
        beside.replace(folder / f"{role}.nc")


def recipe_in(folder, method="gsa", neighbours=1, roles=tuple(RATIO)):
    """A recipe on these cubes."""
    recipe = {
        "cubes": {role: f"{role}.nc" for role in roles},
        "roles": {role: {"psf": "gaussian"} for role in roles},
        "fuse": {"method": method, "tile": 12, "executor": "inline", "neighbours": neighbours},
        "evaluate": {"compare": []},
        "report": {"pictures": False},
        "output": str(folder / "out"),
    }
    path = folder / "nightly.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def night(recipe, *words):
    """One update, in this process."""
    done = here("update", recipe, "-q", *words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@contextmanager
def one_version():
    """The code of all nights counts as the same, though someone may be at work on it meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ourcode, "_looked", {})
        for module in (ourcode, prints):
            patch.setattr(module, "fingerprint_of_code", lambda *things: "the same")
            patch.setattr(module, "fingerprint_of_parts", lambda *things: "the same")
        patch.setattr(ingesting, "fingerprint_of_parts", lambda *things: "the same")
        yield


DEADLY = """
import os, sys
import torch
torch.set_num_threads(1)
from stsfusion.cli import app
from stsfusion.pipeline import fusing, ourcode, prints
for module in (ourcode, prints):
    module.fingerprint_of_code = module.fingerprint_of_parts = lambda *things: "the same"
fuse, left = fusing.fuse_tile, [int(sys.argv[2])]

def deadly(*words):
    if not left[0]:
        os.kill(os.getpid(), 9)
    left[0] -= 1
    return fuse(*words)

fusing.fuse_tile = deadly
app(["update", sys.argv[1], "-q"])
"""


def killed_night(recipe, after):
    """One update in a process of its own, killed when so many tiles are done; gives how it ended."""
    return subprocess.run([sys.executable, "-c", DEADLY, str(recipe), str(after)], check=False).returncode


def shown(series):
    """What a reader sees: days, values, and how pixels came to be."""
    found = xr.open_zarr(series)
    days = ((found.time.values - EPOCH) / np.timedelta64(1, "D")).astype(int).tolist()
    return days, found.reflectance.values, found.qa.values


def traces(series):
    """What tells whether any file of the series is another than before; None while it changes."""
    try:
        return {
            (entry.path, (known := entry.stat()).st_ino, known.st_size, known.st_mtime_ns)
            for folder, _, _ in os.walk(series)
            for entry in os.scandir(folder)
        }
    except FileNotFoundError:
        return None


@contextmanager
def watched(series, pause=0.01):
    """Read the series whenever a file of it changes; gives what was wrong, and how many dates were read."""
    wrong, looks, over, known, read = [], [], threading.Event(), set(), None

    def watch():
        nonlocal read
        while not over.wait(pause):
            found = traces(series)
            if found is not None and found == read:
                continue
            if not (series / "zarr.json").exists() and not known:
                continue
            try:
                before = (series / "zarr.json").read_bytes()
                days, values, qa = shown(series)
                if (series / "zarr.json").read_bytes() != before:
                    continue  # replaced while it was read: it is opened anew
            except Exception as error:
                wrong.append(repr(error))
                continue
            looks.append(len(days))
            read = found
            if days != sorted(set(days)) or known - set(days):
                wrong.append(f"dates {sorted(known)} became {days}")
            if np.isnan(values).any() or not qa.all():
                wrong.append(f"gaps among {days}")
            known.update(days)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield wrong, looks
    finally:
        over.set()
        watcher.join()


def place(folder):
    return Path(folder) / "out" / "fused.zarr"
