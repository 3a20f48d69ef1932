"""A folder of deliveries becomes a valid static catalog; what is bad is told; nothing changes of itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pystac
import pytest
from deliveries import AHSI, VNIC, WFV, deliver, pack
from typer.testing import CliRunner

from stsfusion.cli.catalog import catalog as command
from stsfusion.ingest.catalogue import build_catalog, refused_in, strange_in
from stsfusion.ingest.files import digest
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.catalog import find_catalog, open_catalog
from stsfusion.sensing.sensor import load_sensor, sensor_names
from stsfusion.sensing.stac import CatalogError

SMALL = AHSI.but(lines=6, samples=5)
STRIPS = WFV.but(lines=6, samples=5)
PAIR = VNIC.but(lines=6, samples=5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three deliveries: one unpacked, one archive in a folder, one flat zip; and their catalog."""
    made = tmp_path_factory.mktemp("made")
    home = made / "deliveries"
    deliver(SMALL, home)
    pack(deliver(PAIR, made / "else"), "zip", nested=False, folder=home / "2021")
    pack(deliver(STRIPS, made / "else"), folder=home / "2021")
    build_catalog(home, made / "mine")
    return made


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made / "deliveries", tmp_path / "deliveries")


@pytest.fixture
def catalog(made, folder, tmp_path):
    """The deliveries' catalog; its addresses hold at the new place, too."""
    return shutil.copytree(made / "mine", tmp_path / "mine")


def listed(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def names(built):
    return [scene.name for scene in built.found.scenes]


def test_a_catalog_tells_of_every_delivery(folder, tmp_path):
    out = tmp_path / "catalogs" / "scenes" / "mine"
    built = build_catalog(folder, out)
    assert built.changed
    assert built.found.refused == ()
    assert set(names(built)) == {SMALL.name, f"{PAIR.name}-MUX", f"{PAIR.name}-PAN", STRIPS.name}
    read = open_catalog(out, [folder])
    assert [s.name for s in read.scenes] == names(built)
    for mine, its in zip(built.found.scenes, read.scenes, strict=True):
        other = {f.name for f in fields(mine) if getattr(mine, f.name) != getattr(its, f.name)}
        assert other <= {"delivery"}
        assert os.path.samefile(mine.delivery, its.delivery)
    assert not [p for p in out.parent.iterdir() if p.name != "mine"]


def test_recorded_sums_are_those_of_the_files(folder, catalog):
    scene = next(s for s in open_catalog(catalog, [folder]).scenes if s.sensor == "zy1-02d-ahsi")
    assert len(scene.files) == 9
    for file in scene.files:
        assert digest(f"{scene.delivery}/{file.path}") == file.sha256


def test_the_catalog_is_valid_without_a_net(folder, catalog, monkeypatch):
    validation = pytest.importorskip("pystac.validation.stac_validator")
    pytest.importorskip("jsonschema")
    monkeypatch.setattr(socket, "socket", lambda *a, **k: pytest.fail("a connection was asked for"))
    checker = validation.JsonSchemaSTACValidator()
    kinds = {"Feature": "Item", "Collection": "Collection", "Catalog": "Catalog"}
    seen = []
    for path in (catalog).rglob("*.json"):
        found = json.loads(path.read_text())
        kind = getattr(pystac.STACObjectType, kinds[found["type"]].upper())
        checker.validate_core(found, kind, found["stac_version"], str(path))
        seen.append(found["type"])
    assert sorted(seen) == ["Catalog", *["Collection"] * 4, *["Feature"] * 4]
    found["type"], found["links"] = "Feature", "none"
    with pytest.raises(pystac.STACValidationError):
        checker.validate_core(found, pystac.STACObjectType.ITEM, found["stac_version"], "twin")


def test_begin_and_end_are_told(folder, catalog):
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")
    said = json.loads(path.read_text())["properties"]
    moments = [datetime.fromisoformat(said[name]) for name in ("start_datetime", "datetime", "end_datetime")]
    begin = STRIPS.utc.replace(tzinfo=UTC)
    assert moments == [begin, begin, begin + timedelta(seconds=9)]
    (scene,) = open_catalog(catalog, [folder]).find("gf6-wfv")
    assert scene.span == (moments[0], moments[2])


def test_pystac_walks_the_catalog(folder, catalog):
    root = pystac.Catalog.from_file(str(catalog / "catalog.json"))
    items = list(root.get_items(recursive=True))
    assert len(items) == 4
    for item in items:
        assert item.datetime == (STRIPS if "GF6" in item.id else SMALL).utc.replace(tzinfo=UTC)
        for asset in item.get_assets().values():
            assert os.path.isfile(asset.get_absolute_href())


def test_items_say_what_the_extensions_define(folder, catalog):
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")
    item = json.loads(path.read_text())
    said = item["properties"]
    assert said["platform"] == "gf-6"
    assert said["instruments"] == ["gf6-wfv"]
    assert (said["eo:cloud_cover"], said["gsd"], said["processing:level"]) == (3, 16, "L1A")
    assert said["view:sun_elevation"] == pytest.approx(27.4, abs=0.2)
    assert 0 <= said["view:sun_azimuth"] <= 360
    assert 0 <= said["view:incidence_angle"] <= 90
    asset = item["assets"]["1-raster"]
    assert asset["proj:shape"] == [6, 5]
    assert asset["data_type"] == "uint16"
    assert [band["name"] for band in asset["bands"]] == [f"B{i}" for i in range(1, 9)]
    assert asset["bands"][0]["eo:center_wavelength"] == 0.4882
    archive = next(folder.rglob("GF6*.tar.gz"))
    assert asset["file:checksum"] == "1220" + digest(archive)
    parts = {url.split("/")[-3] for url in item["stac_extensions"]}
    assert parts == {"eo", "view", "projection", "processing", "file"}  # no gains of its own: no raster


def test_running_again_changes_nothing(folder, tmp_path):
    out = tmp_path / "mine"
    build_catalog(folder, out)
    before, inode = listed(out), out.stat().st_ino
    assert not build_catalog(folder, out).changed
    assert listed(out) == before
    assert out.stat().st_ino == inode
    shutil.rmtree(next(folder.glob("ZY1E_AHSI*")))
    assert build_catalog(folder, out).changed
    assert listed(out) != before


def test_the_order_of_files_is_nothing(folder, tmp_path, monkeypatch):
    build_catalog(folder, tmp_path / "a" / "mine")
    walk = os.walk

    def turned(*given, **more):
        for place, folders, files in walk(*given, **more):
            folders.reverse()
            yield place, folders, files[::-1]

    monkeypatch.setattr(os, "walk", turned)
    build_catalog(folder, tmp_path / "b" / "mine")
    monkeypatch.undo()
    assert listed(tmp_path / "a") == listed(tmp_path / "b")


def test_one_delivery_in_two_forms_counts_once(folder, tmp_path):
    pack(next(folder.glob("ZY1E_AHSI*")), folder=folder / "again")
    built = build_catalog(folder, tmp_path / "mine")
    assert names(built).count(SMALL.name) == 1
    (again,) = built.found.repeated
    assert again[1] == SMALL.name
    kept = next(s for s in built.found.scenes if s.name == SMALL.name)
    assert kept.archive == ""


def test_a_reprocessed_scene_supersedes_the_old_one(folder, tmp_path):
    newer = SMALL.but(number=400_000, produced="2022-03-01 00:00:00", season=0.6)
    deliver(newer, folder)
    built = build_catalog(folder, tmp_path / "mine")
    assert newer.name in names(built)
    assert built.found.superseded == ((SMALL.name, newer.name),)
    other = SMALL.but(number=400_001, utc=SMALL.utc + timedelta(seconds=12))
    deliver(other, folder)
    assert {newer.name, other.name} <= set(names(build_catalog(folder, tmp_path / "mine")))


def test_one_name_with_two_contents_is_told(folder, tmp_path):
    home = deliver(SMALL.but(season=0.9), tmp_path / "other")
    pack(home, folder=folder / "z")
    built = build_catalog(folder, tmp_path / "mine")
    assert names(built).count(SMALL.name) == 1
    (refused,) = built.found.refused
    assert "got others" in refused.reason


OTHER = "GF6_WFV_E116.7_N37.5_20211217_L1A1120152399"


def _cube(folder, *rows, name=f"{SMALL.name}_rc"):
    """An ENVI cube of one band, with other entries in its header."""
    (folder / f"{name}.dat").write_bytes(bytes(2 * 20 * 20))
    first = ["ENVI", "samples = 20", "lines = 20", "bands = 1", "data type = 2", "wavelength = {559.2}"]
    place = "map info = {UTM, 1, 1, 475000, 4150000, 30, 30, 50, North, WGS-84}"
    (folder / f"{name}.hdr").write_text("\n".join([*first, place, *rows]) + "\n")


BAD = {
    "cut archive": lambda f: (f / "x.tar.gz").write_bytes(next(f.rglob("GF6*.gz")).read_bytes()[:-500]),
    "product without an image": lambda f: next(f.glob("ZY1E*/*_SW.tif")).unlink(),
    "folder without images": lambda f: (f / "ZY1E_AHSI_E116.72_N37.50_20211213_011812_L1A0000389999").mkdir(),
    "cut image": lambda f: os.truncate(next(f.glob("ZY1E*/*_SW.tif")), 1000),
    "metadata without images": lambda f: shutil.copy(next(f.glob("ZY1E*/*89921.xml")), f / f"{OTHER}.xml"),
    "metadata without images, further down": lambda f: _file(f / OTHER / "a" / f"{OTHER}.xml"),
    "a folder called like an archive": lambda f: (f / f"{OTHER}.tar.gz").mkdir(),
    "a download that has not ended": lambda f: _file(f / f"{OTHER}.tar.gz.crdownload"),
    "an archive that is not read": lambda f: _file(f / f"{OTHER}.tar.bz2"),
    "a header with a strange scale": lambda f: _cube(f, "reflectance scale factor = -10000"),
    "a header with a scale of nothing": lambda f: _cube(f, "reflectance scale factor = 1e-320"),
    "a pipe": lambda f: os.mkfifo(f / "p.zip"),
}  # fmt: skip

MEANT = {
    "archive of a kind that is not read": lambda f: (f / f"{SMALL.name}.rar").write_bytes(b"Rar!"),
    "image of a kind that is not read": lambda f: (f / f"{STRIPS.name} (1).h5").write_bytes(b"x"),
    "image that its user made": lambda f: (f / f"{STRIPS.name}_ortho.tif").write_bytes(b"x"),
    "image with a note that is wrong": lambda f: (
        (f / "mine.tif").write_bytes(b"x"), (f / "mine.yaml").write_text("sensor: gf6-wfv\n")),
    "archive that never was one": lambda f: (f / "monday.tar.gz").write_bytes(b"no archive"),
    "archive of nothing known, of a known name": lambda f: pack(
        _file(f.parent / STRIPS.name / "a.txt").parent, "zip", folder=f / "b"),
}  # fmt: skip

STRANGE = {
    "archive of nothing known": lambda f: pack(_file(f.parent / "junk" / "a.txt").parent, folder=f),
    "archive of a crowd": lambda f: pack(_crowd(f.parent / "photos"), "zip", folder=f),
    "image without a note": lambda f: shutil.copy(next(f.glob("ZY1E*/*_SW.tif")), f / "terrain.tif"),
    "header without pixels": lambda f: (f / "a.hdr").write_text("ENVI\n"),
    "image that is a link": lambda f: (f / "l.tif").symlink_to(next(f.glob("ZY1E*/*_SW.tif"))),
    "image of a kind that is not read": lambda f: (f / "other.nc").write_bytes(b"x"),
}  # fmt: skip


def _crowd(folder):
    folder.mkdir()
    for i in range(99):
        (folder / f"{i}.jpg").write_text("x")
    return folder


def _file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_delivery_is_told_and_holds_up_no_other(folder, tmp_path, name):
    BAD[name](folder)
    out = tmp_path / "mine"
    built = build_catalog(folder, out)
    (refused,) = built.found.refused
    assert os.path.basename(refused.delivery) in refused.reason
    assert STRIPS.name in names(built)
    said = json.loads((out / "catalog.json").read_text())["stsfusion:refused"]
    assert len(said) == 1
    assert str(tmp_path) not in json.dumps(said)
    assert not build_catalog(folder, out).changed


def test_a_fault_that_nobody_has_thought_of_is_one_bad_delivery(folder, tmp_path, monkeypatch):
    def broken(product, *given, **said):
        if "AHSI" in product.name:
            raise ZeroDivisionError("of nothing")
        return product_scene(product, *given, **said)

    monkeypatch.setattr("stsfusion.ingest.look.product_scene", broken)
    found = build_catalog(folder, tmp_path / "mine").found
    (refused,) = found.refused
    assert "unexpected fault: ZeroDivisionError (of nothing)" in refused.reason
    assert len(found.scenes) == 3


def test_metadata_beside_the_archive_of_its_product_is_no_delivery(folder, tmp_path):
    _file(folder / f"{STRIPS.name}.xml")
    assert not build_catalog(folder, tmp_path / "mine").found.refused


def test_a_cube_without_a_suffix_is_found_in_an_archive(folder, tmp_path):
    home = tmp_path / "packed" / "cube"
    home.mkdir(parents=True)
    _cube(home, "reflectance scale factor = 10000")
    data = next(home.glob("*.dat"))
    data.rename(data.with_suffix(""))
    pack(home, folder=folder)
    found = build_catalog(folder, tmp_path / "mine").found
    assert not found.refused
    assert f"{SMALL.name}_rc" in [scene.name for scene in found.scenes]


def test_what_bears_a_known_name_or_a_note_is_a_bad_delivery_and_all_else_is_strange(folder, tmp_path):
    for add in (*MEANT.values(), *STRANGE.values()):
        add(folder)
    built = build_catalog(folder, tmp_path / "mine")
    found = built.found
    assert len(names(built)) == 4
    assert len(found.refused) == len(MEANT), [one.reason for one in found.refused]
    strange = {os.path.basename(one.delivery) for one in found.strange}
    assert strange == {"junk.tar.gz", "photos.zip", "terrain.tif", "a.hdr", "l.tif", "other.nc"}
    assert found.others == ()
    for one in (*found.refused, *found.strange):
        assert os.path.splitext(os.path.basename(one.delivery))[0] in one.reason
    assert len(refused_in(built.path)) == len(MEANT)
    assert len(strange_in(built.path)) == len(STRANGE)
    assert str(tmp_path) not in (built.path / "catalog.json").read_text()
    assert not build_catalog(folder, tmp_path / "mine").changed


def test_what_is_not_recognised_ends_with_3(folder, tmp_path):
    (folder / "other.nc").write_bytes(b"x")
    done = CliRunner().invoke(command, ["build", str(folder), "--out", str(tmp_path / "mine"), "-q"])
    assert done.exit_code == 3
    assert "0 bad deliveries, 1 not recognised" in done.output


def test_other_files_are_named_and_count_for_nothing(folder, tmp_path):
    (folder / "empty").mkdir()
    for name in (
        "README.txt",
        "desktop.ini",
        "2021/Thumbs.db",
        ".DS_Store",
        f"{SMALL.name}/._{SMALL.name}.xml",
    ):
        (folder / name).write_text("x")
    (folder / SMALL.name / f"{SMALL.name}_thumb.jpg").write_text("x")
    done = CliRunner().invoke(command, ["build", str(folder), "--out", str(tmp_path / "mine"), "-q"])
    assert done.exit_code == 0, done.output
    assert "no deliveries: 2021/Thumbs.db, README.txt, desktop.ini\n" in done.output
    assert "4 scenes, 0 bad deliveries; " in done.output


def test_a_linked_delivery_is_told_and_not_followed(made, folder, tmp_path):
    elsewhere = shutil.copytree(folder / SMALL.name, tmp_path / "elsewhere" / SMALL.name)
    shutil.rmtree(folder / SMALL.name)
    (folder / "new").mkdir()
    (folder / "new" / SMALL.name).symlink_to(elsewhere, target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    built = build_catalog(folder, tmp_path / "out")
    assert SMALL.name not in names(built)
    assert len(names(built)) == 3
    (bad,), (strange,) = built.found.refused, built.found.strange
    assert bad.delivery == str(folder / "new" / SMALL.name)
    assert strange.delivery == str(folder / "round")
    assert all("got a link" in one.reason for one in (bad, strange))


def test_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    given = ["build", str(folder), "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(command, given)
    assert done.exit_code == 0, done.output
    assert "4 scenes, 0 bad deliveries" in done.output
    assert SMALL.name in done.output
    assert "unchanged" in CliRunner().invoke(command, given).output
    next(folder.glob("ZY1E*/*_SW.tif")).unlink()
    done = CliRunner().invoke(command, [*given, "--quiet"])
    assert done.exit_code == 3
    assert "none called SW" in " ".join(done.output.split())
    done = CliRunner().invoke(command, [*given, "--allow-missing"])
    assert done.exit_code == 0
    assert "image SW is missing" in done.output
    done = CliRunner().invoke(command, ["build", str(tmp_path / "absent"), "--out", str(tmp_path / "x")])
    assert done.exit_code == 2


def test_one_is_counted_as_one_and_paths_stay_whole(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shutil.rmtree(folder / "2021")
    given = ["build", str(folder), "--out", str(tmp_path / "mine"), "-q"]
    assert "1 scene, 0 bad deliveries" in CliRunner().invoke(command, given).output
    next(folder.glob("ZY1E*/*_SW.tif")).unlink()
    done = CliRunner().invoke(command, given)
    assert "0 scenes, 1 bad delivery" in done.output
    assert f"product {SMALL.name}/{SMALL.name}: expected" in done.output
    assert "UTC" not in done.output


def test_only_its_own_catalogs_are_overwritten(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(CatalogError, match="something else"):
        build_catalog(folder, tmp_path / "mine")
    assert listed(tmp_path / "mine") == {"thesis.tex": b"x"}


def test_a_catalog_inside_the_folder_is_not_looked_into(folder):
    build_catalog(folder, folder / "mine")
    assert not build_catalog(folder, folder / "mine").changed


def test_an_absent_folder_is_told(tmp_path):
    with pytest.raises(DeliveryError, match="a folder of deliveries"):
        build_catalog(tmp_path / "absent", tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("beside", [(), ("README.txt", "deep/down/Thumbs.db")])
def test_a_folder_without_deliveries_is_told_what_is_looked_for(tmp_path, beside):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in beside:
        _file(empty / name)
    with pytest.raises(DeliveryError) as refusal:
        build_catalog(empty, tmp_path / "mine")
    told = str(refusal.value)
    assert f"folder {empty}" in told
    assert ("README.txt, Thumbs.db" if beside else "got nothing") in told
    for word in (".tar.gz", ".zip", ".hdr", "GeoTIFF", "ZY1E_AHSI_E", "ZY1E_VNIC_E", "GF6_WFV_E"):
        assert word in told
    assert not (tmp_path / "mine").exists()


def test_the_names_that_are_shown_are_names_of_products():
    shown = {
        sensor.name: sensor.package.example for sensor in map(load_sensor, sensor_names()) if sensor.package
    }
    named = {name: text for name, text in shown.items() if text}
    assert {"zy1-02d-ahsi", "zy1-02d-vnic", "gf6-wfv"} <= named.keys()
    for name, text in named.items():
        pattern = "|".join(load_sensor(name).package.products)
        assert re.match(pattern, text), name


def test_scenes_are_found_by_sensor_time_and_place(folder, catalog):
    found = open_catalog(catalog, [folder])
    assert [s.name for s in found.find(sensor="gf6-wfv")] == [STRIPS.name]
    noon = datetime(2021, 12, 14, tzinfo=UTC)
    assert [s.name for s in found.find(since=noon)] == [STRIPS.name]
    assert len(found.find(until=noon)) == 3
    assert len(found.find(bounds=(116.0, 37.0, 117.0, 38.0))) == 4
    assert found.find(bounds=(100.0, 37.0, 101.0, 38.0)) == ()


def test_catalogs_are_found_by_name(folder, tmp_path):
    out = tmp_path / "catalogs" / "scenes" / "shandong"
    build_catalog(folder, out)
    assert find_catalog("shandong", tmp_path) == out
    assert find_catalog(out) == out
    with pytest.raises(CatalogError, match="shandong"):
        find_catalog("shandon", tmp_path)


def change(path, edit):
    found = json.loads(path.read_text())
    edit(found)
    path.write_text(json.dumps(found))


ASTRAY = {
    "net": "http://127.0.0.1/a.tiff", "secure net": "https://127.0.0.1/a.tiff", "file": "file:///etc/hostname",
    "store": "s3://bucket/a.tiff", "GDAL": "/vsicurl/http://127.0.0.1/a.tiff", "root": "/etc/hostname",
    "up": "../../../../../../../../../../../etc/hostname", "two slashes": "//host/a.tiff", "zero": "a\0.tiff",
}  # fmt: skip


@pytest.mark.parametrize("name", ASTRAY)
@pytest.mark.parametrize("where", ["asset", "item"])
def test_addresses_that_lead_astray_are_refused(folder, catalog, name, where):
    if where == "asset":
        (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")
        change(path, lambda found: found["assets"]["1-raster"].update(href=ASTRAY[name]))
    else:
        path = catalog / "gf6-wfv" / "collection.json"
        change(path, lambda found: found["links"].append({"rel": "item", "href": ASTRAY[name]}))
    with pytest.raises(CatalogError, match=r"GF6.*\.json|collection\.json"):
        open_catalog(catalog, [folder])


def test_files_outside_are_opened_only_when_allowed(folder, catalog):
    with pytest.raises(CatalogError, match="Name the folder"):
        open_catalog(catalog)
    assert len(open_catalog(catalog, anywhere=True).scenes) == 4
    (folder / "2021" / "GF6.tar.gz").symlink_to("/etc/hostname")
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")
    text = path.read_text()
    path.write_text(text.replace(f"{STRIPS.name}.tar.gz", "GF6.tar.gz"))
    with pytest.raises(CatalogError, match="addresses below"):
        open_catalog(catalog, [folder])


BROKEN = {
    "no JSON": lambda p: p.write_text("{"),
    "deep": lambda p: p.write_text("[" * 100_000),
    "a list": lambda p: p.write_text("[]"),
    "huge": lambda p: p.write_text(" " * (2**24 + 1)),
    "no geometry": lambda p: change(p, lambda f: f.update(geometry=None)),
    "no assets": lambda p: change(p, lambda f: f.update(assets={})),
    "no date": lambda p: change(p, lambda f: f["properties"].update(datetime="yesterday")),
    "no sun": lambda p: change(p, lambda f: f["properties"].pop("view:sun_elevation")),
    "code for a number": lambda p: change(p, lambda f: f["properties"].update({"view:sun_azimuth": "exec"})),
    "no sum": lambda p: change(p, lambda f: f["assets"]["1-raster"].update({"stsfusion:sha256": "zz"})),
    "two deliveries": lambda p: change(p, lambda f: f["assets"]["1-raster"].update(href="catalog.json")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_items_are_refused(folder, catalog, name):
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")
    BROKEN[name](path)
    with pytest.raises(CatalogError, match="GF6") as refusal:
        open_catalog(catalog, [folder])
    told = str(refusal.value)
    assert f"file {path.resolve()}" in told
    assert not re.search(r"\w+(Error|Exception)\b|NoneType|object", told)


@pytest.mark.parametrize(
    ("change_of", "words"),
    [
        ({"geometry": None}, "no Polygon in 'geometry'"),
        ({"view:sun_elevation": float("nan")}, "got NaN, which is no number"),
        ({"view:sun_elevation": 127.0}, "127 in 'view:sun_elevation'"),
        ({"view:sun_elevation": None}, "a field that is absent"),
        ({"view:sun_azimuth": float("inf")}, "got Infinity"),
        ({"stsfusion:values": ...}, "no field 'stsfusion:values'"),
    ],
)
def test_what_is_wrong_with_an_item_is_said_in_words(folder, catalog, change_of, words):
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")

    def edit(found):
        ((name, value),) = change_of.items()
        place = found if name in found else found["properties"]
        place[name] = value
        if value is ...:
            del place[name]

    change(path, edit)
    with pytest.raises(CatalogError, match=words):
        open_catalog(catalog, [folder])


OUTSIDE = {
    "up": "../../../../../../../../etc/hostname", "up from inside": "a/../../../etc/hostname",
    "root": "/etc/hostname", "drive": "C:/a.tiff", "other separators": "..\\..\\a.tiff",
    "zero": "a\0.tiff", "nothing": "", "here": "./a.tiff", "twice parted": "a//b.tiff",
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("sensor", ["gf6-wfv", "zy1-02d-ahsi"])
def test_paths_that_lead_out_of_a_delivery_are_refused(folder, catalog, name, sensor):
    """One delivery is an archive, one a folder."""
    path = next((catalog / sensor).rglob("*_L1A*.json"))
    change(path, lambda f: next(iter(f["assets"].values())).update({"stsfusion:path": OUTSIDE[name]}))
    with pytest.raises(CatalogError, match="inside its delivery") as refusal:
        open_catalog(catalog, [folder], anywhere=True)
    assert path.name in str(refusal.value)
    assert repr(OUTSIDE[name]) in str(refusal.value)


@pytest.mark.parametrize("text", ["1220/etc", "1220../../../..", "1220" + "g" * 64, ""])
def test_the_sum_of_an_archive_is_one(folder, catalog, text):
    """A folder is named by it."""
    (path,) = (catalog / "gf6-wfv").rglob("GF6*.json")

    def edit(found):
        for asset in found["assets"].values():
            asset["file:checksum"] = text

    change(path, edit)
    with pytest.raises(CatalogError, match="sha256"):
        open_catalog(catalog, [folder])


def test_circles_end(folder, catalog):
    link = {"rel": "child", "href": "../catalog.json"}
    change(catalog / "gf6-wfv" / "collection.json", lambda found: found["links"].append(link))
    assert len(open_catalog(catalog, [folder]).scenes) == 4
