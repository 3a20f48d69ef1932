"""The same series whatever the order and the unit of its input; and no two writers of one shard."""

import itertools
import random

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from faults.judge import Judge
from faults.project import series_of, write_cube
from faults.tally import Strike

from stsfusion import methods
from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import PlanError, StoreError
from stsfusion.running.executor import Inline
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


def test_roles_in_another_order_give_the_same_series(project, tally):
    recipe = yaml.safe_load(project.recipe.read_text())
    recipe["cubes"] = dict(reversed(recipe["cubes"].items()))
    recipe["roles"] = dict(reversed(recipe["roles"].items()))
    other = project.folder / "turned" / "tiny.yaml"
    other.parent.mkdir()
    for role in recipe["cubes"]:
        (other.parent / f"{role}.nc").symlink_to(project.folder / f"{role}.nc")
    other.write_text(yaml.safe_dump(recipe, sort_keys=False))
    out = other.parent / "out"
    flight = project.forks.run("run", other, "-q", "--set", f"output={out}")
    assert flight.code == 0, flight.printed()
    ours = CubeStore(project.kept["new"] / "fused.zarr").cube().values
    np.testing.assert_array_equal(CubeStore(out / "fused.zarr").cube().values, ours)
    assert series_of(out / "fused.zarr") is not None
    Judge(project, tally).acquit()


def made(project, recipe, *settings):
    """Counts and flags of the series that a recipe makes with these settings."""
    out = project.fresh()
    said = [word for each in (f"output={out}", *settings) for word in ("--set", each)]
    flight = project.forks.run("run", recipe, "-q", *said)
    assert flight.code == 0, flight.printed()
    with xr.open_zarr(out / "fused.zarr", chunks=None, mask_and_scale=False) as series:
        found = series.reflectance.values, series.qa.values
    project.drop(out)
    return found


def same(ours, theirs, said):
    """To the last bit, each."""
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=said)


@pytest.mark.parametrize("tile", [12, 48])
def test_tiles_of_another_size_give_the_same_series(project, tile):
    with xr.open_zarr(project.kept["new"] / "fused.zarr", chunks=None, mask_and_scale=False) as series:
        ours = series.reflectance.values, series.qa.values
    same(made(project, project.recipe, f"fuse.tile={tile}"), ours, f"tiles of {tile}")


@pytest.fixture(scope="module")
def large(project, tmp_path_factory):
    """A recipe on a scene of 1024 pixels' side, with one date of each sensor."""
    folder = tmp_path_factory.mktemp("large")
    problem = tiny_problem(size=1032, bands=4, dates=2, roles=("rich", "sharp"))
    for role in problem.observations:
        write_cube(folder / f"{role}.nc", problem, role)
    recipe = yaml.safe_load(project.recipe.read_text())
    recipe["fuse"]["tile"] = 384
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_the_series_is_the_same_for_every_size_of_tile_and_number_of_workers(project, large):
    """Tiles of 66 to 1026 pixels, which cut the scene's edge in every way; one to eight processes."""
    ours = made(project, large)
    for tile in (66, 126, 258, 510, 1026):
        shard = tile // -(-tile // 384)
        same(made(project, large, f"fuse.tile={tile}", f"fuse.shard={shard}"), ours, f"tiles of {tile}")
    for workers in (1, 2, 4, 8):
        settings = ("fuse.tile=258", "fuse.executor=local", f"fuse.workers={workers}")
        same(made(project, large, *settings), ours, f"{workers} workers")


@pytest.mark.parametrize("name", ["bicubic", "lineartime", "gsa"])
@pytest.mark.parametrize("gain", [0.25, 2.0, 8.0])
def test_a_gain_of_the_input_is_the_gain_of_the_output(name, gain):
    """Powers of two, which change no digit: what differs is what depends on an absolute size."""
    method = methods.create({"name": name})
    problem = tiny_problem(size=48, bands=6, dates=3, roles=("rich", "sharp")).question()
    louder = problem.with_observations(
        {
            role: type(seen)(seen.data * gain, seen.valid, seen.view, seen.noise)
            for role, seen in problem.observations.items()
        }
    )
    soft = method.fit([problem]).fuse(problem).values
    loud = method.fit([louder]).fuse(louder).values
    assert isinstance(soft, torch.Tensor)
    torch.testing.assert_close(loud / gain, soft, rtol=1e-5, atol=1e-6)


def test_two_writers_of_one_shard_are_refused_before_anything_is_written(tmp_path, tally):
    """Windows that cut a shard, drawn at random; and a tile that is planned twice."""
    spec = CubeSpec(
        Grid((48, 48), 10.0, (0.0, 480.0), "EPSG:32650"), (0,), ("a",), (500.0,), shard=12, inner=12
    )
    store = CubeStore(tmp_path / "s.zarr")
    store.create("", spec)
    dice = random.Random(0)
    cuts = [(a, b) for a, b in itertools.combinations(range(49), 2) if a % 12 or (b % 12 and b != 48)]
    for number in range(100):
        rows, cols = dice.choice(cuts), dice.choice([(0, 12), dice.choice(cuts)])
        window = Window((0, 1), rows, cols)
        values = np.zeros((1, 1, rows[1] - rows[0], cols[1] - cols[0]), dtype=np.float32)
        with pytest.raises(StoreError, match="whole shards"):
            store.write("", window, values, values == 0)
        tally.strikes.append(Strike("shard of two writers", "plan", str(window), str(number)))
    assert not list((tmp_path / "s.zarr").glob("reflectance/c/**/0"))
    with pytest.raises(PlanError, match="twice"):
        Inline().run(str, ["tile", "tile"], lambda key, end: None)
