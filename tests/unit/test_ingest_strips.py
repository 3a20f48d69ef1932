"""Strips and detectors of one product: what lies apart, or is another's, is told."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import rasterio
from deliveries import AHSI, GROUND, LAT, LON, WFV, deliver, write_tiff
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.merge import merged
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.strips import joints
from stsfusion.ingest.view import open_view
from stsfusion.ingest.warp import Terrain

STRIPS = WFV.but(lines=90, samples=110)


def grid_of(pixel, rows, cols):
    (x,), (y,) = transform("EPSG:4326", "EPSG:32650", [LON], [LAT])
    corner = round(x / 30) * 30 - cols * pixel / 2, round(y / 30) * 30 + rows * pixel / 2
    return Grid((rows, cols), pixel, corner, "EPSG:32650")


def looked_at(home, grid, look):
    (product,) = products(files_below(home, Limits()))
    scene = product_scene(product, home)
    with open_view(scene, home, terrain=Terrain(height=GROUND)) as view:
        return look(view, grid)


def told(home, grid):
    """Notes and warnings of a scene that is merged."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        view, _ = looked_at(home, grid, merged)
    name = view.scene.name
    assert [str(one.message) for one in said] == [f"scene {name}: {note}" for note in view.scene.notes]
    return view.scene.notes


def moved(home, end, pixels):
    """An RPC that says its samples lie elsewhere."""
    (path,) = home.glob(f"*{end}")
    shifted = re.sub(
        r"sampOffset = ([\d.]+)", lambda found: f"sampOffset = {float(found[1]) + pixels}", path.read_text()
    )
    path.write_text(shifted)


def swapped(home, one, other):
    first, second = (next(home.glob(f"*{end}")) for end in (one, other))
    texts = first.read_bytes(), second.read_bytes()
    first.write_bytes(texts[1])
    second.write_bytes(texts[0])


@pytest.fixture
def home(tmp_path):
    return deliver(STRIPS, tmp_path)


GRID = grid_of(16.0, 96, 260)


def test_strips_that_fit_are_not_told_of(home):
    found = looked_at(home, GRID, joints)
    assert [one.names for one in found] == [("1", "2"), ("2", "3")]
    assert all(one.windows >= 2 and one.alike == one.windows for one in found)
    assert max(np.hypot(one.down, one.right) for one in found) < 0.3
    assert told(home, GRID) == ()


def test_a_strip_that_lies_apart_is_told(home):
    moved(home, "-3.rpb", 2.5)
    assert told(home, GRID) == (
        "strips 2 and 3 lie 2.5 pixels apart in their overlap: an RPC may be another's",
    )


@pytest.mark.parametrize("end", [".rpb", ".tiff"])
def test_strips_that_change_places_are_told(home, end):
    swapped(home, f"-1{end}", f"-3{end}")
    notes = told(home, GRID)
    assert any("1 and 2" in note for note in notes)
    assert any("2 and 3" in note for note in notes)


def test_a_level_overlap_says_nothing(home):
    for path in home.glob("*.tiff"):
        with rasterio.open(path) as file:
            counts = file.read()
        path.unlink()
        counts[:] = 700 + int(path.stem[-1])
        write_tiff(path, counts)
    assert [one.windows for one in looked_at(home, GRID, joints)] == [0, 0]
    assert told(home, GRID) == ()


def test_a_detector_far_from_the_other_is_told(tmp_path):
    grid = grid_of(30.0, 72, 72)
    home = deliver(AHSI.but(lines=90, samples=90), tmp_path)
    moved(home, "_SW.rpb", 1.5)
    assert told(home, grid) == ()
    moved(home, "_SW.rpb", 1.2)
    (note,) = told(home, grid)
    assert re.fullmatch(r"detector SW lies 2\.[678] pixels off the other: its RPC may be another's", note)
