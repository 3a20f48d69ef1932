"""`stsfusion verify` says in words, in JSON and by its exit code whether a store is whole."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.cube.filling import fill
from stsfusion.cube.schema import check
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore


@pytest.fixture
def place(tmp_path, make_cube):
    cube = check(make_cube())
    store = CubeStore(tmp_path / "cube.zarr")
    store.create("", CubeSpec.like(cube, shard=24, inner=12))
    fill(store, "", cube)
    store.publish()
    return store.path


def run(*words):
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_a_whole_store_and_a_damaged_one(place):
    whole = run(place, "-q")
    assert whole.exit_code == 0
    assert "100.0% with data" in whole.output
    shard = next(p for p in (place / "reflectance/c").rglob("*") if p.is_file())
    shard.write_bytes(shard.read_bytes()[:-3])
    harmed = run(place, "-q")
    assert harmed.exit_code == 3
    assert shard.relative_to(place).as_posix() in harmed.output.replace("\n", "")
    told = run(place, "-q", "--json")
    assert told.exit_code == 3
    (line,) = told.stdout.splitlines()
    assert json.loads(line)["code"] == 3
    assert json.loads(line)["damages"] == [{"file": shard.relative_to(place).as_posix(), "what": "cut short"}]


def test_a_folder_without_a_store_is_refused(tmp_path):
    refused = run(tmp_path)
    assert refused.exit_code == 2
    assert "nothing published" in refused.output


def test_a_store_that_cannot_be_described_names_the_file_that_is_lost(place):
    whole = (place / "time/c/0").read_bytes()
    (place / "time/c/0").unlink()
    told = CliRunner().invoke(app, ["info", str(place)])
    assert told.exit_code == 2
    assert "got time/c/0 (missing)" in told.output.replace("\n", " ")
    assert "come twice" not in told.output
    (place / "time/c/0").write_bytes(whole)
    assert CliRunner().invoke(app, ["info", str(place)]).exit_code == 0
