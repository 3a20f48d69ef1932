"""Items of catalogs: every extension that they name is used as it is defined; some lie across 180°."""

from __future__ import annotations

import copy
import json
import warnings
from datetime import datetime

import jsonschema
import pystac
import pytest
from deliveries import AHSI, VNIC, WFV, deliver, pack
from hypothesis import given
from hypothesis import strategies as st
from stacrules import FIELDS, VERSIONS, address, schema

from stsfusion.ingest.catalogue import build_catalog
from stsfusion.sensing import dateline
from stsfusion.sensing.catalog import open_catalog

ACROSS = AHSI.but(lon=179.999, lat=10.0, utc=datetime(2021, 12, 12, 22, 30), lines=6, samples=20)
"""Its images are 600 m wide; the meridian runs through them."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """An item of each instrument, one of them across the meridian."""
    made = tmp_path_factory.mktemp("made")
    home = made / "deliveries"
    for order in (AHSI.but(lines=6, samples=5), WFV.but(lines=6, samples=5), ACROSS):
        deliver(order, home)
    pack(deliver(VNIC.but(lines=6, samples=5), made / "else"), folder=home)
    built = build_catalog(home, made / "mine")
    assert [one.reason for one in built.found.refused] == []
    return made / "mine"


def items(catalog):
    found = [json.loads(path.read_text()) for path in catalog.rglob("*.json")]
    return [item for item in found if item["type"] == "Feature"]


def names(item):
    return [url.split("/")[-3] for url in item["stac_extensions"]]


def faults(item):
    return [
        error.message
        for name in names(item)
        for error in jsonschema.Draft7Validator(schema(name)).iter_errors(item)
    ]


def test_every_item_validates_with_every_extension_that_it_names(catalog, capsys):
    found = items(catalog)
    assert len(found) == 5
    tried = 0
    for item in found:
        assert {"eo", "view", "projection", "processing", "file"} <= set(names(item))
        assert item["stac_extensions"] == [address(name) for name in names(item)]
        assert faults(item) == []
        tried += len(names(item))
    assert {name for item in found for name in names(item)} == set(VERSIONS)
    with capsys.disabled():
        print(f"\nSTAC: {len(found)} items, {tried} times an extension's rules")


def test_the_rules_themselves_are_schemas():
    for name in FIELDS:
        jsonschema.Draft7Validator.check_schema(schema(name))


def raster_of(item):
    return next(asset for asset in item["assets"].values() if "bands" in asset)


SPOILED = {
    "cloud": lambda item: item["properties"].update({"eo:cloud_cover": 101}),
    "sun": lambda item: item["properties"].update({"view:sun_azimuth": -1}),
    "field of no extension": lambda item: item["properties"].update({"eo:clouds": 1}),
    "wavelength in a band": lambda item: raster_of(item)["bands"][0].update({"eo:center_wavelength": "blue"}),
    "shape": lambda item: raster_of(item).update({"proj:shape": [1, 2, 3]}),
    "code": lambda item: raster_of(item).update({"proj:code": 32650}),
    "checksum": lambda item: raster_of(item).update({"file:checksum": "1220XYZ"}),
    "level": lambda item: item["properties"].update({"processing:level": 1}),
    "scale": lambda item: raster_of(item)["bands"][0].update({"raster:scale": "1"}),
    "named and not used": lambda item: [
        said.pop(key)
        for said in (item["properties"], *item["assets"].values())
        for key in list(said)
        if key.startswith("file:")
    ],
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_not_as_defined_is_found(catalog, name):
    item = copy.deepcopy(next(item for item in items(catalog) if "ZY1E_AHSI_E116" in item["id"]))
    assert faults(item) == []
    SPOILED[name](item)
    assert faults(item) != []


def test_pystac_reads_the_extensions_too(catalog):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in items(catalog):
            item = pystac.Item.from_dict(found)
            assert item.ext.has("view")
            assert 0 <= item.ext.view.sun_azimuth <= 360
            asset = next(a for a in item.assets.values() if "proj:shape" in a.extra_fields)
            assert asset.ext.file.checksum.startswith("1220")
            assert len(asset.ext.proj.shape) == 2


def test_a_scene_across_the_meridian_is_split(catalog):
    item = next(item for item in items(catalog) if "E180.00" in item["id"])
    west, south, east, north = item["bbox"]
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert 9.9 < south < north < 10.1
    geometry = item["geometry"]
    assert geometry["type"] == "MultiPolygon"
    assert len(geometry["coordinates"]) == 2
    for (ring,), (least, most) in zip(geometry["coordinates"], ((west, 180), (-180, east)), strict=True):
        assert ring[0] == ring[-1]
        lons = [lon for lon, _ in ring]
        assert (min(lons), max(lons)) == pytest.approx((least, most), abs=1e-9)
    scenes = open_catalog(catalog, [catalog.parent]).scenes
    scene = next(scene for scene in scenes if scene.name == item["id"])
    assert dateline.box(scene.footprint) == tuple(item["bbox"])
    assert len(scene.footprint) == 4
    collection = json.loads((catalog / "zy1-02d-ahsi" / "collection.json").read_text())
    left, _, right, _ = collection["extent"]["spatial"]["bbox"][0]
    assert (left, right) == (pytest.approx(116.72, abs=0.01), east)


@pytest.mark.parametrize(
    ("bounds", "there"),
    [
        ((179.99, 9, 180, 11), True), ((-180, 9, -179.9999, 11), True), ((179.9, 9, -179.9, 11), True),
        ((-180, 9, 180, 11), True), ((0, 9, 10, 11), False), ((-179.9, 9, 179.9, 11), False),
        ((179.99, 11, 180, 12), False),
    ],
)  # fmt: skip
def test_it_is_found_from_either_side(catalog, bounds, there):
    found = open_catalog(catalog, [catalog.parent]).find(bounds=bounds)
    assert any("E180.00" in scene.name for scene in found) == there


def rings():
    """Small quadrilaterals anywhere, some across."""
    sizes = st.floats(0.01, 20)
    return st.builds(
        lambda lon, lat, w, h: [
            ((x + 180) % 360 - 180, y)
            for x, y in ((lon, lat + h), (lon + w, lat + h), (lon + w, lat), (lon, lat))
        ],
        st.floats(-180, 180), st.floats(-80, 60), sizes, sizes,
    )  # fmt: skip


@given(rings())
def test_outlines_cover_what_the_box_covers(ring):
    west, south, east, north = dateline.box(ring)
    shape = dateline.outline(ring)
    pieces = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    assert (west > east) == (len(pieces) == 2)
    lons = [lon for (piece,) in pieces for lon, _ in piece]
    assert all(-180 <= lon <= 180 for lon in lons)
    width = sum(max(x for x, _ in piece) - min(x for x, _ in piece) for (piece,) in pieces)
    assert width == pytest.approx((east - west) % 360, abs=1e-9)
    assert dateline.overlap((west, south, east, north), (west, south, west, south))
    lon, lat = dateline.middle(ring)
    assert dateline.overlap((west, south, east, north), (lon, lat, lon, lat))


@given(st.lists(rings(), min_size=1, max_size=4))
def test_a_box_around_boxes_holds_each(given_rings):
    boxes = [dateline.box(ring) for ring in given_rings]
    west, south, east, north = dateline.around(boxes)
    width = 360.0 if (west, east) == (-180.0, 180.0) else (east - west) % 360
    for left, low, right, high in boxes:
        assert south <= low <= high <= north
        start = (left - west) % 360
        start = 0.0 if start > 360 - 1e-9 else start
        assert start + (right - left) % 360 <= width + 1e-9


def test_a_box_that_ignores_the_meridian_would_go_round_the_earth():
    """What the plain smallest and largest longitude give."""
    ring = ((179.9, 11), (-179.9, 11), (-179.9, 10), (179.9, 10))
    plain = min(lon for lon, _ in ring), max(lon for lon, _ in ring)
    assert plain[1] - plain[0] > 359
    assert dateline.box(ring) == pytest.approx((179.9, 10, -179.9, 11))
    assert dateline.around([dateline.box(ring), (-10.0, 0.0, 5.0, 1.0)]) == pytest.approx((179.9, 0, 5, 11))
