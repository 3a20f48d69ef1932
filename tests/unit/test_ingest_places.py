"""Where a delivery's pixels come to lie, in every variant that stations send: within 0.3 of their pixels.

Every pixel of a delivery is made to hold its own sample and line, so that what comes out on the grid tells
where it was taken from; where it should be is computed from the camera that made the delivery.
"""

from __future__ import annotations

import math
import shutil
from datetime import datetime

import numpy as np
import pytest
import rasterio
from deliveries import AHSI, GROUND, WFV, Camera, deliver, edit, lose, rename, write_tiff
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import envi_scene
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.view import open_view
from stsfusion.ingest.warp import Terrain

LINES, SAMPLES = 44, 40
AHSI = AHSI.but(lines=LINES, samples=SAMPLES)
WFV = WFV.but(lines=LINES, samples=SAMPLES)
BASE, STEP = 100, 50
SHIFTS = {"VN": 0.0, "SW": 1.3}
MAP = rasterio.Affine(30, 0, 475_000, 0, -30, 4_150_000)


def places(bands):
    """(band, y, x) counts: samples in the even bands, lines in the odd ones."""
    line, sample = np.mgrid[:LINES, :SAMPLES]
    return np.stack([sample if band % 2 == 0 else line for band in range(bands)]) * STEP + BASE


def on_a_map(home, nodata=0):
    for path in home.glob("*.tif"):
        counts = places(76 if "_VN" in path.name else 90).astype(np.uint16)
        write_tiff(path, counts, crs="EPSG:32650", transform=MAP, nodata=nodata)
    lose(home, ".rpb")


def as_envi(home):
    """What users make of a delivery elsewhere: reflectance × 10000 as whole numbers, bad bands listed."""
    for path in list(home.iterdir()):
        path.unlink()
    nm = [395.8612, 404.4524, 1004.77, 2500.86]
    text = (
        f"ENVI\nsamples = {SAMPLES}\nlines = {LINES}\nbands = 4\nheader offset = 0\ndata type = 2\n"
        "interleave = bil\nbyte order = 0\nwavelength units = Nanometers\n"
        f"wavelength = {{{', '.join(map(str, nm))}}}\n"
        "fwhm = {8.76, 8.76, 16.8, 16.8}\nbbl = {1, 1, 0, 1}\n"
        "reflectance scale factor = 10000\ndata ignore value = 0\n"
        "map info = {UTM, 1.000, 1.000, 475000.0, 4150000.0, 30.0, 30.0, 50, North, WGS-84, units=Meters}\n"
    )
    (home / f"{AHSI.name}_rc_fc.hdr").write_text(text)
    stored = places(4).astype("<i2").transpose(1, 0, 2)
    (home / f"{AHSI.name}_rc_fc.dat").write_bytes(stored.tobytes())


LOCATED = {
    "as ordered": (AHSI, None),
    ".geotiff": (AHSI.but(suffix=".geotiff"), None),
    ".tiff": (AHSI.but(suffix=".tiff"), None),
    "capitals": (AHSI, lambda home: (rename(home, "_VN.tif", "_vn.TIF"), rename(home, ".rpb", ".RPB"))),
    "raw files by spaces": (AHSI.but(separator="  "), None),
    "one column of gains": (
        AHSI, lambda home: edit(home, "RadCal_VNIR.raw", lambda b: b.replace(b",0.000000", b""))),
    "no centre": (AHSI.but(xml={"CenterLatitude": None, "CenterLongitude": None}), None),
    "time with fraction": (AHSI.but(xml={"StartTime": "2021-12-13 10:58:31.25"}), None),
    "ZY1-02E": (AHSI.but(platform="ZY1F"), None),
    "western hemisphere": (AHSI.but(lon=-70.5, lat=20.25, utc=datetime(2021, 12, 13, 14, 30)), None),
    "southern hemisphere": (AHSI.but(lon=116.7, lat=-20.25), None),
    "west and south": (AHSI.but(lon=-70.5, lat=-20.25, utc=datetime(2021, 12, 13, 14, 30)), None),
    "just west of 180": (AHSI.but(lon=179.97, lat=10.0, utc=datetime(2021, 12, 12, 22, 30)), None),
    "just east of 180": (AHSI.but(lon=-179.97, lat=10.0, utc=datetime(2021, 12, 12, 22, 30)), None),
    "L2A on a map": (AHSI.but(xml={"Level": "LEVEL2A"}), on_a_map),
    "ENVI reflectance": (AHSI, as_envi),
    "Chinese folder": (AHSI, None),
    "time of another zone": (AHSI.but(xml={"StartTime": f"{AHSI.utc:%Y-%m-%d %H:%M:%S}"}), None),
    "elevation for zenith": (AHSI.but(xml={"SolarZenith": 27.24}), None),
}  # fmt: skip
"""What must be read, by what is unusual."""

REFUSED = {
    "gains of one band": (AHSI, lambda h: edit(h, "RadCal_VNIR.raw", lambda b: b[:20]), "76 lines"),
    "gains of 165 bands": (AHSI, lambda h: edit(h, "RadCal_SWIR.raw", lambda b: b"0.1\n" * 165), "90 lines"),
    "no rpb": (AHSI, lambda h: lose(h, "_SW.rpb"), r"(?i)_sw\.rpb beside it"),
    "rpb without an end": (AHSI, lambda h: edit(h, "_VN.rpb", lambda b: b.replace(b"END;", b"")), "END;"),
    "rpb with a NaN": (AHSI, lambda h: edit(h, "_VN.rpb", lambda b: b.replace(b"E+00", b"xE", 1)), "finite"),
    "XML of another scene": (AHSI.but(xml={"ProductID": 389922}), None, "number: expected 389921"),
    "another no data": (
        AHSI.but(xml={"Level": "LEVEL2A"}), lambda h: on_a_map(h, nodata=65535), "0 where there is no data"),
    "no strip 2": (WFV, lambda h: lose(h, "-2.tiff"), "none called 2"),
}  # fmt: skip
"""What must not be read, and why."""


def inverse(camera, lon, lat):
    """(sample, line) of places on the ground: the camera is linear, so three of its pixels tell all."""
    zero, right, down = (np.array(camera.ground(s, r)) for s, r in ((0, 0), (1, 0), (0, 1)))
    away = np.stack([(lon - zero[0] + 180) % 360 - 180, lat - zero[1]])
    return np.einsum("ij,jyx->iyx", np.linalg.inv(np.stack([right - zero, down - zero], axis=1)), away)


def utm(lon, lat):
    return f"EPSG:{326 if lat >= 0 else 327}{int((lon + 180) // 6) % 60 + 1:02d}"


def grid_on(order, size=24):
    crs = utm(order.lon, order.lat)
    (x,), (y,) = transform("EPSG:4326", crs, [order.lon], [order.lat])
    half = size * 15
    return Grid((size, size), 30.0, (round(x / 30) * 30 - half, round(y / 30) * 30 + half), crs)


def expected_places(order, layer, grid, mapped):
    x, y = np.meshgrid(grid.x, grid.y)
    if mapped:
        return np.stack([(x - MAP.c) / 30 - 0.5, (MAP.f - y) / 30 - 0.5])
    lon, lat = transform(grid.crs, "EPSG:4326", x.ravel(), y.ravel())
    camera = Camera(LINES, SAMPLES, 30, order.lon, order.lat, shift=SHIFTS[layer])
    return inverse(camera, np.reshape(lon, x.shape), np.reshape(lat, x.shape))


def scene_in(home):
    if (header := next(home.glob("*.hdr"), None)) is not None:
        return envi_scene(header, home)
    (product,) = products(files_below(home, Limits()))
    return product_scene(product, home)


def errors(order, home, mapped):
    """Distance of each grid pixel of each image from where it should be, AHSI pixels."""
    scene = scene_in(home)
    grid = Grid((24, 20), 30.0, (475_105.0, 4_149_895.0), "EPSG:32650") if mapped else grid_on(order)
    found = {}
    with open_view(scene, home, terrain=Terrain(height=GROUND)) as view:
        part = view.tile(grid, (0, grid.shape[0]), (0, grid.shape[1]))
        for image in view.images:
            which = [view.bands.index(name) for name in image.layer.bands[:2]]
            zero, one = (
                image.calibration.reflectance(np.full((len(image.layer.bands), 1, 1), n, np.float32))[:2]
                for n in (0, 1000)
            )
            counts = (part.reflectance[which] - zero) / (one - zero) * 1000
            seen = part.valid[which].all(axis=0)
            assert seen.mean() > 0.95
            off = (counts - BASE) / STEP - expected_places(order, image.layer.name or "VN", grid, mapped)
            found[image.layer.name] = np.hypot(*off)[seen]
    return found


def made(folder, name):
    order, change = LOCATED[name]
    home = deliver(order, folder / ("产品" if name == "Chinese folder" else "in"))
    for path in home.glob("*.*if*"):
        path.unlink()  # GDAL takes away what lies beside an image that it writes over
        write_tiff(path, places(76 if "_VN" in path.name else 90).astype(np.uint16))
    if change:
        change(home)
    return order, home


@pytest.mark.parametrize("name", LOCATED)
def test_pixels_lie_where_they_should(tmp_path, name, record_property):
    order, home = made(tmp_path, name)
    found = errors(order, home, mapped=name in ("L2A on a map", "ENVI reflectance"))
    assert set(found) == ({""} if name == "ENVI reflectance" else {"VN", "SW"})
    for layer, off in found.items():
        record_property(layer or "cube", float(off.max()))
        assert math.sqrt(np.mean(off**2)) <= 0.3, layer
        assert off.max() <= 0.3, layer


def test_half_a_pixel_is_seen(tmp_path):
    """An RPC that counts from the pixels' corners moves everything by half a pixel both ways."""
    order, home = made(tmp_path, "as ordered")
    for path in home.glob("*.rpb"):
        rows = path.read_text().split("\n")
        for at, row in enumerate(rows):
            for word in ("lineOffset = ", "sampOffset = "):
                if word in row:
                    head, number = row.split(word)
                    rows[at] = f"{head}{word}{float(number.strip(' ;')) + 0.5:.10f};"
        path.write_text("\n".join(rows))
    off = errors(order, home, mapped=False)["VN"]
    assert off == pytest.approx(math.hypot(0.5, 0.5), abs=0.05)


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused(tmp_path, name):
    order, change, match = REFUSED[name]
    home = deliver(order, tmp_path)
    if change:
        change(home)
    with pytest.raises(DeliveryError, match=match) as refusal:
        scene_in(home)
    assert str(home) in str(refusal.value)


def test_a_missing_strip_leaves_the_others_where_they_are(tmp_path):
    home = deliver(WFV, tmp_path)
    (product,) = products(files_below(home, Limits()))
    whole = product_scene(product, home)
    shutil.move(home / f"{WFV.name}-2.tiff", tmp_path / "away")
    (product,) = products(files_below(home, Limits()))
    part = product_scene(product, home, allow_missing=True)
    grid = Grid((40, 100), 16.0, grid_on(WFV).origin, grid_on(WFV).crs)
    both = []
    for scene in (whole, part):
        if scene is whole:
            shutil.move(tmp_path / "away", home / f"{WFV.name}-2.tiff")
        with open_view(scene, home, terrain=Terrain(height=GROUND)) as view:
            third = [image for image in view.images if image.layer.name == "3"]
            both.append(third[0].rational.pixel(np.array([WFV.lon]), np.array([WFV.lat]), GROUND))
            assert view.tile(grid, (0, 40), (0, 100)).valid.any()
    assert np.array_equal(both[0], both[1])


def test_every_variant_is_tried(capsys):
    with capsys.disabled():
        print(f"\nplaces: {len(LOCATED)} variants lie within 0.3 pixel, {len(REFUSED)} are refused")
    assert len(LOCATED) >= 19
    assert len(REFUSED) >= 7
