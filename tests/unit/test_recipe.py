"""Recipes: every fault is told with its file, its line and the nearest known word."""

from __future__ import annotations

import json

import pytest

from stsfusion import methods
from stsfusion.errors import RecipeError
from stsfusion.fusion.problem import ROLES
from stsfusion.pipeline.recipe import load_recipe, recipe_schema
from stsfusion.pipeline.sections import CubeFiles, RoleSpec
from stsfusion.pipeline.worksections import Fuse

GOOD = """\
cubes:
  rich: hyper.zarr
  sharp: {path: [a.tif, b.tif], times: [2021-12-13, 2022-01-05]}
roles:
  rich: {psf: gaussian}
  sharp: zy1-02d-vnic
fit: {tiles: 4, size: 60}
fuse:
  method:
    name: gsa
    ridge: 1e-5
  tile: 96
  budget: 1.5 GB
evaluate:
  compare:
    - bicubic
    - name: lineartime
      passes: 1
report: {title: Two sensors}
"""


@pytest.fixture
def write(tmp_path):
    def write(text=GOOD, name="mine.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def changed(old, new):
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_recipe_is_read_whole(write):
    recipe, file = load_recipe(write())
    assert file.name == "mine.yaml"
    assert recipe.cubes.files == {
        "rich": CubeFiles(path="hyper.zarr"),
        "sharp": CubeFiles(path=("a.tif", "b.tif"), times=("2021-12-13", "2022-01-05")),
    }
    assert recipe.roles.spec("sharp") == RoleSpec(sensor="zy1-02d-vnic")
    assert recipe.roles.spec("rich") == RoleSpec(psf="gaussian")
    assert recipe.roles.spec("dense") == RoleSpec()
    assert recipe.fuse.method == {"name": "gsa", "ridge": 1e-5}
    assert (recipe.fuse.tile, recipe.fuse.shard_size, recipe.fit.tiles, recipe.fit.seed) == (96, 96, 4, 0)
    assert recipe.evaluate.compare == ("bicubic", {"name": "lineartime", "passes": 1})


def test_a_recipe_cannot_be_changed(write):
    recipe, _ = load_recipe(write())
    with pytest.raises(ValueError, match="frozen"):
        recipe.output = "elsewhere"


# ---------------------------------------------------------------- misspelt, wrong, missing


@pytest.mark.parametrize(
    ("text", "line", "word", "near"),
    [
        (changed("report:", "raport:"), 19, "raport", "report"),
        (changed("  rich: hyper", "  rihc: hyper"), 2, "cubes.rihc", "rich"),
        (changed("times:", "tmes:"), 3, "cubes.sharp.tmes", "times"),
        (changed("{psf:", "{pfs:"), 5, "roles.rich.pfs", "psf"),
        (changed("size: 60", "sise: 60"), 7, "fit.sise", "size"),
        (changed("  tile:", "  tiel:"), 12, "fuse.tiel", "tile"),
        (changed("    ridge:", "    rigde:"), 11, "fuse.method.rigde", "ridge"),
        (changed("  compare:", "  compair:"), 15, "evaluate.compair", "compare"),
        (changed("      passes:", "      pases:"), 18, "evaluate.compare.1.pases", "passes"),
        (changed("{title:", "{titel:"), 19, "report.titel", "title"),
        ("simulate: {sead: 1}\nfuse: {method: gsa}\n", 1, "simulate.sead", "seed"),
        (
            "simulate:\n  protocol:\n    rich_ration: 3\nfuse: {method: gsa}\n",
            3,
            "simulate.protocol.rich_ration",
            "rich_ratio",
        ),
        ("area: {bound: [1, 2, 3, 4]}\n" + GOOD, 1, "area.bound", "bounds"),
    ],
)
def test_a_misspelt_key_names_the_nearest_its_file_and_line(write, text, line, word, near):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    assert caught.value.where.endswith(f"mine.yaml, line {line}: {word}")
    assert caught.value.expected == "a known key"
    assert caught.value.mend.startswith(f"Did you mean '{near}'?")


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (changed("tile: 96", "tile: big"), "Write a whole number, without quotes."),
        (changed("ridge: 1e-5", "ridge: small"), "Write a number, without quotes."),
        (changed("1.5 GB", "4"), "Write a text; one that looks like a number stands in quotes."),
        (changed("  tile: 96", "  executor: slrum"), "Did you mean 'slurm'?"),
        (changed("  tile: 96", "  product: tiny"), "Known: auto, compact, full."),
        (
            changed("tile: 96", "tile: big\n  wall: -1"),
            "Write a whole number, without quotes. There is one more fault: 'fuse.wall'.",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_to_write_and_where_others_are(write, text, mend):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    assert caught.value.mend == mend


@pytest.mark.parametrize(
    ("text", "line", "expected", "got"),
    [
        (changed("tile: 96", "tile: big"), 12, "integer", "'big'"),
        (changed("tile: 96", "tile: 96.5"), 12, "integer", "96.5"),
        (changed("tile: 96", "tile: 0"), 12, "greater than or equal to 1", "0"),
        (changed("tile: 96", "tile: '96'"), 12, "integer", "'96'"),
        (changed("1.5 GB", "lots"), 13, "a size such as '4 GB'", "'lots'"),
        (changed("1.5 GB", "4"), 13, "string", "4"),
        (changed("tiles: 4", "tiles: none"), 7, "integer", "'none'"),
        (changed("ridge: 1e-5", "ridge: small"), 11, "number", "'small'"),
        (changed("      passes: 1", "      passes: 1.5"), 18, "integer", "1.5"),
        (changed("  tile: 96", "  executor: cloud"), 12, "'inline', 'local', 'address', 'slurm',", "'cloud'"),
        ("area: {bounds: [1, 2, 3]}\n" + GOOD, 1, "", "[1, 2, 3]"),
        (changed("ridge: 1e-5", "ridge: -1"), 11, "greater than or equal to 0", "-1"),
        (
            changed("      passes: 1", "      passes: 1000000000"),
            18,
            "less than or equal to 64",
            "1000000000",
        ),
        (changed("tiles: 4", "seed: -1"), 7, "greater than or equal to 0", "-1"),
        (changed("tiles: 4", "seed: 9223372036854775808"), 7, "less than 9223372036854775808", "9"),
        (changed("size: 60", "size: 100000"), 7, "less than or equal to 4096", "100000"),
        (changed("  tile: 96", "  device: meta"), 12, "'auto', 'cpu', 'cuda'", "'meta'"),
        (changed("  tile: 96", "  device: ''"), 12, "'auto', 'cpu', 'cuda'", "''"),
        ("output: ''\n" + GOOD, 1, "a text that is not empty", "''"),
        ("roles: {sharp: ''}\ncubes: {rich: a.zarr}\nfuse: {method: gsa}\n", 1, "a text that is not", "''"),
        ("cubes: {rich: ' '}\nfuse: {method: gsa}\n", 1, "a text that is not", "' '"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(write, text, line, expected, got):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    assert f"mine.yaml, line {line}: " in caught.value.where
    assert expected in caught.value.expected
    assert got in caught.value.got or expected == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed("    name: gsa", "    name: gsaa"), 10),
        ("cubes: {rich: a.zarr}\nfuse: {method: gsaa}\n", 2),
        (changed("    - bicubic", "    - bicubik"), 16),
    ],
)
def test_an_unknown_method_names_the_nearest_with_its_line(write, text, line):
    with pytest.raises(
        RecipeError, match=r"expected a method's name, got '.*'\.\nDid you mean '(gsa|bicubic)'"
    ) as caught:
        load_recipe(write(text))
    assert f"mine.yaml, line {line}" in caught.value.where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cubes: {rich: a.zarr}\n", "expected the key 'fuse'"),
        ("cubes: {rich: a.zarr}\nfuse: {method: {ridge: 1}}\n", "fuse.method.name: expected the key 'name'"),
        ("cubes: {rich: a.zarr}\nfuse: {method: {name: 3}}\n", "line 2: fuse.method.name"),
        ("- a list\n", "expected keys and values"),
        ("", "expected keys and values"),
        ("fuse: {method: gsa}\nfuse: {method: gsa}\n", "each key once"),
    ],
)
def test_what_lacks_is_told(write, text, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text))


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("fuse: {method: gsa}\n", "none"),
        ("simulate: {}\n" + GOOD, "cubes and simulate"),
        ("scenes: here\n" + GOOD, "cubes and scenes"),
    ],
)
def test_one_kind_of_input(write, text, got):
    with pytest.raises(RecipeError, match=f"one of the sections 'cubes', 'scenes' and 'simulate', got {got}"):
        load_recipe(write(text))


def test_a_missing_file_names_the_nearest_recipe(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "harvest.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"recipe .*havest.*no such file\.\nDid you mean 'harvest'"):
        load_recipe("havest.yaml")
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("said", ["harvest", "harvest.yaml", "pipelines/harvest.yaml"])
def test_a_recipe_is_found_by_its_name(tmp_path, monkeypatch, said):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "harvest.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_recipe(said)[1].resolve() == tmp_path / "pipelines" / "harvest.yaml"


# ---------------------------------------------------------------- overrides


def test_values_are_set_anew(write):
    assignments = ["fuse.method.ridge=0.5", "fuse.tile=48", "roles.dense={sensor: gf6-wfv, psf: box}"]
    recipe, _ = load_recipe(write(), assignments)
    assert recipe.fuse.method == {"name": "gsa", "ridge": 0.5}
    assert recipe.fuse.tile == 48
    assert recipe.roles.spec("dense") == RoleSpec(sensor="gf6-wfv", psf="box")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("fuse.tiel=3", r"--set fuse\.tiel=3: fuse\.tiel: .*\nDid you mean 'tile'"),
        (
            "fuse.method.rigde=3",
            r"rigde=3: fuse\.method\.rigde: .*\nDid you mean 'ridge'",
        ),
        ("fuse.method={name: gsa, rigde: 1}", r"--set fuse\.method=.*\nDid you mean 'ridge'"),
        ("fuse.method=gsaa", r"--set fuse\.method=gsaa.*\nDid you mean 'gsa'"),
        ("fuse.tile", "expected a.b=c"),
    ],
)
def test_a_wrong_assignment_is_named_itself(write, assignment, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(), [assignment])


def test_a_list_cannot_be_set_anew(write):
    with pytest.raises(RecipeError, match=r"mine\.yaml, line 1: expected keys and values"):
        load_recipe(write("- a list\n"), ["fuse.tile=48"])


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices_are_known(write, device):
    assert load_recipe(write(), [f"fuse.device={device}"])[0].fuse.device == device


# ---------------------------------------------------------------- sizes, schema, digest


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4 GB", 4_000_000_000),
        ("512 MiB", 512 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("10 kB", 10_000),
        ("2 TB", 2 * 10**12),
        (None, None),
    ],
)
def test_budgets_are_bytes(text, size):
    assert Fuse(method="gsa", budget=text).budget_bytes() == size


def test_a_budget_in_place_of_a_tile_decides_over_the_series(write):
    by_budget = [load_recipe(write(), ("fuse.tile=null", f"fuse.budget={size} GB"))[0] for size in (1, 2)]
    assert by_budget[0].fuse.shard_size == 96
    assert len({recipe.fuse.cutting for recipe in by_budget}) == 2
    assert len({recipe.result_digest for recipe in by_budget}) == 2
    by_side = [load_recipe(write(), (f"fuse.budget={size} GB",))[0] for size in (1, 2)]
    assert {recipe.fuse.cutting for recipe in by_side} == {96}
    assert len({recipe.result_digest for recipe in by_side}) == 1


@pytest.mark.parametrize("text", ["4", "4 gb", "GB", "-4 GB", "4 GB more", "4 KB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="a size such as '4 GB'"):
        Fuse(method="gsa", budget=text)


@pytest.mark.parametrize(
    ("tile", "shard", "size"), [(384, None, 384), (96, None, 96), (768, None, 384), (96, 48, 48)]
)
def test_the_shard_is_the_tile_when_that_is_smaller(tile, shard, size):
    assert Fuse(method="gsa", tile=tile, shard=shard).shard_size == size


def test_the_schema_knows_every_section_and_every_method():
    schema = json.loads(json.dumps(recipe_schema()))
    assert {"cubes", "simulate", "roles", "fit", "fuse", "evaluate", "report"} <= schema["properties"].keys()
    assert set(schema["$defs"]["Roles"]["properties"]) == set(ROLES)
    names, *branches = schema["$defs"]["Method"]["anyOf"]
    assert names == {"enum": methods.names()}
    assert schema["$defs"]["Fuse"]["properties"]["method"] == {"$ref": "#/$defs/Method"}
    assert schema["$defs"]["Evaluate"]["properties"]["compare"]["items"] == {"$ref": "#/$defs/Method"}
    described = {branch["properties"]["name"]["const"]: branch for branch in branches}
    assert sorted(described) == methods.names()
    assert {"ridge", "passes", "psf", "name"} == described["gsa"]["properties"].keys()
    assert not described["gsa"]["additionalProperties"]
    assert all("name" in branch["required"] for branch in branches)


def test_every_reference_of_the_schema_leads_somewhere():
    schema = recipe_schema()
    text = json.dumps(schema)
    wanted = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert wanted
    assert wanted <= schema["$defs"].keys()


def test_the_digest_tells_sections_apart(write):
    recipe, _ = load_recipe(write())
    again, _ = load_recipe(write("# the same, said otherwise\n" + GOOD, "other.yaml"))
    other, _ = load_recipe(write(), ["fuse.tile=48"])
    assert recipe.digest("fuse", "fit") == again.digest("fit", "fuse")
    assert recipe.digest("fuse") != other.digest("fuse")
    assert recipe.digest("fit", "roles", "cubes") == other.digest("fit", "roles", "cubes")
    assert recipe.digest("fit") != recipe.digest("report")
    assert len(recipe.digest("fit")) == 64


def test_cubes_bring_their_own_grid(write):
    with pytest.raises(RecipeError, match="'bounds' alone beside cubes"):
        load_recipe(write("area: {pixel: 10}\n" + GOOD))


def test_scenes_are_laid_on_a_grid_that_is_asked_for(write):
    recipe, _ = load_recipe(
        write(
            "area: {crs: 'EPSG:32650', bounds: [0, 0, 30, 30], pixel: 10}\nscenes: here\n"
            "ingest: {ratios: {rich: 3}, terrain: 60, gains: {zy1-02d-vnic: gains.yaml}}\n"
            "fuse: {method: gsa}\n"
        )
    )
    assert recipe.ingest.ratios.rich == 3
    assert recipe.ingest.terrain == 60.0
    assert recipe.ingest.gains == {"zy1-02d-vnic": "gains.yaml"}
