"""Shadows of clouds: found where the sun throws them, gaps in the cube, and the same whatever the tiles."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from deliveries import GAINS, GROUND, VNIC, Camera, deliver, sun, write_tiff
from rasterio.transform import Affine

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.mosaic import MARKS, cleared
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Piece
from stsfusion.ingest.readers import Readers
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.shade import cast, shade_of
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

FLAT = Terrain(height=GROUND)
ORDER = VNIC.but(lines=130, samples=120)
HEIGHT = 300.0
TABLE = dict.fromkeys(load_sensor("zy1-02d-vnic").names, GAINS["MUX"])
OWN = {"zy1-02d-vnic": GainsFile(sensor="zy1-02d-vnic", source="a test", unit="W m-2 sr-1 um-1", gains=TABLE)}


def square(row, col, side, shape):
    mask = np.zeros(shape, dtype=bool)
    mask[row : row + side, col : col + side] = True
    return mask


def test_a_shadow_lies_where_its_cloud_throws_it():
    shape = 80, 90
    cloud = square(50, 50, 9, shape) | square(10, 70, 6, shape)
    shadow = square(30, 40, 9, shape)
    pond = square(60, 5, 12, shape)
    ground = ~cloud
    found = cast(cloud, ground, (shadow | pond) & ground, (-0.02, -0.01))
    assert np.array_equal(found, square(29, 39, 11, shape))
    assert not cast(cloud, ground, pond & ground, (-0.02, -0.01)).any()
    assert not cast(cloud, ground, (shadow | pond) & ground, (0.02, 0.01)).any()
    winding = np.zeros(shape, dtype=bool)
    winding[40:60:2, 40:60], winding[40:60:4, 40], winding[41:59:4, 59], winding[43:59:4, 40] = 1, 1, 1, 1
    dark = np.roll(winding, (-20, -10), axis=(0, 1))
    assert cast(winding, ~winding, dark & ~winding, (-0.02, -0.01))[dark].all()


@pytest.fixture(scope="module")
def clouded(tmp_path_factory):
    """A delivery with a cloud and its shadow, as chosen scenes; (y, x) raw places of both."""
    folder = tmp_path_factory.mktemp("clouded")
    home = deliver(ORDER, folder / "deliveries")
    camera = Camera(ORDER.lines, ORDER.samples, 10)
    zenith, azimuth, _ = sun(ORDER.utc, ORDER.lon, ORDER.lat)
    away = HEIGHT * math.tan(math.radians(zenith))
    east, north = -away * math.sin(math.radians(azimuth)), -away * math.cos(math.radians(azimuth))
    turn = math.radians(camera.turned)
    right = (east * math.cos(turn) - north * math.sin(turn)) / 10
    down = (-east * math.sin(turn) - north * math.cos(turn)) / 10
    place = 95, 60
    path = home / f"{ORDER.name}-MUX.tiff"
    with rasterio.open(path) as file:
        counts = file.read()
    cloud = square(*place, 18, counts.shape[1:])
    shadow = square(place[0] + round(down), place[1] + round(right), 18, counts.shape[1:])
    bright = counts.max(axis=(1, 2)) * 0 + [3300, 3000, 2600, 1700, 3000, 2800, 2300, 1400]
    counts[:, cloud] = bright[:, None]
    counts[:, shadow] = counts[:, shadow] // 4
    write_tiff(folder / "new.tiff", counts.astype(np.uint16))
    (folder / "new.tiff").replace(path)
    catalog = open_catalog(build_catalog(folder / "deliveries", folder / "catalog").path, anywhere=True)
    return folder, choose(catalog, {"sharp": "zy1-02d-vnic"}), (cloud, shadow)


def test_clouds_and_their_shadows_become_gaps_with_flags(clouded):
    folder, chosen, (cloud, shadow) = clouded
    store = CubeStore(folder / "cubes.zarr")
    told = build_cubes(chosen, store, Options(terrain=FLAT, gains=OWN)).lineage
    assert told["sharp"][0]["scenes"][0]["steps"][-1] == "thick cloud and its shadow masked by simple tests"
    window = store.spec("sharp").window
    qa, valid = store.read_qa("sharp", window)[0], store.read("sharp", window)[1][0]
    in_shadow, in_cloud = ((qa & MARKS[name]) > 0 for name in ("shadow", "cloud"))
    assert in_cloud.sum() == pytest.approx(cloud.sum(), rel=0.15)
    assert in_shadow.sum() == pytest.approx(shadow.sum(), rel=0.2)
    assert not valid[:, in_shadow | in_cloud].any()
    assert valid.any(axis=0).sum() > 0.5 * valid[0].size
    plain = CubeStore(folder / "plain.zarr")
    build_cubes(chosen, plain, Options(terrain=FLAT, gains=OWN, clouds=False))
    assert not (plain.read_qa("sharp", window) & (MARKS["shadow"] | MARKS["cloud"])).any()


def test_tiles_of_any_size_tell_the_same_shadow(clouded):
    _, chosen, _ = clouded
    scene = chosen.days["sharp"][0].scenes[0]
    piece = Piece(scene, Path(scene.delivery), FLAT)
    with Readers(OWN) as readers:
        (member,) = readers.members([piece])
        shade = shade_of(member.view, chosen.grid)
        assert shade is not None
        (member,) = readers.members([Piece(scene, Path(scene.delivery), FLAT, shade=shade)])
        rows, cols = chosen.grid.shape
        whole = cleared(member, chosen.grid, (0, rows), (0, cols), True).flags
        parts = np.zeros_like(whole)
        for top in range(0, rows, 31):
            for left in range(0, cols, 47):
                place = (top, min(top + 31, rows)), (left, min(left + 47, cols))
                parts[slice(*place[0]), slice(*place[1])] = cleared(member, chosen.grid, *place, True).flags
    assert np.array_equal(parts, whole)


def mask_of(folder, chosen, values, east=0.0):
    a, b, c, d, e, f = chosen.grid.transform
    write_tiff(
        folder / "mask.tif", values[None], transform=Affine(a, b, c + east, d, e, f), crs=chosen.grid.crs
    )
    return folder / "mask.tif"


def test_beyond_a_mask_and_where_it_is_unknown_the_test_goes_on(clouded, tmp_path):
    _, chosen, _ = clouded
    store = CubeStore(tmp_path / "cubes.zarr")
    name = chosen.days["sharp"][0].scenes[0].name.lower()
    values = np.full((chosen.grid.shape[0] // 2, chosen.grid.shape[1]), 255, dtype=np.uint8)
    values[:20], values[20:30] = 0, 1
    options = Options(terrain=FLAT, gains=OWN, masks={name: mask_of(tmp_path, chosen, values)})
    steps = build_cubes(chosen, store, options).lineage["sharp"][0]["scenes"][0]["steps"]
    assert steps[-1].endswith("simple tests where that mask says nothing")
    qa = store.read_qa("sharp", store.spec("sharp").window)[0]
    cloud = (qa & MARKS["cloud"]) > 0
    assert cloud[20:30].all()
    assert not cloud[:20].any()
    assert cloud[40:].any()


def test_a_mask_of_no_scene_or_beside_its_scene_is_refused(clouded, tmp_path):
    _, chosen, _ = clouded
    name = chosen.days["sharp"][0].scenes[0].name
    clear = np.zeros(chosen.grid.shape, dtype=np.uint8)
    path = mask_of(tmp_path, chosen, clear, east=90_000.0)
    for masks, words in (({"absent": path}, f"one of the scenes {name}"), ({name: path}, "lies on scene")):
        with pytest.raises(DeliveryError, match=words):
            build_cubes(
                chosen, CubeStore(tmp_path / "no.zarr"), Options(terrain=FLAT, gains=OWN, masks=masks)
            )
