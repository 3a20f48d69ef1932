"""Products become scenes, in every variant that stations send; contradictions are refused."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from deliveries import AHSI, VNIC, WFV, Camera, deliver, edit, lose, rename, write_tiff

from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import envi_scene, tiff_scene
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.rpcinfo import read_rpc_info


def scenes(home, **options):
    return {p.sensor.name: product_scene(p, home, **options) for p in products(files_below(home, Limits()))}


def only(home, **options):
    (scene,) = scenes(home, **options).values()
    return scene


def test_ahsi(tmp_path):
    scene = only(deliver(AHSI, tmp_path))
    assert (scene.sensor, scene.platform, scene.level) == ("zy1-02d-ahsi", "ZY1-02D", "L1A")
    assert scene.time == AHSI.utc.replace(tzinfo=UTC)
    assert scene.produced == datetime(2021, 12, 14, 2, 11, 9)
    assert [(layer.name, len(layer.bands), layer.shape) for layer in scene.layers] == [
        ("VN", 76, (24, 20)), ("SW", 90, (24, 20)),
    ]  # fmt: skip
    vn, sw = scene.layers
    assert (vn.bands[0], sw.bands[-1], vn.kind) == ("VN01", "SW90", "uint16")
    assert vn.gain[0] == 0.12
    assert vn.wavelength[0] == 395.8612
    assert scene.notes == ()
    assert {(file.role, file.layer) for file in scene.files} == {
        ("metadata", ""),
        *((role, name) for role in ("raster", "rpc", "gains", "wavelengths") for name in ("VN", "SW")),
    }  # fmt: skip


def test_vnic_is_two_scenes(tmp_path):
    found = scenes(deliver(VNIC, tmp_path))
    assert set(found) == {"zy1-02d-vnic", "zy1-02d-pan"}
    assert found["zy1-02d-vnic"].name == f"{VNIC.name}-MUX"
    assert found["zy1-02d-pan"].layers[0].shape == (144, 120)
    assert found["zy1-02d-pan"].level == "L1B"


def test_wfv_is_one_scene_of_three_strips(tmp_path):
    scene = only(deliver(WFV, tmp_path))
    assert [layer.name for layer in scene.layers] == ["1", "2", "3"]
    assert scene.layers[0].bands == tuple(f"B{i}" for i in range(1, 9))
    assert scene.cloud == 3


def test_the_time_is_that_of_the_middle_where_it_is_said(tmp_path):
    local = f"{WFV.local + timedelta(seconds=20):%Y-%m-%d %H:%M:%S}.0"
    scene = only(deliver(WFV.but(xml={"CenterTime": local}), tmp_path / "said"))
    assert scene.time == (WFV.utc + timedelta(seconds=20)).replace(tzinfo=UTC)
    scene = only(deliver(WFV.but(xml={"CenterTime": None}), tmp_path / "begin"))
    assert scene.time == WFV.utc.replace(tzinfo=UTC)


def test_real_sized_packages_are_read(tmp_path, data_folder):
    from stsfusion.ingest.archive import unpack

    found = {}
    for archive in sorted((data_folder / "packages").glob("*.tar.gz")):
        found |= scenes(unpack(archive, tmp_path))
    assert set(found) == {"zy1-02d-ahsi", "zy1-02d-vnic", "zy1-02d-pan", "gf6-wfv"}
    assert all(scene.notes == () for scene in found.values())
    assert found["gf6-wfv"].time == datetime(2021, 12, 16, 3, 4, 29, tzinfo=UTC)


VARIANTS = {
    "geotiff": (AHSI.but(suffix=".geotiff"), None),
    "side files of the product's whole name": (
        AHSI, lambda h: rename(h, "ZY1E_AHSI_RadCal", f"{h.name}_RadCal")),
    "one more product's side files": (AHSI, lambda h: shutil.copy(
        next(h.glob("*RadCal_VNIR.raw")), h / f"{h.name[:-2]}99_RadCal_VNIR.raw")),
    "tiff": (AHSI.but(suffix=".tiff"), None),
    "capitals": (AHSI, lambda home: rename(home, "_VN.tif", "_vn.TIF")),
    "RPB in capitals": (WFV, lambda home: rename(home, ".rpb", ".RPB")),
    "columns by spaces": (AHSI.but(separator="   "), None),
    "one column": (
        AHSI, lambda home: edit(home, "RadCal_VNIR.raw", lambda b: b.replace(b",0.000000", b"")),
    ),
    "side files named the other way": (AHSI, lambda home: rename(home, "RadCal_SWIR", "SWIR_RadCal")),
    "no centre": (AHSI.but(xml={"CenterLatitude": None, "CenterLongitude": None}), None),
    "time with fraction": (AHSI.but(xml={"StartTime": "2021-12-13 10:58:31.25"}), None),
    "time in UTC": (AHSI.but(xml={"StartTime": f"{AHSI.utc:%Y-%m-%d %H:%M:%S}"}), None),
    "angle is elevation": (AHSI.but(xml={"SolarZenith": 27.3}), None),
    "no angles": (AHSI.but(xml={"SolarZenith": None, "SolarAzimuth": None}), None),
    "no product number": (AHSI.but(xml={"ProductID": None}), None),
    "ZY1-02E": (AHSI.but(platform="ZY1F"), None),
    "west and south": (
        AHSI.but(lon=-70.5, lat=-20.25, utc=datetime(2021, 12, 13, 14, 30), platform="ZY1F"), None,
    ),
    "just west of 180": (AHSI.but(lon=179.97, lat=10.0, utc=datetime(2021, 12, 12, 22, 30)), None),
    "just east of 180": (AHSI.but(lon=-179.97, lat=10.0, utc=datetime(2021, 12, 12, 22, 30)), None),
    "odd orbit": (AHSI, lambda home: rename(home, "_011812_", "_917748_")),
    "no orbit": (AHSI, lambda home: rename(home, "_011812_", "_")),
    "unknown cloud": (WFV.but(xml={"CloudPercent": 99}), None),
    "XML of each strip": (
        WFV, lambda home: shutil.copy(home / f"{home.name}.xml", home / f"{home.name}-2.xml")
        and (home / f"{home.name}.xml").rename(home / f"{home.name}-1.xml"),
    ),
    "what readers leave": (
        WFV, lambda home: [(home / name).write_text("<PAMDataset/>") for name in
                           (f"{home.name}-1.tiff.aux.xml", f"{home.name}-1.rpb.aux.xml", "order.xml")],
    ),
    "L2A on a map": (AHSI.but(xml={"Level": "LEVEL2A"}), lambda home: on_a_map(home)),
}  # fmt: skip


def on_a_map(home):
    for path in home.glob("*.tif"):
        with rasterio.open(path, driver="GTiff") as file:
            counts = file.read()
        place = rasterio.Affine(30, 0, 475_000, 0, -30, 4_150_000)
        with rasterio.open(path, "w", driver="GTiff", count=len(counts), height=24, width=20, dtype="uint16",
                           crs="EPSG:32650", transform=place, nodata=0) as file:  # fmt: skip
            file.write(counts)
    for path in home.glob("*.rpb"):
        path.unlink()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", VARIANTS)
def test_variants(tmp_path, name):
    order, change = VARIANTS[name]
    home = deliver(order, tmp_path / "产品")
    if change:
        change(home)
    scene = only(home)
    assert abs(scene.time - order.utc.replace(tzinfo=UTC)) < timedelta(seconds=1)
    assert len(scene.layers) == (3 if order.kind == "wfv" else 2)
    assert 0 < scene.sun_zenith < 85
    if name == "L2A on a map":
        assert scene.layers[0].transform == (30, 0, 475_000, 0, -30, 4_150_000)
    if name == "unknown cloud":
        assert scene.cloud is None


def without(*ends):
    return lambda home: lose(home, *ends)


def floating(path):
    with rasterio.open(path) as file:
        counts = file.read()
    path.unlink()
    write_tiff(path, counts.astype("float32"))


def turned(text):
    return b"\r\n".join(reversed(text.strip().split(b"\r\n")))


def moved(text, nm):
    rows = [line.split(b",") for line in text.strip().split(b"\r\n")]
    return b"\r\n".join(b"%.4f,%s" % (float(centre) + nm, width) for centre, width in rows)


def exchanged(text):
    """The tenth and eleventh band nearly at one place, in the wrong order, both near enough to their own."""
    rows = [line.split(b",") for line in text.strip().split(b"\r\n")]
    middle = (float(rows[9][0]) + float(rows[10][0])) / 2
    rows[9][0], rows[10][0] = b"%.4f" % (middle + 0.2), b"%.4f" % (middle - 0.2)
    return b"\r\n".join(b",".join(row) for row in rows)


CONTRADICTIONS = {
    "no SW": (AHSI, without("_SW.tif"), "none called SW"),
    "no strip 2": (WFV, without("-2.tiff"), "none called 2"),
    "no rpb": (WFV, without("-2.rpb"), r"-2\.rpb beside it"),
    "no XML": (AHSI, without(f"{AHSI.name}.xml"), r"expected .*\.xml"),
    "no gains": (AHSI, without("RadCal_SWIR.raw"), "one file of gains"),
    "gains of one band": (AHSI, lambda h: edit(h, "RadCal_VNIR.raw", lambda b: b[:20]), "76 lines"),
    "gains of 165 bands": (AHSI, lambda h: edit(h, "RadCal_SWIR.raw", lambda b: b"0.1\n" * 165), "90 lines"),
    "wavelengths turned round": (AHSI, lambda h: edit(h, "response_VNIR.raw", turned), "VN01.*395.86.*1040"),
    "wavelengths 20 nm off": (
        AHSI, lambda h: edit(h, "response_SWIR.raw", lambda b: moved(b, 20)), "SWIR.raw: band SW01.*within"),
    "wavelengths 6 nm short": (
        AHSI, lambda h: edit(h, "response_VNIR.raw", lambda b: moved(b, -6)), "VNIR.raw: band VN01.*within"),
    "wavelengths of two bands exchanged": (
        AHSI, lambda h: edit(h, "response_VNIR.raw", lambda b: exchanged(b)), "band VN11: .*above"),
    "floating numbers": (WFV, lambda h: floating(next(h.glob("*-2.tiff"))), r"-2\.tiff: .*got 8 of float32"),
    "rpb without an end": (WFV, lambda h: edit(h, "-1.rpb", lambda b: b.replace(b"END;", b"")), r"END;"),
    "rpb with a NaN": (WFV, lambda h: edit(h, "-1.rpb", lambda b: b.replace(b"E+00", b"xE", 1)), "finite"),
    "rpb of elsewhere": (
        AHSI, lambda h: edit(h, "_SW.rpb", lambda b: b.replace(b"latOffset = 37.5", b"latOffset = 37.6")),
        "km off"),
    "strip of elsewhere": (
        WFV, lambda h: edit(h, "-3.rpb", lambda b: b.replace(b"latOffset = 37.5", b"latOffset = 38.6")),
        "km off"),
    "XML of another number": (AHSI.but(xml={"ProductID": 389922}), None, "number: expected 389921"),
    "XML of another day": (
        AHSI.but(xml={"StartTime": "2021-12-23 10:58:31", "SolarZenith": None}), None,
        "date: expected 20211213"),
    "XML of another satellite": (AHSI.but(xml={"SatelliteID": "ZY1F"}), None, "satellite: expected ZY1E"),
    "XML of another instrument": (AHSI.but(xml={"SensorID": "VNIC"}), None, "instrument: expected AHSI"),
    "XML of another place": (
        AHSI.but(xml={f"{c}Longitude": 110.0 for c in ("TopLeft", "TopRight", "BottomLeft", "BottomRight")}),
        None, "place: expected 116.72"),
    "XML of another size": (AHSI.but(xml={"LinesInPixels": 25}), None, "25 × 20 pixels"),
    "XML of another time": (AHSI.but(xml={"StartTime": "2021-12-13 14:58:31"}), None, "fits none"),
    "longitude for latitude": (AHSI.but(xml={"TopLeftLatitude": 116.7}), None, "exchanged"),
    "no corner": (AHSI.but(xml={"TopLeftLatitude": None}), None, "TopLeftLatitude"),
    "angle of 400": (AHSI.but(xml={"SolarZenith": 400}), None, "0 to 180 degrees"),
    "XML with a document type": (
        AHSI, lambda h: edit(h, "389921.xml", lambda b: b.replace(b"<Prod", b"<!DOCTYPE x><Prod", 1)),
        "plain XML"),
    "too few bands": (
        AHSI, lambda h: shutil.copy(*(next(h.glob(f"*_{d}.tif")) for d in ("VN", "SW"))), "90 bands"),
    "image twice": (
        AHSI, lambda h: shutil.copy(next(h.glob("*_VN.tif")), h / f"{h.name}_VN.tiff"), "another one"),
    "one image twice": (
        WFV, lambda h: shutil.copy(next(h.glob("*-1.tiff")), next(h.glob("*-3.tiff"))),
        r"a copy of .*-1\.tiff"),
    "one RPC twice": (
        WFV, lambda h: shutil.copy(next(h.glob("*-1.rpb")), next(h.glob("*-3.rpb"))), r"a copy of .*-1\.rpb"),
    "cut image": (WFV, lambda h: edit(h, "-2.tiff", lambda b: b[:-9]), r"-2\.tiff"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused_by_file_and_reason(tmp_path, name):
    order, change, match = CONTRADICTIONS[name]
    home = deliver(order, tmp_path)
    if change:
        change(home)
    with pytest.raises(DeliveryError, match=match) as refusal:
        scenes(home)
    assert str(home) in str(refusal.value)


@pytest.mark.parametrize(("order", "end", "name"), [(AHSI, "_SW.tif", "SW"), (WFV, "-2.tiff", "2")])
def test_what_is_missing_may_be_allowed(tmp_path, order, end, name):
    home = deliver(order, tmp_path)
    without(end)(home)
    scene = only(home, allow_missing=True)
    assert f"image {name} is missing" in scene.notes
    assert name not in [layer.name for layer in scene.layers]


def test_a_vnic_delivery_of_one_image_is_one_scene(tmp_path):
    home = deliver(VNIC, tmp_path)
    without("-PAN.tiff")(home)
    assert only(home).sensor == "zy1-02d-vnic"


HEADER = """ENVI
description = {{
  FLAASH result}}
samples = 5
lines   = 4
bands   = 3
header offset = 0
data type = 2
interleave = {interleave}
byte order = {order}
wavelength units = {unit}
reflectance scale factor = 10000.000000
wavelength = {{
 {nm}}}
fwhm = {{ {width} }}
bbl = {{1, 0, 1}}
map info = {{UTM, 1.000, 1.000, 475000.000, 4150000.000, 30.0, 30.0, 50, North, WGS-84, units=Meters}}
"""
CUBE = np.arange(60).reshape(3, 4, 5).astype("i2")
STORED = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}


def envi(folder, name=f"{AHSI.name}_rc_fc", interleave="bil", order=0, micro=False, **replaced):
    scale = 1000 if micro else 1
    text = HEADER.format(
        interleave=interleave, order=order, unit="Micrometers" if micro else "Nanometers",
        nm=", ".join(f"{nm / scale}" for nm in (395.8612, 404.4524, 2500.86)),
        width=", ".join(f"{nm / scale}" for nm in (8.76, 8.76, 16.8)),
    )  # fmt: skip
    for old, new in replaced.items():
        assert old.replace("_", " ") in text
        text = "".join(new if row.startswith(old.replace("_", " ")) else row for row in text.splitlines(True))
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.hdr").write_text(text)
    stored = CUBE.transpose(STORED[interleave]).astype(f"{'<>'[order]}i2")
    (folder / f"{name}.dat").write_bytes(stored.tobytes())
    return folder / f"{name}.hdr"


@pytest.mark.parametrize("interleave", STORED)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("micro", [False, True])
def test_envi_cubes(tmp_path, interleave, order, micro):
    from stsfusion.ingest.envi import EnviImage, read_header

    path = envi(tmp_path, interleave=interleave, order=order, micro=micro)
    scene = envi_scene(path, tmp_path)
    layer = scene.layers[0]
    assert (scene.sensor, scene.values, scene.scale) == ("zy1-02d-ahsi", "reflectance", 1e-4)
    assert layer.bands == ("VN01", "VN02", "SW90")
    assert layer.wavelength == (395.8612, 404.4524, 2500.86)
    assert layer.good == (True, False, True)
    assert layer.transform == (30, 0, 475_000, 0, -30, 4_150_000)
    assert layer.crs == "EPSG:32650"
    assert "time of day unknown" in scene.notes[0]
    image = EnviImage(read_header(path), scene.file("raster", "").sha256)
    assert np.array_equal(image.read(), CUBE)
    assert np.array_equal(image.read((1, 3), (2, 5), (2, 0)), CUBE[[2, 0], 1:3, 2:5])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"bands": "bands = 4\n"}, "160 bytes"), ({"lines": "lines = 5\n"}, "150 bytes"),
        ({"data_type": "data type = 6\n"}, "plain numbers"), ({"byte_order": "byte order = 2\n"}, "plain"),
        ({"map_info": ""}, "'map info'"), ({"reflectance": ""}, "reflectance scale factor"),
        ({"ENVI": "HDR\n"}, "an ENVI header"), ({"samples": "samples = -5\n"}, "a whole number"),
        ({"samples": "samples = 5000000\n"}, "at most"),
        ({"map_info": "map info = {UTM, 1}\n"}, "a place on a map"),
        ({"bbl": "bbl = {1, nan, 2}\n"}, "finite"),
    ],
)  # fmt: skip
def test_broken_envi_headers_are_refused(tmp_path, change, match):
    path = envi(tmp_path, **change)
    with pytest.raises(DeliveryError, match=match) as refusal:
        envi_scene(path, tmp_path)
    assert str(tmp_path) in str(refusal.value)


def rpc_info(cut=(0, 0)):
    """A camera's RPC as ENVI writes it, with rows and columns that were cut off."""
    camera = Camera(40, 30, 30.0)
    text = camera.rpb()
    words = ("lineOffset", "sampOffset", "latOffset", "longOffset", "heightOffset")
    words += tuple(word.replace("Offset", "Scale") for word in words)
    numbers = [float(re.search(rf"{word} = ([^;]+);", text)[1]) for word in words]
    for word in ("lineNumCoef", "lineDenCoef", "sampNumCoef", "sampDenCoef"):
        inner = re.search(rf"{word} = \(([^)]*)\)", text)[1]
        numbers += [float(part) for part in inner.split(",")]
    return camera, ", ".join(repr(one) for one in [*numbers, *cut, 1])


def test_a_raw_envi_cube_lies_where_its_rpc_says(tmp_path):
    camera, numbers = rpc_info(cut=(7, 3))
    path = envi(tmp_path, map_info=f"rpc info = {{{numbers}}}\n")
    scene = envi_scene(path, tmp_path)
    assert scene.layers[0].crs is None
    assert scene.footprint[0] == pytest.approx(camera.ground(3, 7), abs=1e-7)
    assert scene.footprint[2] == pytest.approx(camera.ground(3 + 4, 7 + 3), abs=1e-7)
    for wrong in (numbers.replace("1.0", "nan", 1), "1, 2, 3", ""):
        with pytest.raises(DeliveryError, match="rpc info"):
            envi_scene(envi(tmp_path, map_info=f"rpc info = {{{wrong}}}\n"), tmp_path)


def test_the_rpc_of_a_real_header(data_folder):
    text = (data_folder / "packages" / "real_gf5_ahsi_flaash.hdr").read_text()
    inner = re.search(r"rpc info = \{([^}]*)\}", text)[1]
    found = read_rpc_info(data_folder, inner)
    whole = read_rpb(data_folder / "packages" / "real_gf5_ahsi_sw.rpb")
    sample, line = np.array([0.0, 580, 100]), np.array([0.0, 263, 200])
    expected = whole.ground(sample + 768, line + 751, 800.0)
    # The side file holds fewer digits than the header.
    assert np.allclose(found.ground(sample, line, 800.0), expected, rtol=0, atol=1e-4)


def test_envi_cubes_of_unknown_bands_or_name_need_a_note(tmp_path):
    path = envi(tmp_path, name="VNSW_Rad")
    with pytest.raises(DeliveryError, match="Write a note beside it"):
        envi_scene(path, tmp_path)
    path.with_suffix(".yaml").write_text(
        "sensor: zy1-02d-ahsi\ntime: 2021-12-13T02:58:31Z\nvalues: radiance\n"
    )
    scene = envi_scene(path, tmp_path)
    assert scene.time == AHSI.utc.replace(tzinfo=UTC)
    assert scene.values == "radiance"
    path.with_suffix(".yaml").write_text("sensor: landsat8-oli\ntime: 2021-12-13T02:58:31Z\n")
    with pytest.raises(DeliveryError, match=r"395\.861 nm, which is none"):
        envi_scene(path, tmp_path)


def tiff(folder, bands=8):
    path = folder / "mine.tif"
    place = rasterio.Affine(16, 0, 475_000, 0, -16, 4_150_000)
    size = {"count": bands, "height": 4, "width": 5, "dtype": "int16"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32650", transform=place, **size) as file:
        file.write(np.ones((bands, 4, 5), "i2"))
    return path


NOTE = "sensor: gf6-wfv\ntime: 2021-12-16T03:04:29Z\nscale: 0.0001\n"
ITEM = """{"type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": null, "links": [],
"properties": {"datetime": "2021-12-16T03:04:29Z", "eo:cloud_cover": 5}, "collection": "gf6-wfv",
"assets": {"data": {"href": "./mine.tif", "raster:scale": 0.0001}}}"""


@pytest.mark.parametrize(("suffix", "text"), [(".yaml", NOTE), (".json", ITEM)])
def test_a_plain_image_with_a_note(tmp_path, suffix, text):
    path = tiff(tmp_path)
    path.with_suffix(suffix).write_text(text)
    scene = tiff_scene(path, tmp_path)
    assert (scene.sensor, scene.scale, scene.values) == ("gf6-wfv", 1e-4, "reflectance")
    assert scene.time == WFV.utc.replace(tzinfo=UTC)
    assert "sun angles computed" in scene.notes
    assert scene.sun_zenith == pytest.approx(62.6, abs=0.5)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "a note beside it"), (NOTE.replace("gf6", "gf7"), "gf6-wfv"),
        ("time: 2021-12-16T03:04:29Z", "sensor"),
        (NOTE.replace("time:", "tme:"), "time"), (NOTE.replace("2021-12-16T", ""), "as in"),
        (NOTE + "bands: [B1]", "1 bands on a map"), (NOTE + "bands: [B1, X]", "B1"),
        (NOTE + "scale: 1", "each key once"),
        ("sensor: !!python/object/apply:os.system ['touch pwned']", "tag"),
    ],
)  # fmt: skip
def test_notes_that_do_not_do(tmp_path, text, match):
    path = tiff(tmp_path)
    if text is not None:
        path.with_suffix(".yaml").write_text(text)
    with pytest.raises(DeliveryError, match=match):
        tiff_scene(path, tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_counts_are_whole_numbers(tmp_path):
    path = tiff(tmp_path)
    path.with_suffix(".yaml").write_text(NOTE.replace("scale: 0.0001", "values: counts"))
    assert tiff_scene(path, tmp_path).values == "counts"
    with rasterio.open(path) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(path, "w", **{**profile, "dtype": "float32"}) as file:
        file.write(values.astype("float32"))
    with pytest.raises(DeliveryError, match=r"mine.tif: expected counts as whole numbers, got float32"):
        tiff_scene(path, tmp_path)


def test_the_variants_are_counted(capsys):
    with capsys.disabled():
        print(f"\nproducts: {len(VARIANTS)} variants read, {len(CONTRADICTIONS)} contradictions refused")
    assert len(VARIANTS) + len(CONTRADICTIONS) >= 40
