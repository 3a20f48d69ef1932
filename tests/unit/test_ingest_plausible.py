"""Reflectance that cannot be is told in the lineage and to the user, band by band; what can be is not."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import rasterio
from deliveries import GAINS, VNIC, WFV, deliver, write_tiff

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.options import Options
from stsfusion.ingest.plausible import doubts
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

NAMES = load_sensor("zy1-02d-vnic").names


def pixels(*levels):
    values = np.tile(np.array(levels, dtype=float)[:, None], (1, 1000))
    return values, np.ones(values.shape, dtype=bool)


def said(values, valid, nm=600.0, above_air=True):
    bands = [f"B{i}" for i in range(len(values))]
    return doubts(values, valid, bands, [nm] * len(values), above_air=above_air)


def test_what_can_be_is_not_doubted():
    assert said(*pixels(0.3, 1.0, 0.0)) == []
    assert said(*pixels(0.03), nm=450) == []
    assert said(*pixels(0.001), nm=450, above_air=False) == []
    values, valid = pixels(0.3)
    valid[0, :3] = False
    values[0, :3] = 99.0
    assert said(values, valid) == []


def test_what_cannot_be_is_named_with_its_band():
    assert said(*pixels(0.3, 1.4)) == ["median reflectance above 1.3: B1 1.4"]
    assert said(*pixels(-0.06, 0.3)) == ["median reflectance below what can be: B0 -0.06"]
    assert said(*pixels(0.015), nm=450) == ["median reflectance below what can be: B0 0.015"]
    values, valid = pixels(0.3, 0.3)
    values[1, :3] = 3.3
    assert said(values, valid) == ["share of pixels beyond 3.2767, which are cut: B1 0.003"]
    assert said(*pixels(*[2.0] * 7))[0].endswith("B4 2 and 2 more bands")


def chosen_of(folder, **roles):
    return choose(open_catalog(build_catalog(folder, folder.parent / "c").path, anywhere=True), roles)


def notes_of(chosen, folder, **options):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        built = build_cubes(chosen, CubeStore(folder / "cubes.zarr"), Options(register=False, **options))
    ((scene,),) = [date["scenes"] for dates in built.lineage.values() for date in dates]
    return scene["notes"], [str(one.message) for one in told]


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ([1] * 8, None),
        ([100] * 8, r"above 1\.3: B02 .* more bands"),
        ([0.1] * 8, "below what can be: B02 .*, B06 "),
        ([1] * 7 + [1000], r"pixels beyond 3\.2767, which are cut: B09 1$"),
    ],
)
def test_absurd_gains_are_told(tmp_path, factors, words):
    folder = tmp_path / "deliveries"
    deliver(VNIC, folder)
    table = {name: GAINS["MUX"] * factor for name, factor in zip(NAMES, factors, strict=True)}
    own = GainsFile(sensor="zy1-02d-vnic", source="a test", unit="W m-2 sr-1 um-1", gains=table)
    notes, told = notes_of(chosen_of(folder, sharp="zy1-02d-vnic"), tmp_path, gains={own.sensor: own})
    if words is None:
        assert not notes
        assert not told
        return
    assert any(re.search(words, note) for note in notes), notes
    assert [f"scene {VNIC.name}-MUX: {note}" for note in notes] == told


def test_gains_of_no_unit_are_refused(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC, folder)
    table = dict.fromkeys(NAMES, GAINS["MUX"]) | {"B07": 1e30}
    own = GainsFile(sensor="zy1-02d-vnic", source="a test", unit="W m-2 sr-1 um-1", gains=table)
    chosen = chosen_of(folder, sharp="zy1-02d-vnic")
    with pytest.raises(DeliveryError, match="band B07: expected a median reflectance up to 10000"):
        notes_of(chosen, tmp_path, gains={own.sensor: own})
    assert not (tmp_path / "cubes.zarr").exists()


@pytest.mark.parametrize(("end", "level"), [("-2.tiff", 0), ("-1.tiff", 4095)])
def test_an_image_of_nothing_is_told(tmp_path, end, level):
    folder = tmp_path / "deliveries"
    home = deliver(WFV, folder)
    (path,) = home.glob(f"*{end}")
    with rasterio.open(path) as file:
        counts = file.read()
    path.unlink()
    write_tiff(path, np.full_like(counts, level))
    notes, told = notes_of(chosen_of(folder, dense="gf6-wfv"), tmp_path)
    assert notes == [f"image {end[1]}: nothing but fill or saturation"]
    assert told == [f"scene {WFV.name}: {notes[0]}"]
