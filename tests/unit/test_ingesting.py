"""Where the tiles of scenes are made, and what begins them anew."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stsfusion.cube.grid import Grid
from stsfusion.ingest.choose import Chosen, Day
from stsfusion.ingest.options import Options
from stsfusion.ingest.warp import Terrain
from stsfusion.pipeline import ingesting
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.running.executor import Address, Inline, Local
from stsfusion.sensing.scene import Layer, Scene

LAYER = Layer("MUX", ("B02",), (9, 9), "uint16", (487.0,), (69.0,))
SCENE = Scene(
    "one", "zy1-02d-vnic", "ZY1-02D", "L1B", datetime(2021, 12, 13, 2, 58, tzinfo=UTC),
    ((116.0, 37.0), (116.1, 37.0), (116.1, 36.9), (116.0, 36.9)), 60.0, 160.0, "one.tar.gz", (LAYER,), (),
    archive="a" * 64,
)  # fmt: skip


def chosen_of(side, *scenes):
    days = {"sharp": tuple(Day((scene,)) for scene in scenes)}
    return Chosen(Grid((side, side), 10.0, (0.0, 0.0), "EPSG:32650"), days, {"sharp": 1})


def recipe_of(*words):
    return load_recipe("packages", words)[0]


@pytest.mark.parametrize(
    ("words", "side", "kind"),
    [
        (["fuse.executor=inline"], 5000, Inline),
        (["fuse.executor=local"], 300, Inline),
        (["fuse.executor=local"], 5000, Local),
        (["fuse.executor=cuda"], 5000, Local),
        (["fuse.executor=address", "fuse.address=tcp://127.0.0.1:1"], 300, Address),
    ],
)
def test_tiles_are_made_where_they_are_fused(words, side, kind):
    made = ingesting._executor(recipe_of(*words), chosen_of(side, SCENE), Path("jobs"), lambda said: None)
    assert isinstance(made, kind)


def test_all_that_cubes_depend_on_begins_them_anew(tmp_path):
    chosen, options = chosen_of(300, SCENE), Options()
    mask = tmp_path / "mask.tif"
    mask.write_bytes(b"1")
    stamps = [
        ingesting._stamp(*words)
        for words in (
            (chosen, options, [], "1"),
            (chosen, options, [], "2"),
            (chosen_of(301, SCENE), options, [], "1"),
            (chosen_of(300, replace(SCENE, archive="b" * 64)), options, [], "1"),
            (chosen, replace(options, normalise="pif"), [], "1"),
            (chosen, replace(options, terrain=Terrain(height=1.0)), [], "1"),
            (chosen, replace(options, masks={"one": mask}), [], "1"),
            (chosen, options, ["two: bad"], "1"),
        )
    ]
    mask.write_bytes(b"22")
    stamps.append(ingesting._stamp(chosen, replace(options, masks={"one": mask}), [], "1"))
    assert len(set(stamps)) == len(stamps)
    assert ingesting._stamp(chosen_of(300, SCENE), Options(), [], "1") == stamps[0]
