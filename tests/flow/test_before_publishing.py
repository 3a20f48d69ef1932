"""Between the end of a tile and its publication much may happen to it; what is shown is what was fused."""

from dataclasses import replace

import pytest
from dying import Death
from nightly import FIRST_DATES as FIRST
from nightly import deliver, night, place, recipe_in, shown
from small_project import bytes_of, here

from stsfusion.cube.verification import verify
from stsfusion.engine import exchange
from stsfusion.errors import StoreError
from stsfusion.pipeline import fusing, worker

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def spoiling(monkeypatch):
    """Lets something happen after so many tiles; gives the keys of all tiles that were fused."""
    fuse = fusing.fuse_tile

    def begin(after, happens):
        fused = []

        def spoilt(folder, stamp, key):
            record = fuse(folder, stamp, key)
            fused.append(key)
            if len(fused) == after:
                happens()
            return record

        monkeypatch.setattr(fusing, "fuse_tile", spoilt)
        return fused

    return begin


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def run_on(folder, method="lineartime"):
    """A run on what came in first; gives the bytes that it published."""
    folder.mkdir()
    deliver(folder, FIRST)
    done = here("run", recipe_in(folder, method, 1), "-q")
    assert done.exit_code == 0, done.output
    return bytes_of(place(folder))


@pytest.mark.parametrize("harm", [flip, lambda path: path.unlink()], ids=["flipped", "lost"])
def test_a_shard_that_changes_before_it_is_published_is_fused_again(tmp_path, spoiling, harm):
    tiles = spoiling(0, None)
    expected = run_on(tmp_path / "whole")

    def happens():
        (staged,) = (tmp_path / "harmed/out").glob(".fused-*.zarr")
        harm(next(path for path in sorted((staged / "reflectance/c/0").rglob("*")) if path.is_file()))

    fused = spoiling(len(tiles), happens)
    found = run_on(tmp_path / "harmed")
    assert fused == [*tiles, tiles[0]]
    assert found == expected
    assert not verify(place(tmp_path / "harmed")).damages


def test_what_a_worker_of_another_run_leaves_is_not_shown(tmp_path, spoiling, monkeypatch):
    """It was at its tile when its run was killed, and ends when the next has done all of its own."""
    recipe = recipe_in(tmp_path, "bicubic", 0, roles=("rich",))
    deliver(tmp_path, {"rich": {0: 0, 4: 0}})
    assert night(recipe).exit_code == 0
    held, refused = [], []

    def die(folder, stamp, key):
        held.append(worker.resident(folder, stamp).plan)
        raise Death

    deliver(tmp_path, {"rich": {0: 0, 4: 0, 8: 0}})
    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", die)
        with pytest.raises(Death):
            here("update", recipe, "-q")
    (plan,), keys = held, [tile.key for tile in held[0].tiles]
    deliver(tmp_path, {"rich": {0: 0, 4: 0, 8: 1}})
    others = answer(plan, plan.tiles[0])

    def late():
        """Once it has yet to look where it writes, and once it has looked."""
        with pytest.raises(StoreError, match="another one, or none") as told:
            exchange.write(plan, plan.tiles[0], others)
        refused.append(told.value)
        exchange.write(replace(plan, begun=""), plan.tiles[0], others)

    fused = spoiling(len(keys), late)
    assert night(recipe).exit_code == 0
    assert len(refused) == 1
    assert fused == [*keys, keys[0]]
    whole = tmp_path / "whole"
    whole.mkdir()
    deliver(whole, {"rich": {0: 0, 4: 0, 8: 1}})
    assert here("run", recipe_in(whole, "bicubic", 0, roles=("rich",)), "-q").exit_code == 0
    assert (shown(place(tmp_path))[1] == shown(place(whole))[1]).all()
    assert not verify(place(tmp_path)).damages


def answer(plan, tile):
    """What a plan's method says of a tile now."""
    return plan.method.fuse(exchange.read(plan, tile).problem("cpu"))
