"""Files that all dates of a store need are named when they are not what they were published as."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stsfusion.cube.factors import Factors
from stsfusion.cube.filling import fill
from stsfusion.cube.frames import harmed_frame, named, require_frame
from stsfusion.cube.manifest import Damage
from stsfusion.cube.schema import check
from stsfusion.cube.spec import CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError


@pytest.fixture
def store(tmp_path, make_cube):
    cube = check(make_cube())
    made = CubeStore(tmp_path / "cube.zarr")
    made.create("", CubeSpec.like(cube, shard=24, inner=12))
    fill(made, "", cube)
    made.publish()
    return made


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_documents_and_coordinates_are_read_and_images_are_not(store):
    assert harmed_frame(store.path) == []
    flip(next(path for path in (store.path / "reflectance/c").rglob("*") if path.is_file()))
    require_frame(store.path)
    (store.path / "band/c/0").unlink()
    flip(store.path / "x/c/0")
    assert harmed_frame(store.path) == [Damage("band/c/0", "missing"), Damage("x/c/0", "changed")]
    assert harmed_frame(store.path, factors=True) == []
    with pytest.raises(StoreError, match=r"band/c/0 \(missing\), x/c/0 \(changed\)"):
        require_frame(store.path)


def test_coordinates_that_grow_are_not_called_damaged_and_lost_ones_are(store):
    after = milliseconds(store.spec("").dates)[-1] + 86_400_000
    store.extend("", [int(after)])
    assert harmed_frame(store.path) == []
    (store.path / "time/c/0").unlink()
    assert harmed_frame(store.path) == [Damage("time/c/0", "missing")]


def test_factors_alone_are_looked_at_where_they_are_asked_for(tmp_path, make_cube):
    cube = check(make_cube())
    spec = CubeSpec.like(cube, shard=24, inner=12)
    bands = len(spec.bands)
    made = CubeStore(tmp_path / "compact.zarr")
    made.create("", replace(spec, factors=Factors.of(np.eye(2, bands), np.zeros(bands))))
    made.publish()
    (made.path / "time/c/0").unlink()
    (made.path / "basis/c/0/0").unlink()
    assert harmed_frame(made.path, factors=True) == [Damage("basis/c/0/0", "missing")]


def test_many_files_are_counted():
    files = [Damage(f"{name}/c/0", "missing") for name in "abcde"]
    assert named(files) == "a/c/0 (missing), b/c/0 (missing), c/c/0 (missing) and 2 more"
