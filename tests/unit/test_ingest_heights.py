"""Models of heights: what is none is refused by its own name, and what it does not know is told."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import rasterio
from deliveries import GROUND, LAT, LON, WFV, deliver, write_tiff

from stsfusion.cube.store import CubeStore
from stsfusion.errors import StsfusionError
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.heights import check_terrain, ground_heights
from stsfusion.ingest.options import Options
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.catalog import open_catalog

STEP, SIDE = 0.0002, 100


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """One small delivery of strips."""
    folder = tmp_path_factory.mktemp("heights")
    deliver(WFV, folder / "deliveries")
    catalog = build_catalog(folder / "deliveries", folder / "catalog").path
    return choose(open_catalog(catalog, anywhere=True), {"dense": "gf6-wfv"})


def model(path, heights=None, *, lon=LON, lat=LAT, crs="EPSG:4326", **said):
    """A model of level ground around a place, or of other heights."""
    values = np.full((SIDE, SIDE), GROUND, dtype="float32") if heights is None else heights.astype("float32")
    place = rasterio.Affine(STEP, 0, lon - STEP * SIDE / 2, 0, -STEP, lat + STEP * SIDE / 2)
    size = {"width": SIDE, "height": SIDE, "dtype": "float32", "transform": place, "count": 1, **said}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **size) as file:
        for band in range(size["count"]):
            file.write(values, band + 1)
    return path


def spoilt(value, share=0.5):
    """Level ground of which a part has another number."""
    heights = np.full((SIDE, SIDE), GROUND)
    heights[:, : round(share * SIDE)] = value
    return heights


def built(chosen, tmp_path, terrain, **options):
    """The valid share of the cube, the notes of its scene, and the warnings."""
    store = CubeStore(tmp_path / "cubes.zarr")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = build_cubes(chosen, store, Options(terrain=Terrain(model=terrain), **options))
    _, valid = store.read("dense", store.spec("dense").window)
    return valid.mean(), made.lineage["dense"][0]["scenes"][0]["notes"], [str(one.message) for one in told]


def test_a_model_of_all_the_ground_is_not_told_of(chosen, tmp_path):
    share, notes, told = built(chosen, tmp_path, model(tmp_path / "all.tif"))
    assert share > 0.3
    assert not notes
    assert not told


def refused(tmp_path):
    """Files that are no models of this ground, and what is said of them."""
    (tmp_path / "text.tif").write_text("not a raster")
    (tmp_path / "other.vrt").write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:4326</SRS><VRTRasterBand dataType="Float32" '
        'band="1"><SimpleSource><SourceFilename>away.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )
    return {
        tmp_path / "absent.tif": "No such file",
        tmp_path / "text.tif": "a raster of heights",
        tmp_path / "other.vrt": "a raster of heights",
        model(tmp_path / "nowhere.tif", crs=None): "a reference system",
        model(tmp_path / "two.tif", count=2): "2 bands",
        model(tmp_path / "away.tif", lon=LON + 3): f"heights of the ground of scene {WFV.name}",
        model(tmp_path / "voids.tif", spoilt(-9999, 1.0), nodata=-9999): "nothing but voids",
        model(tmp_path / "unmarked.tif", spoilt(-32768)): "-32768 to 60",
        model(tmp_path / "high.tif", spoilt(1e9)): r"60 to 1e\+09",
    }


def test_what_is_no_model_of_the_ground_is_refused_by_its_name(chosen, tmp_path):
    store = CubeStore(tmp_path / "cubes.zarr")
    for path, words in refused(tmp_path).items():
        with pytest.raises(DeliveryError) as fault:
            build_cubes(chosen, store, Options(terrain=Terrain(model=path)))
        assert path.name in fault.value.where, path.name
        assert re.search(words, str(fault.value)), str(fault.value)
    assert not store.path.exists()


def test_one_bad_pixel_between_the_places_that_are_asked_is_found(chosen, tmp_path):
    heights = spoilt(0, 0.0)
    heights[50, 50] = -32768
    (scene,) = chosen.days["dense"][0].scenes
    found = ground_heights(model(tmp_path / "one.tif", heights), scene, chosen.grid)
    assert (found.share, found.lowest, found.highest) == (1.0, -32768, GROUND)


@pytest.mark.parametrize("void", [-32768, np.nan])
def test_holes_are_told_with_their_share(chosen, tmp_path, void):
    share, notes, told = built(chosen, tmp_path, model(tmp_path / "holes.tif", spoilt(void), nodata=void))
    (note,) = notes
    assert told == [f"scene {WFV.name}: {note}"]
    lost = float(re.search(r"holes\.tif tells no height of ([\d.e+]+) % of its ground", note).group(1))
    assert lost == pytest.approx(50, abs=4)
    assert 0.1 < share < 0.6


def test_a_scene_off_the_model_is_left_out_where_that_is_allowed(chosen, tmp_path):
    with pytest.raises(StsfusionError, match=r"away\.tif"):
        built(chosen, tmp_path, model(tmp_path / "away.tif", lat=LAT + 2), allow_missing=True)


def test_a_scene_without_a_valid_pixel_is_told(chosen, tmp_path):
    home = deliver(WFV, tmp_path / "deliveries")
    for end in "123":
        (path,) = home.glob(f"*-{end}.tiff")
        with rasterio.open(path) as file:
            counts = file.read()
        path.unlink()
        counts[:] = 0
        counts[0, 0, 0] = 4095 + int(end)
        write_tiff(path, counts)
    catalog = build_catalog(tmp_path / "deliveries", tmp_path / "catalog").path
    dark = choose(open_catalog(catalog, anywhere=True), {"dense": "gf6-wfv"})
    share, notes, told = built(dark, tmp_path, model(tmp_path / "all.tif"))
    assert share < 0.001
    assert any("nothing valid in" in note for note in notes)
    assert any("nothing valid in" in one for one in told)


def test_one_height_needs_no_file():
    check_terrain(None)
    check_terrain(Terrain(height=60.0))
