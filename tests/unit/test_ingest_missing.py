"""Deliveries that are bad or gone stop the work, unless they may be missing; then it is told everywhere."""

from __future__ import annotations

import json

import pytest
from deliveries import GAINS, VNIC, WFV, deliver, pack

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog, refused_in
from stsfusion.ingest.choose import choose
from stsfusion.ingest.missing import absent, check_gains, refuse_missing
from stsfusion.ingest.options import Options
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

LATER = WFV.but(number=1120152346, utc=WFV.utc.replace(day=20))


@pytest.fixture
def deliveries(tmp_path):
    """Two dates: a folder, and an archive."""
    folder = tmp_path / "deliveries"
    deliver(WFV, folder)
    pack(deliver(LATER, tmp_path / "aside"), folder=folder)
    return folder


def chosen_of(folder, sensor="gf6-wfv"):
    built = build_catalog(folder, folder.parent / "catalog")
    return choose(open_catalog(built.path, anywhere=True), {"dense": sensor})


def test_what_is_gone_since_it_was_catalogued_is_named(deliveries):
    chosen = chosen_of(deliveries)
    assert absent(chosen) == {}
    refuse_missing("scenes", [])
    next((deliveries / WFV.name).glob("*-2.tiff")).unlink()
    (deliveries / f"{LATER.name}.tar.gz").unlink()
    gone = absent(chosen)
    assert set(gone) == {WFV.name, LATER.name}
    assert f"{WFV.name}-2.tiff" in gone[WFV.name]
    with pytest.raises(DeliveryError, match=r"(?s)2 that cannot.*allow_missing"):
        refuse_missing("scenes", list(gone.values()))


@pytest.mark.parametrize("allowed", [False, True])
def test_what_has_changed_since_is_left_out_only_where_that_is_allowed(deliveries, tmp_path, allowed):
    chosen = chosen_of(deliveries)
    path = deliveries / f"{LATER.name}.tar.gz"
    path.write_bytes(path.read_bytes() + b"more")
    store = CubeStore(tmp_path / "cubes.zarr")
    if not allowed:
        with pytest.raises(DeliveryError, match=r"as recorded"):
            build_cubes(chosen, store)
        assert not store.path.exists()
        return
    built = build_cubes(chosen, store, Options(allow_missing=True), missing=["early.zip: no archive"])
    assert [[scene.name for scene in day] for day in built.scenes["dense"]] == [[WFV.name]]
    early, late = store.spec("dense").attributes["missing"]
    assert early == "early.zip: no archive"
    assert LATER.name in late
    assert "as recorded" in late
    assert str(tmp_path) not in late
    assert built.missing == (early, late)
    assert store.spec("dense").shape[0] == 1


def test_a_role_without_any_scene_left_is_refused(deliveries, tmp_path):
    chosen = chosen_of(deliveries)
    for path in (deliveries / f"{LATER.name}.tar.gz", next((deliveries / WFV.name).glob("*-1.tiff"))):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DeliveryError, match=r"a scene that can be used.*sha256"):
        build_cubes(chosen, CubeStore(tmp_path / "cubes.zarr"), Options(allow_missing=True))


def test_a_catalog_keeps_what_it_refused(deliveries):
    (deliveries / "junk.tar.gz").write_bytes(b"no archive")
    built = build_catalog(deliveries, deliveries.parent / "catalog")
    (reason,) = refused_in(built.path)
    assert "junk.tar.gz" in reason
    (deliveries / "junk.tar.gz").unlink()
    assert refused_in(build_catalog(deliveries, built.path).path) == []


def test_gains_that_lack_are_never_taken_for_a_missing_delivery(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC, folder)
    chosen = chosen_of(folder, "zy1-02d-vnic")
    with pytest.raises(DeliveryError, match=r"ingest\.gains\.zy1-02d-vnic=FILE"):
        build_cubes(chosen, CubeStore(tmp_path / "cubes.zarr"), Options(allow_missing=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sensor": "gf6-wfv"}, "gains of gf6-wfv"),
        ({"gains": {"B02": 0.05}}, "none of B03"),
        ({"years": (2020,)}, "2020"),
    ],
)
def test_gains_that_do_not_fit_are_refused_before_anything_is_unpacked(tmp_path, change, words):
    folder = tmp_path / "deliveries"
    deliver(VNIC, folder)
    chosen = chosen_of(folder, "zy1-02d-vnic")
    names = load_sensor("zy1-02d-vnic").names
    said = {"sensor": "zy1-02d-vnic", "source": "a test", "unit": "W m-2 sr-1 um-1"}
    own = GainsFile(**{**said, "gains": dict.fromkeys(names, GAINS["MUX"]), **change})
    with pytest.raises(DeliveryError, match=words) as refusal:
        check_gains(chosen, {"zy1-02d-vnic": own})
    assert "gains: {B02: …" in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("view:sun_elevation", 60.0), ("view:sun_azimuth", 20.0), ("datetime", "2021-06-16T03:04:29Z")],
)
def test_a_sun_that_the_catalog_puts_elsewhere_is_refused(tmp_path, field, value):
    folder = tmp_path / "deliveries"
    deliver(WFV, folder)
    chosen = chosen_of(folder)
    check_gains(chosen, {})
    (path,) = (tmp_path / "catalog").rglob("GF6*.json")
    item = json.loads(path.read_text())
    item["properties"][field] = value
    path.write_text(json.dumps(item))
    moved = choose(open_catalog(tmp_path / "catalog", anywhere=True), {"dense": "gf6-wfv"})
    with pytest.raises(DeliveryError, match=rf"scene {WFV.name}: sun.*expected an elevation of \d"):
        check_gains(moved, {})
    store = CubeStore(tmp_path / "cubes.zarr")
    with pytest.raises(DeliveryError, match="sun in the catalog"):
        build_cubes(moved, store)
    assert not store.path.exists()
