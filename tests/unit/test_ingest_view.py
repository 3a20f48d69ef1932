"""Whole scenes on the grid: strips and detectors together, masks kept, tiles equal to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from deliveries import AHSI, GAINS, GROUND, LAT, LON, VNIC, WFV, deliver, ground, spectra, write_tiff
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.detectors import seam
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import envi_scene
from stsfusion.ingest.mask import Flag, clouds, user_mask
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.register import register
from stsfusion.ingest.view import open_view
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.sensor import load_sensor

FLAT = Terrain(height=GROUND)


def scene_of(home, sensor, **options):
    return next(
        product_scene(p, home, **options)
        for p in products(files_below(home, Limits()))
        if p.sensor.name == sensor
    )


def grid_of(pixel, rows, cols):
    (x,), (y,) = transform("EPSG:4326", "EPSG:32650", [LON], [LAT])
    corner = round(x / 30) * 30 - cols * pixel / 2, round(y / 30) * 30 + rows * pixel / 2
    return Grid((rows, cols), pixel, corner, "EPSG:32650")


def truth(grid, sensor, bands, season):
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = transform("EPSG:32650", "EPSG:4326", x.ravel(), y.ravel())
    shares = ground(np.reshape(lon, x.shape), np.reshape(lat, x.shape), season)
    return np.einsum("kb,kyx->byx", spectra(load_sensor(sensor).pick(bands)), shares)


CASES = {
    "gf6-wfv": (WFV.but(lines=60, samples=50), 10.0, (60, 160), 0.52),
    "zy1-02d-ahsi": (AHSI.but(lines=40, samples=40), 30.0, (30, 30), 0.5),
    "zy1-02d-vnic": (VNIC.but(lines=80, samples=80), 10.0, (60, 60), 0.5),
}


def gains_of(sensor):
    if sensor != "zy1-02d-vnic":
        return None
    table = dict.fromkeys(load_sensor(sensor).names, GAINS["MUX"])
    return GainsFile(sensor=sensor, source="a test", unit="W m-2 sr-1 um-1", gains=table)


@pytest.mark.parametrize("sensor", CASES)
def test_scenes_come_out_as_their_ground(tmp_path, sensor):
    order, pixel, shape, season = CASES[sensor]
    home = deliver(order, tmp_path)
    grid = grid_of(pixel, *shape)
    with open_view(scene_of(home, sensor), home, terrain=FLAT, gains=gains_of(sensor)) as view:
        part = view.tile(grid, (0, shape[0]), (0, shape[1]))
        assert view.bands == load_sensor(sensor).names
        expected = truth(grid, sensor, view.bands, season)
        assert part.valid.mean() > 0.9
        assert np.sqrt(np.mean((part.reflectance - expected)[part.valid] ** 2)) <= 0.003
        assert not part.reflectance[~part.valid].any()
        assert not part.flags[part.valid.all(axis=0)].any()
        pieces = np.zeros_like(part.reflectance)
        for top in range(0, shape[0], 17):
            for left in range(0, shape[1], 23):
                rows, cols = (top, min(top + 17, shape[0])), (left, min(left + 23, shape[1]))
                pieces[:, slice(*rows), slice(*cols)] = view.tile(grid, rows, cols).reflectance
        assert np.array_equal(pieces, part.reflectance)


def test_strips_together_see_more_than_each(tmp_path):
    order = WFV.but(lines=60, samples=50)
    home = deliver(order, tmp_path)
    grid = grid_of(10.0, 40, 180)
    shares = []
    for keep in ("123", "1", "2", "3"):
        for end in "123":
            path = home / f"{order.name}-{end}.tiff"
            if end not in keep:
                path.rename(path.with_suffix(".away"))
        with open_view(scene_of(home, "gf6-wfv", allow_missing=True), home, terrain=FLAT) as view:
            shares.append(view.tile(grid, (0, 40), (0, 180)).valid.mean())
        for path in home.glob("*.away"):
            path.rename(path.with_suffix(".tiff"))
    assert shares[0] > 1.7 * max(shares[1:])
    assert shares[0] < sum(shares[1:])


def off_by(home, end, old, new):
    path = next(home.glob(f"*{end}"))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_scene_that_lies_beside_the_reference_is_moved_back(tmp_path):
    """An RPC wrong by 1.7 lines: measured against the right image, and put right by what was measured."""
    order = VNIC.but(lines=160, samples=160)
    grid = grid_of(10.0, 120, 120)
    tiles, views = [], []
    for folder in ("right", "wrong"):
        home = deliver(order, tmp_path / folder)
        if folder == "wrong":
            off_by(home, "MUX.rpb", "lineOffset = 80.0", "lineOffset = 81.7")
        views.append((scene_of(home, "zy1-02d-vnic"), home))
    given = {"terrain": FLAT, "gains": gains_of("zy1-02d-vnic")}
    with open_view(*views[0], **given) as right, open_view(*views[1], **given) as wrong:
        whole = (0, 120), (0, 120)
        tiles = [view.tile(grid, *whole) for view in (right, wrong)]
        found = register(*(tile.reflectance[3].astype(float) for tile in tiles))
        assert found.length == pytest.approx(1.7, abs=0.1)
        mended = wrong.corrected(east=found.right * 10.0, north=-found.down * 10.0).tile(grid, *whole)
    both = tiles[0].valid & mended.valid
    before = np.abs(tiles[1].reflectance - tiles[0].reflectance)[both].mean()
    assert np.abs(mended.reflectance - tiles[0].reflectance)[both].mean() < 0.1 * before


def test_the_detectors_overlap_tells_ratio_and_shift(tmp_path):
    sensor = load_sensor("zy1-02d-ahsi")
    order = AHSI.but(lines=90, samples=90)
    home = deliver(order, tmp_path)
    off_by(home, "_SW.rpb", "sampOffset = 46.3", "sampOffset = 46.7")
    grid = grid_of(30.0, 72, 72)
    with open_view(scene_of(home, "zy1-02d-ahsi"), home, terrain=FLAT) as view:
        brighter = view.corrected(gain=1 / 1.06, layer="SW")
        part = brighter.tile(grid, (0, 72), (0, 72))
        found = seam(part.reflectance, part.valid, view.bands, sensor)
        assert found.status == "good"
        assert found.ratio == pytest.approx(1.06, abs=0.01)
        assert found.shift.length == pytest.approx(0.4, abs=0.1)
        east, north = found.shift.right * 30.0, -found.shift.down * 30.0
        mended = brighter.corrected(east=east, north=north, gain=found.ratio, layer="SW")
        part = mended.tile(grid, (0, 72), (0, 72))
    again = seam(part.reflectance, part.valid, view.bands, sensor)
    assert again.ratio == pytest.approx(1.0, abs=0.01)
    assert again.shift.length < 0.1
    assert seam(part.reflectance[:70], part.valid[:70], view.bands[:70], sensor).status == "no overlap"
    assert seam(part.reflectance * 0, part.valid, view.bands, sensor).status == "too dark"
    twice = seam(np.where(np.arange(166)[:, None, None] < 76, part.reflectance, 2 * part.reflectance),
                 part.valid, view.bands, sensor)  # fmt: skip
    assert twice.status == "uneven"


def test_a_cube_made_elsewhere_is_seen_as_it_is(tmp_path):
    grid = grid_of(30.0, 20, 20)
    west, north = grid.origin
    names = ("VN10", "VN30", "SW40")
    stored = np.arange(3 * 400).reshape(3, 20, 20).astype("<i2") + 100
    stored[:, 5, 5] = -999
    path = tmp_path / f"{AHSI.name}_rc_fc.hdr"
    centres = ", ".join(str(band.wavelength) for band in load_sensor("zy1-02d-ahsi").pick(names))
    path.write_text(
        "ENVI\nsamples = 20\nlines = 20\nbands = 3\nheader offset = 0\ndata type = 2\ninterleave = bsq\n"
        f"wavelength = {{{centres}}}\nreflectance scale factor = 10000\ndata ignore value = -999\n"
        f"map info = {{UTM, 1, 1, {west}, {north}, 30, 30, 50, North, WGS-84}}\n"
    )
    path.with_suffix(".dat").write_bytes(stored.tobytes())
    with open_view(envi_scene(path, tmp_path), tmp_path) as view:
        assert view.bands == names
        assert view.provenance == (f"{path.stem}: reflectance as delivered",)
        part = view.tile(grid, (0, 20), (0, 20), kernel="nearest")
    there = stored != -999
    assert np.array_equal(part.valid, there)
    assert np.allclose(part.reflectance[there], stored[there] * 1e-4, rtol=1e-6)
    assert part.flags[5, 5] == Flag.NO_DATA


def test_provenance_names_the_gains(tmp_path):
    home = deliver(WFV, tmp_path)
    with open_view(scene_of(home, "gf6-wfv"), home, terrain=FLAT) as view:
        assert len(view.provenance) == 3
        assert "published for 2021" in view.provenance[0]


def test_what_was_not_catalogued_is_not_opened(tmp_path):
    home = deliver(WFV, tmp_path)
    scene = scene_of(home, "gf6-wfv")
    path = home / f"{WFV.name}-2.tiff"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DeliveryError, match="as recorded"), open_view(scene, home, terrain=FLAT):
        pass


def test_a_raw_scene_needs_a_height(tmp_path):
    home = deliver(WFV, tmp_path)
    with pytest.raises(DeliveryError, match="State the height"), open_view(scene_of(home, "gf6-wfv"), home):
        pass


def spoilt(tmp_path):
    """A scene with a saturated block, a band without data in another, and fill."""
    order = VNIC.but(lines=80, samples=80)
    home = deliver(order, tmp_path)
    path = home / f"{order.name}-MUX.tiff"
    with rasterio.open(path, driver="GTiff") as file:
        counts = file.read()
    counts[:, 30:40, 30:40] = 4095
    counts[2, 50:60, 30:40] = 0
    counts[:, 10:20] = 0
    # Written elsewhere first: GDAL removes what lies beside a file that it writes anew.
    write_tiff(tmp_path / "new.tiff", counts)
    (tmp_path / "new.tiff").replace(path)
    return home


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_flags_tell_what_is_wrong(tmp_path):
    home = spoilt(tmp_path)
    grid = grid_of(10.0, 70, 70)
    with open_view(
        scene_of(home, "zy1-02d-vnic"), home, terrain=FLAT, gains=gains_of("zy1-02d-vnic")
    ) as view:
        part = view.tile(grid, (0, 70), (0, 70))
    counts = {flag: int(((part.flags & flag) > 0).sum()) for flag in Flag}
    assert counts[Flag.SATURATED] == pytest.approx(100, abs=15)
    assert counts[Flag.PARTIAL] == pytest.approx(100, abs=45)
    assert counts[Flag.NO_DATA] > 500
    saturated = (part.flags & Flag.SATURATED) > 0
    assert not part.valid[:, saturated].any()
    off = part.reflectance - truth(grid, "zy1-02d-vnic", view.bands, 0.5)
    # Neither the block's brightness nor the fill's darkness has bled into what is valid.
    assert np.abs(off[part.valid]).max() < 0.03
    assert np.isfinite(part.reflectance).all()


NM = (488.0, 557.0, 659.0, 826.0)


def pixel(*values):
    return np.array(values, dtype=np.float32).reshape(4, 1, 1), np.ones((4, 1, 1), bool)


@pytest.mark.parametrize(
    ("values", "cloud"),
    [
        ((0.45, 0.44, 0.46, 0.5), True), ((0.30, 0.29, 0.31, 0.4), True),
        ((0.08, 0.10, 0.08, 0.40), False), ((0.06, 0.05, 0.03, 0.01), False),
        ((0.12, 0.20, 0.30, 0.38), False), ((0.20, 0.28, 0.38, 0.45), False),
    ],
    ids=["cloud", "thin cloud", "crop", "water", "soil", "sand"],
)  # fmt: skip
def test_the_simple_cloud_test(values, cloud):
    assert clouds(*pixel(*values), NM).item() is cloud


def test_without_visible_bands_nothing_is_cloud():
    values, valid = pixel(0.5, 0.5, 0.5, 0.5)
    assert not clouds(values, valid, (1000.0, 1100.0, 1600.0, 2200.0)).any()
    assert not clouds(values, valid & False, NM).any()


@given(
    arrays(np.float32, (4, 3, 3), elements=st.floats(-1, 3, width=32)), arrays(bool, (4, 3, 3)),
    st.sampled_from([np.nan, np.inf, 0.0, 1e6]),
)  # fmt: skip
def test_what_is_not_valid_makes_no_cloud(values, valid, rubbish):
    clean = clouds(np.where(valid, values, 0).astype(np.float32), valid, NM)
    assert np.array_equal(clean, clouds(np.where(valid, values, np.float32(rubbish)), valid, NM))


def mask_file(tmp_path, values, grid, **changed):
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": grid.crs, "height": grid.shape[0],
               "width": grid.shape[1], "transform": rasterio.Affine(*grid.transform), **changed}  # fmt: skip
    with rasterio.open(tmp_path / "mask.tif", "w", **profile) as file:
        file.write(np.broadcast_to(values, (profile["count"], *grid.shape)).astype(profile["dtype"]))
    return tmp_path / "mask.tif"


def test_a_mask_of_the_users(tmp_path):
    grid = grid_of(10.0, 40, 40)
    values = np.zeros(grid.shape)
    values[:10], values[10:20], values[20:25] = 1, 2, 255
    with open_raster(mask_file(tmp_path, values, grid)) as raster:
        flags, told = user_mask(raster, grid, (5, 30), (0, 40))
    assert (flags[:5] == Flag.CLOUD).all()
    assert (flags[5:15] == Flag.SHADOW).all()
    assert not flags[15:].any()
    assert told[:15].all()
    assert not told[15:20].any()
    assert told[20:].all()


@pytest.mark.parametrize(
    ("changed", "value", "match"),
    [({}, 7, "got 7"), ({"count": 2}, 0, "one band"), ({"crs": None}, 0, "reference system")],
)
def test_masks_that_are_none(tmp_path, changed, value, match):
    grid = grid_of(10.0, 20, 20)
    path = mask_file(tmp_path, value, grid, **changed)
    with open_raster(path) as raster, pytest.raises(DeliveryError, match=match):
        user_mask(raster, grid, (0, 20), (0, 20))


def test_flags_are_single_bits():
    assert all(math.log2(flag) % 1 == 0 for flag in Flag)
    assert len({int(flag) for flag in Flag}) == len(Flag)
