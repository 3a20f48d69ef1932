"""Dead rows and columns of raw images are found, band by band, and become gaps; ground is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from deliveries import GROUND, WFV, deliver, write_tiff

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.deadlines import dead_lines
from stsfusion.ingest.mosaic import MARKS
from stsfusion.ingest.options import Options
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.catalog import open_catalog

DATA = Path(os.environ.get("STSFUSION_DATA", Path(__file__).parents[2] / "../shared/data"))


def scene(rows=240, cols=200, noise=3.0, seed=0):
    """(y, x) counts of hills, fields and a lake, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    values = 400 + 120 * np.sin(x / 17) * np.cos(y / 23) + 90 * ((x // 30 + y // 40) % 2)
    values[(x - 60) ** 2 + (y - 150) ** 2 < 40**2] = 60
    return values + rng.normal(0, noise, values.shape)


def found_in(path, *layers, top=4095, **profile):
    counts = np.clip(np.rint(np.stack(layers)), 0, 4095).astype(np.uint16)
    write_tiff(path / "raw.tif", counts, **profile)
    names = [f"B{i}" for i in range(len(layers))]
    with open_raster(path / "raw.tif") as raster:
        return {one.band: (one.rows, one.columns) for one in dead_lines(raster, "", names, top=top)}


@pytest.mark.parametrize("noise", [0.0, 3.0, 30.0])
def test_ground_holds_no_dead_line(tmp_path, noise):
    assert found_in(tmp_path, *(scene(noise=noise, seed=seed) for seed in range(3))) == {}


def test_a_coast_along_the_lines_is_no_dead_line(tmp_path):
    coast = scene()
    coast[100:] = 12
    coast[50:70] = 300
    stripes = scene() * (1 + 0.1 * (np.arange(200) % 2))
    flat = np.full((240, 200), 77.0)
    dark = 5 + (scene() > 520)
    fill = scene()
    fill[:, :9], fill[-7:] = 0, 0
    sloping = scene() * np.minimum(1, (np.arange(200) + 1) / 6)
    assert found_in(tmp_path, coast, stripes, flat, dark, fill, sloping) == {}


def test_lines_that_hold_nothing_of_the_ground_are_found_in_their_band(tmp_path):
    stuck, noisy, off, bright, none = (scene(seed=seed) for seed in range(5))
    stuck[30], stuck[:, 7], stuck[0] = 37, 510, 480
    noisy[[90, 91, 92]] = 430 + np.random.default_rng(9).normal(0, 1, (3, 200))
    off[:, 120] *= 0.3
    bright[200] = 2.5 * bright[200] + 10
    none[55], none[:, 199 - 40] = 0, 0
    assert found_in(tmp_path, stuck, scene(), noisy, off, bright, none) == {
        "B0": ((0, 30), (7,)),
        "B2": ((90, 91, 92), ()),
        "B3": ((), (120,)),
        "B4": ((200,), ()),
        "B5": ((55,), (159,)),
    }


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"interleave": "pixel"},
        {"tiled": True, "blockxsize": 64, "blockysize": 32},
        {"tiled": True, "blockxsize": 64, "blockysize": 32, "interleave": "pixel", "compress": "deflate"},
    ],
)
def test_however_the_file_is_laid_out_blocks_make_no_difference(tmp_path, monkeypatch, profile):
    one, other = scene(seed=1), scene(seed=2)
    one[111], other[:, 63], other[128] = 37, 37, 600
    monkeypatch.setattr("stsfusion.ingest.deadlines._BLOCK", 1)
    assert found_in(tmp_path, one, other, **profile) == {"B0": ((111,), ()), "B1": ((128,), (63,))}


def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    """No read is larger than a block of the budget, however tall the image."""
    from stsfusion.ingest.raster import Raster

    sizes = []
    read = Raster.read

    def counting(self, *where):
        sizes.append(read(self, *where).size)
        return read(self, *where)

    monkeypatch.setattr(Raster, "read", counting)
    monkeypatch.setattr("stsfusion.ingest.deadlines._BLOCK", 4096)
    tall = np.concatenate([scene(seed=seed) for seed in range(4)])
    tall[333] = 37
    assert found_in(tmp_path, tall)["B0"][0] == (333,)
    assert max(sizes) <= 4096


def built(folder, name):
    catalog = build_catalog(folder / "deliveries", folder / f"{name}-catalog").path
    chosen = choose(open_catalog(catalog, anywhere=True), {"dense": "gf6-wfv"})
    store = CubeStore(folder / name)
    return store, build_cubes(chosen, store, Options(terrain=Terrain(height=GROUND), clouds=False))


def test_dead_lines_of_a_delivery_become_flagged_gaps(tmp_path):
    """The cube is the clean one but for pixels on the dead lines, which are gaps, and those beside them."""
    order = WFV.but(lines=90, samples=80)
    home = deliver(order, tmp_path / "deliveries")
    clean, told = built(tmp_path, "clean.zarr")
    assert "dead_lines" not in told.lineage["dense"][0]["scenes"][0]
    path = home / f"{order.name}-2.tiff"
    with rasterio.open(path) as file:
        counts = file.read()
    counts[3, 40], counts[:, :, 33] = 37, 37
    write_tiff(tmp_path / "new.tiff", counts)
    (tmp_path / "new.tiff").replace(path)
    store, told = built(tmp_path, "cubes.zarr")
    ((scene_told,),) = [day["scenes"] for day in told.lineage["dense"]]
    dead = scene_told["dead_lines"]
    assert (dead["rows"], dead["columns"]) == (1, 8)
    assert dead["bands"][3] == {"image": "2", "band": "B4", "rows": [40], "columns": [33]}
    assert "1 dead rows and 8 dead columns of single bands masked" in scene_told["steps"]
    window = store.spec("dense").window
    (was, known), (now, left) = clean.read("dense", window), store.read("dense", window)
    flagged = (store.read_qa("dense", window) & MARKS["dead"]) > 0
    lost = known & ~left
    assert np.array_equal(lost.any(axis=1), flagged)
    assert 30 < lost[0, 3].sum() < 400
    assert lost[0, 0].sum() < lost[0, 3].sum()
    assert np.abs(now - was)[left].max() < 0.02


@pytest.mark.skipif(not (DATA / "packages").is_dir(), reason="the test packages are not here")
def test_the_test_packages_hold_no_dead_line(tmp_path):
    import tarfile

    for archive in sorted((DATA / "packages").glob("*.tar.gz")):
        with tarfile.open(archive) as file:
            for member in file.getmembers():
                if not member.name.endswith((".tif", ".tiff")):
                    continue
                path = tmp_path / Path(member.name).name
                path.write_bytes(file.extractfile(member).read())
                with open_raster(path) as raster:
                    names = [f"B{i}" for i in range(raster.shape[0])]
                    assert dead_lines(raster, "", names, top=4095) == (), path.name
