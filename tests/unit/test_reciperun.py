"""A run notes of each of its steps that it begins, and how it ends."""

from __future__ import annotations

import json

import pytest

from stsfusion.errors import PlanError
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.journal import FILE
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.reciperun import RecipeRun


@pytest.fixture
def run(tmp_path):
    recipe, file = load_recipe("demo", ())
    folder = Folder(tmp_path / "out", "demo", file)
    folder.work.mkdir(parents=True)
    return RecipeRun(recipe, file, folder, (), quiet=True)


def noted(run):
    lines = [json.loads(line) for line in (run.folder.work / FILE).read_text().splitlines()]
    return [{key: line[key] for key in ("event", "step", "why") if key in line} for line in lines[1:]]


def test_a_step_that_is_stopped_has_not_failed(run):
    with run.step("Reading"):
        pass
    with pytest.raises(KeyboardInterrupt), run.step("Fusing"):
        raise KeyboardInterrupt
    begun, over, again, stopped = noted(run)
    assert (begun, over) == (
        {"event": "step begins", "step": "Reading"},
        {"event": "step", "step": "Reading"},
    )
    assert (again, stopped) == (
        {"event": "step begins", "step": "Fusing"},
        {"event": "step stopped", "step": "Fusing"},
    )
    assert list(run.spent) == ["Reading"]


def test_a_step_that_fails_says_why(run):
    with pytest.raises(PlanError), run.step("Planning"):
        raise PlanError("tile", expected="one that there is")
    assert noted(run)[-1] == {
        "event": "step fails",
        "step": "Planning",
        "why": "PlanError: tile: expected one that there is.",
    }
