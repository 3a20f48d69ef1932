"""Every recipe that comes with the project, found by its presence, can be read and planned in words."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from stsfusion import methods
from stsfusion.errors import ProblemError, RecipeError, SensorError
from stsfusion.forward.protocol import Protocol
from stsfusion.pipeline.entrants import entrants, named
from stsfusion.pipeline.footprint import footprint
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.sensing.sensor import load_sensor

FOLDER = Path(__file__).parents[2] / "pipelines"
FILES = sorted(FOLDER.glob("*"))


def check_recipe(path):
    """It loads, its methods can be made, its instruments are known and its tiles are whole shards."""
    recipe, file = load_recipe(path)
    assert file == path
    if recipe.compare is not None:
        check_comparison(recipe.compare)
        return
    if recipe.compare_series is not None:
        check_series(recipe.compare_series)
        return
    for settings in (recipe.fuse.method, *recipe.evaluate.compare):
        methods.create(settings)
    for role in ("rich", "sharp", "dense"):
        sensor = recipe.roles.spec(role).sensor
        assert sensor is None or load_sensor(sensor, FOLDER).name == sensor
    assert recipe.fuse.tile % recipe.fuse.shard_size == 0
    if recipe.simulate is not None:
        given = recipe.simulate.protocol.model_dump()
        Protocol(**{field.name: given[field.name] for field in fields(Protocol)})


def check_comparison(asked):
    """Its methods can be made, no two rows have one name, its sensor and its footprints are known."""
    assert len(entrants(asked)) >= 2
    assert load_sensor(asked.msi, FOLDER).name == asked.msi
    for psf in asked.psfs:
        assert footprint(psf, asked.ratio).sum() == pytest.approx(1.0)
        asked.protocol(psf)


def check_series(asked):
    """Its methods can be made, no two rows have one name, it is about one of them, its protocol holds."""
    labels = [row.label for row in named(asked.methods, quick=asked.profile == "quick")]
    assert len(labels) >= 2
    assert asked.about is None or asked.about in labels
    given = asked.protocol.model_dump()
    protocol = Protocol(**{field.name: given[field.name] for field in fields(Protocol)})
    for role in ("sharp", "dense"):
        assert protocol.sensor(role).name == given[role]


def test_the_folder_holds_recipes_alone():
    assert {path.suffix for path in FILES} <= {".yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe(path):
    check_recipe(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_found_by_its_name_from_anywhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(path.stem)[1].resolve() == path.resolve()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cubes: {rich: a}\nfuse: {method: gsa, tiel: 96}\n", RecipeError),
        ("cubes: {rich: a}\nfuse: {method: gsaa}\n", RecipeError),
        ("cubes: {rich: a}\nfuse: {method: gsa, tile: 100, shard: 96}\n", AssertionError),
        ("cubes: {rich: a}\nroles: {sharp: no-such}\nfuse: {method: gsa}\n", SensorError),
        ("compare: {msi: no-such, methods: [gsa]}\n", SensorError),
        ("compare: {methods: [gsa, gsa]}\n", RecipeError),
        ("compare: {methods: [gsa], assumed: []}\n", AssertionError),
        ("compare: {psfs: ['gaussian:0.01']}\n", ProblemError),
        ("compare_series: {methods: [gsa, gsa]}\n", RecipeError),
        ("compare_series: {methods: [gsa, bicubic], about: mixreg}\n", AssertionError),
        ("compare_series: {methods: [gsa, bicubic], protocol: {dense: no-such}}\n", SensorError),
    ],
)
def test_a_broken_twin_is_caught(tmp_path, text, error):
    path = tmp_path / "twin.yaml"
    path.write_text("cubes: {rich: a}\nfuse: {method: gsa, tile: 96}\n")
    check_recipe(path)
    path.write_text(text)
    with pytest.raises(error):
        check_recipe(path)
