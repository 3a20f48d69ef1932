"""What is said of a user's image, in its own tags, a note or a STAC item: honoured, or refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.envi import read_header
from stsfusion.ingest.loose import envi_scene, tiff_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.view import open_view
from stsfusion.sensing.sensor import load_sensor
from stsfusion.sensing.stac import from_item
from stsfusion.sensing.stacitem import to_item

PLACE = rasterio.Affine(16, 0, 475_000, 0, -16, 4_150_000)
NOTE = "sensor: gf6-wfv\ntime: 2021-12-16T03:04:29Z\n"
BANDS = load_sensor("gf6-wfv").names
LEVELS = 0.1 + 0.05 * np.arange(8)


def tiff(folder, stored, *, scales=None, offsets=None, nodata=None):
    """An image whose numbers are stored as they are given, (band,) or (band, y, x)."""
    path = folder / "mine.tif"
    stored = np.broadcast_to(stored.T, (20, 24, 8)).transpose(2, 0, 1) if stored.ndim == 1 else stored
    size = {"count": 8, "height": 20, "width": 24, "dtype": stored.dtype, "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32650", transform=PLACE, **size) as file:
        file.write(stored)
        if scales is not None:
            file.scales = scales
        if offsets is not None:
            file.offsets = offsets
    return path


def item(**asset):
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": "x", "geometry": None, "links": [],
        "collection": "gf6-wfv", "properties": {"datetime": "2021-12-16T03:04:29Z"},
        "assets": {"data": {"href": "./mine.tif", **asset}},
    }  # fmt: skip


def seen(path, said=NOTE):
    """(band, y, x) reflectance by the sensor's order, and where there is any, through catalog and view."""
    end, text = (".yaml", said) if isinstance(said, str) else (".json", json.dumps(said))
    path.with_suffix(end).write_text(text)
    scene = tiff_scene(path, path.parent)
    hrefs = {file.path: file.path for file in scene.files}
    assert from_item(to_item(scene, hrefs), scene.delivery).layers == scene.layers
    grid = Grid((20, 24), 16.0, (475_000.0, 4_150_000.0), "EPSG:32650")
    with open_view(scene, path.parent) as view:
        part = view.tile(grid, (0, 20), (0, 24))
        assert view.bands == BANDS
    return part.reflectance, part.valid


def stored_as(levels, scale, offset, kind="int16"):
    return np.round((levels - offset) / scale).astype(kind)


@pytest.mark.parametrize("nodata", [-9999, -32768, 32767])
def test_no_data_of_a_file_is_a_gap(tmp_path, nodata):
    stored = np.broadcast_to(stored_as(LEVELS, 1e-4, 0).reshape(8, 1, 1), (8, 20, 24)).copy()
    stored[:, :, :5] = nodata
    values, valid = seen(tiff(tmp_path, stored, nodata=nodata), NOTE + "scale: 0.0001\n")
    assert not valid[:, :, :5].any()
    assert valid[:, :, 5:].all()
    # No kernel has taken from the gap.
    assert np.abs(values[:, :, 5:] - LEVELS.reshape(8, 1, 1)).max() < 1e-4


@pytest.mark.parametrize("nodata", [np.nan, -3.4028234663852886e38, -9999.9])
def test_no_data_of_floating_numbers_is_a_gap(tmp_path, nodata):
    stored = np.broadcast_to(LEVELS.reshape(8, 1, 1), (8, 20, 24)).astype("float32")
    stored[:, 3:7] = nodata
    values, valid = seen(tiff(tmp_path, stored, nodata=nodata))
    assert not valid[:, 3:7].any()
    assert valid[:, [2, 7]].all()
    assert np.abs(values[:, 8:] - LEVELS.reshape(8, 1, 1)).max() < 1e-6


def test_zero_is_a_number_where_another_one_is_no_data(tmp_path):
    stored = np.zeros((8, 20, 24), "int16")
    assert not seen(tiff(tmp_path, stored))[1].any()
    assert seen(tiff(tmp_path, stored, nodata=-1))[1].all()


@pytest.mark.parametrize("said", [NOTE + "nodata: -9999\n", item(nodata=-9999)])
def test_no_data_of_a_note_is_a_gap_too(tmp_path, said):
    stored = np.ones((8, 20, 24), "int16")
    stored[:, 0] = -9999
    _, valid = seen(tiff(tmp_path, stored), said)
    assert not valid[:, 0].any()
    assert valid[:, 1:].all()


V1 = {"raster:bands": [{"scale": 1e-4, "offset": -0.1}] * 8}
HONOURED = {
    "tags of the file": ({"scales": [1e-4] * 8, "offsets": [-0.1] * 8}, NOTE),
    "a note": ({}, NOTE + "scale: 0.0001\noffset: -0.1\n"),
    "a note and tags alike": (
        {"scales": [1e-4] * 8, "offsets": [-0.1] * 8}, NOTE + "scale: 0.0001\noffset: -0.1\n"),
    "an asset": ({}, item(**{"raster:scale": 1e-4, "raster:offset": -0.1})),
    "bands": ({}, item(bands=[{"name": n, "raster:scale": 1e-4, "raster:offset": -0.1} for n in BANDS])),
    "bands without names": ({}, item(bands=[{"raster:scale": 1e-4, "raster:offset": -0.1}] * 8)),
    "an asset and names": (
        {}, item(**{"raster:scale": 1e-4, "raster:offset": -0.1}, bands=[{"name": n} for n in BANDS])),
    "bands of STAC 1.0": ({}, item(**V1)),
    "bands of both": ({}, item(**V1, bands=[{"name": name} for name in BANDS])),
}  # fmt: skip


@pytest.mark.parametrize("name", HONOURED)
def test_scale_and_offset_are_honoured_wherever_they_stand(tmp_path, name):
    tags, said = HONOURED[name]
    values, valid = seen(tiff(tmp_path, stored_as(LEVELS, 1e-4, -0.1), **tags), said)
    assert valid.all()
    assert np.abs(values - LEVELS.reshape(8, 1, 1)).max() < 1e-4


def test_each_band_may_have_a_scale_of_its_own(tmp_path):
    scales = 1e-4 * (1 + np.arange(8))
    stored = np.round(LEVELS / scales).astype("int16")
    values, _ = seen(tiff(tmp_path, stored, scales=scales.tolist()))
    assert np.abs(values - LEVELS.reshape(8, 1, 1)).max() < 5e-4


def centres(order):
    return [band.wavelength / 1000 for band in load_sensor("gf6-wfv").pick(order)]


ORDER = ("B7", "B1", "B2", "B8", "B3", "B5", "B6", "B4")
ORDERS = {
    "names": {"bands": [{"name": name} for name in ORDER]},
    "names spelt otherwise": {"bands": [{"name": name.replace("B", "b0")} for name in ORDER]},
    "names of STAC 1.0": {"eo:bands": [{"name": name} for name in ORDER]},
    "wavelengths": {"bands": [{"name": f"x{i}", "eo:center_wavelength": um} for i, um in
                              enumerate(centres(ORDER))]},
    "wavelengths of STAC 1.0": {"eo:bands": [{"center_wavelength": um} for um in centres(ORDER)]},
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_bands_are_taken_in_the_order_in_which_they_stand(tmp_path, name):
    levels = np.array([LEVELS[BANDS.index(band)] for band in ORDER])
    values, _ = seen(tiff(tmp_path, levels.astype("float32")), item(**ORDERS[name]))
    assert np.allclose(values, LEVELS.reshape(8, 1, 1))


TAGGED = {"scales": [1e-4] * 8, "offsets": [-0.1] * 8}
REFUSED = {
    "another scale than the file's": (TAGGED, NOTE + "scale: 0.001\n", r"scale: expected 0\.0001, as mine"),
    "another offset than the file's": (TAGGED, NOTE + "offset: 0.1\n", r"offset: expected -0\.1, as mine"),
    "scaled counts": (TAGGED, NOTE + "values: counts\n", "counts as they were stored"),
    "a scale of zero": ({"scales": [0.0] * 8}, NOTE, "above zero"),
    "a scale below zero": ({}, NOTE + "scale: -1.0\n", "scale"),
    "a scale of next to nothing": ({}, NOTE + "scale: 1.0e-320\n", "scale"),
    "too few scales": ({}, NOTE + "scale: [0.1, 0.2]\n", "expected 8 of them, got 2"),
    "other no data": ({"nodata": -1}, NOTE + "nodata: -2\n", r"-1, as mine\.tif says"),
    "no data that cannot be": ({}, NOTE + "nodata: 70000\n", "a number of type int16"),
    "bands that are none": ({}, item(bands=5), "a list with one entry a band"),
    "bands as a mapping": ({}, item(bands={"a": 1}), "a list with one entry a band"),
    "one band eight times": ({}, item(bands=[{"name": "B1"}] * 8), "each once, got B1, B1"),
    "bands of another": ({}, item(bands=[{"name": f"Oa{i}"} for i in range(8)]), "Oa0, Oa1"),
    "too few bands": ({}, item(bands=[{"name": "B1"}]), "1 bands on a map"),
    "lists of two lengths": ({}, item(**V1, bands=[{"name": "B1"}]), "8 bands, as in the other lists"),
    "a scale in words": ({}, item(**{"raster:scale": "small"}), "raster:scale: expected a number"),
    "half of the scales": ({}, item(bands=[{"raster:scale": 1.0}] * 7 + [{}]), "scale: expected a number"),
    "two kinds of no data": ({}, item(bands=[{"nodata": i} for i in range(8)]), "one for all bands"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused_by_its_name(tmp_path, name):
    tags, said, words = REFUSED[name]
    with pytest.raises(DeliveryError, match=words) as fault:
        seen(tiff(tmp_path, np.ones(8, "int16"), **tags), said)
    assert "mine." in fault.value.where


def test_an_item_of_a_span_is_of_its_middle(tmp_path):
    said = item()
    said["properties"] = {
        "datetime": None,
        "start_datetime": "2021-12-16T03:04:00Z", "end_datetime": "2021-12-16T11:05:00+08:00",
    }  # fmt: skip
    path = tiff(tmp_path, np.ones(8, "int16"))
    path.with_suffix(".json").write_text(json.dumps(said))
    assert f"{tiff_scene(path, tmp_path).time:%Y-%m-%d %H:%M:%S}" == "2021-12-16 03:04:30"
    said["properties"]["end_datetime"] = "soon"
    path.with_suffix(".json").write_text(json.dumps(said))
    with pytest.raises(DeliveryError, match="moments with their zone"):
        tiff_scene(path, tmp_path)


UTM = "{UTM, 1, 1, 475000, 4150000, 30, 30, 50, North, WGS-84, units=Meters}"
HEADER = {"samples": 20, "lines": 20, "bands": 1, "data type": 2, "wavelength": "{559.2343}",
          "wavelength units": "Nanometers", "reflectance scale factor": 10000, "map info": UTM,
          "acquisition time": "2021-12-13T02:58:31Z"}  # fmt: skip
CUBE = "ZY1E_AHSI_E116.72_N37.50_20211213_011812_L1A0000389921_rc"


def cube(folder, **entries):
    """An ENVI cube of one band; entries whose name ends so are others."""
    said = HEADER | {name.replace("_", " "): value for name, value in entries.items()}
    rows = [f"{name} = {value}" for name, value in said.items() if value is not None]
    (folder / f"{CUBE}.hdr").write_text("\n".join(["ENVI", *rows]) + "\n")
    (folder / f"{CUBE}.dat").write_bytes(np.full((20, 20), 1234, "<i2").tobytes())
    return folder / f"{CUBE}.hdr"


def test_angles_that_fit_the_sky_are_kept(tmp_path):
    (lon,), (lat,) = transform("EPSG:32650", "EPSG:4326", [475_300], [4_149_700])
    plain = envi_scene(cube(tmp_path), tmp_path)
    assert plain.notes == ("sun angles computed",)
    assert plain.footprint[0][0] == pytest.approx(lon, abs=0.1)
    assert plain.footprint[0][1] == pytest.approx(lat, abs=0.1)
    said = envi_scene(cube(tmp_path, solar_zenith=62.9, solar_azimuth=162.0), tmp_path)
    assert (said.sun_zenith, said.sun_azimuth, said.notes) == (62.9, 162.0, ())
    local = envi_scene(cube(tmp_path, solar_zenith=62.9, acquisition_time="2021-12-13T10:58:31"), tmp_path)
    assert local.time == plain.time


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"solar_zenith": 200}, "solar zenith: expected 0 to 90 degrees"),
        ({"solar_zenith": -3}, "solar zenith: expected 0 to 90 degrees"),
        ({"solar_zenith": "inf"}, "solar zenith"), ({"solar_zenith": "low"}, "solar zenith.*got 'low'"),
        ({"solar_zenith": 62.9, "solar_azimuth": "nan"}, "solar azimuth: expected -180 to 360 degrees"),
        ({"solar_zenith": 40.0, "solar_azimuth": 162.0}, "sun: expected a zenith of 62"),
        ({"solar_zenith": 62.9, "solar_azimuth": 20.0}, "sun: expected a zenith of 62"),
        ({"data_gain_values": "{0.0002}"}, r"data gain values: expected none.*got 0\.0002"),
        ({"data_offset_values": "{-0.1}"}, "data offset values"),
        ({"file_type": "ENVI Classification"}, "file type: expected an image of measured numbers"),
        ({"reflectance_scale_factor": -10000}, "reflectance scale factor"),
        ({"reflectance_scale_factor": 0}, "reflectance scale factor"),
        ({"reflectance_scale_factor": 1e-320}, "reflectance scale factor"),
        ({"map_info": UTM.replace("50, N", "61, N")}, "map info: .*zone '61'"),
        ({"map_info": UTM.replace("50, N", "-50, N")}, "map info: .*zone '-50'"),
        ({"map_info": UTM.replace("North", "up")}, "map info: .*'up'"),
        ({"map_info": UTM.replace("WGS-84", "Beijing 1954")}, "map info: .*datum 'Beijing 1954'"),
        ({"map_info": UTM.replace("Meters", "Feet")}, "map info: .*units of 'feet'"),
        ({"map_info": UTM.replace("Meters}", "Meters, rotation=abc}")}, "map info"),
        ({"map_info": UTM.replace("Meters}", "Meters, rotation}")}, "map info"),
        ({"map_info": UTM.replace("Meters}", "Meters, rotation=12}")}, "map info: .*a map that is turned"),
        ({"map_info": UTM.replace("475000", "nan")}, "map info"),
        ({"map_info": UTM.replace("475000", "inf")}, "map info"),
        ({"map_info": UTM.replace("30, 30", "30, -30")}, "map info: .*pixels of 30"),
    ],
)  # fmt: skip
def test_headers_that_cannot_be_are_refused(tmp_path, entries, words):
    with pytest.raises(DeliveryError, match=words) as fault:
        envi_scene(cube(tmp_path, **entries), tmp_path)
    assert CUBE in fault.value.where


@pytest.mark.parametrize(
    ("text", "crs"),
    [
        (UTM, "EPSG:32650"), (UTM.replace(", WGS-84, units=Meters", ""), "EPSG:32650"),
        (UTM.replace("North", "South"), "EPSG:32750"), (UTM.replace("WGS-84", "WGS 84"), "EPSG:32650"),
        ("{Geographic Lat/Lon, 1, 1, 116.7, 37.5, 0.0003, 0.0003, WGS-84, units=Degrees}", "EPSG:4326"),
    ],
)  # fmt: skip
def test_places_that_are_told_in_full_are_taken(tmp_path, text, crs):
    assert read_header(cube(tmp_path, map_info=text, data_gain_values="{1.0}")).crs == crs


def test_a_note_and_a_header_must_agree_on_the_scale(tmp_path):
    path = cube(tmp_path)
    text = "sensor: zy1-02d-ahsi\ntime: 2021-12-13T02:58:31Z\n"
    path.with_suffix(".yaml").write_text(text)
    assert envi_scene(path, tmp_path).scale == 1e-4
    path.with_suffix(".yaml").write_text(text + "scale: 0.001\n")
    with pytest.raises(DeliveryError, match=re.escape("expected 0.0001, as")):
        envi_scene(path, tmp_path)
