"""A plan at rest comes back as it was, with its method and what that learned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stsfusion.engine.plan import Source, make_plan
from stsfusion.engine.planfile import code_of, load_plan, method_settings, save_plan
from stsfusion.errors import MethodError, PlanError
from stsfusion.fusion.problem import Target
from stsfusion.methods import create
from stsfusion.methods.gsa import GSA
from stsfusion.operators.blur import gaussian_kernel

LEARNED = {"days": torch.tensor([0.0, 32.0]), "weights": torch.rand(2, 4, 5)}


@pytest.fixture
def plan(tmp_path):
    rich = Source("rich", "hyper", (0, 2), 3, gaussian_kernel(3, 3).numpy(), None, np.full(5, 0.002))
    sharp = Source("sharp", "sharp", (0, 2), 1, np.ones((1, 1)), np.full((4, 5), 0.2), known=False)
    return make_plan(
        inputs=tmp_path / "cubes.zarr",
        output=tmp_path / "fused.zarr",
        sources=(rich, sharp),
        target=Target((3, 5, 48, 60), torch.linspace(400, 900, 5).double(), torch.tensor([0.0, 16.5, 32.0])),
        method=GSA(passes=1).with_state(LEARNED),
        tile=24,
        shard=24,
        written=(1, 2),
    )


def same(one, other):
    return (one is None) == (other is None) and (one is None or np.array_equal(one, other))


def test_a_plan_comes_back_as_it_was(plan, tmp_path):
    plan = replace(plan, begun="a mark")
    save_plan(plan, tmp_path / "plan")
    settings = method_settings(tmp_path / "plan")
    assert settings == {"name": "gsa", "passes": 1, "psf": "estimated", "ridge": 1e-6}
    back = load_plan(tmp_path / "plan", create(settings))
    for name in ("inputs", "output", "written", "tiles", "device", "method", "begun"):
        assert getattr(back, name) == getattr(plan, name), name
    assert back.target.shape == plan.target.shape
    assert torch.equal(back.target.days, plan.target.days)
    assert torch.equal(back.target.wavelengths, plan.target.wavelengths)
    for ours, theirs in zip(back.sources, plan.sources, strict=True):
        for name in ("role", "cube", "dates", "ratio", "known"):
            assert getattr(ours, name) == getattr(theirs, name), name
        for name in ("kernel", "spectral", "noise"):
            assert same(getattr(ours, name), getattr(theirs, name)), name
    assert back.geometry == plan.geometry
    assert back.method.state.keys() == LEARNED.keys()
    assert all(torch.equal(back.method.state[name], tensor) for name, tensor in LEARNED.items())


def test_a_plan_says_whose_code_it_asks_for(plan, tmp_path):
    save_plan(plan, tmp_path / "plan", "abc")
    assert code_of(tmp_path / "plan") == "abc"
    save_plan(plan, tmp_path / "plan")
    assert code_of(tmp_path / "plan") == ""


def test_saving_it_again_gives_the_same_bytes(plan, tmp_path):
    for name in ("one", "two"):
        save_plan(plan, tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")
    )
    assert one == two


def test_paths_are_the_same_from_another_folder(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_plan(replace(plan, inputs=Path("cubes.zarr")), tmp_path / "plan")
    monkeypatch.chdir("/")
    assert load_plan(tmp_path / "plan", GSA(passes=1)).inputs == tmp_path / "cubes.zarr"


def test_a_plan_carries_no_pixels(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    assert sum(path.stat().st_size for path in (tmp_path / "plan").iterdir()) < 20_000


def test_weights_for_other_settings_are_refused(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    with pytest.raises(MethodError, match="expected settings"):
        load_plan(tmp_path / "plan", GSA(passes=2))


@pytest.mark.parametrize("text", [None, "", "{"])
def test_what_is_no_plan_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=r"expected a saved plan, got .*\nRun it again"):
        load_plan(tmp_path, GSA())


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PK\x03\x04")])
def test_a_plan_without_its_arrays_is_refused(plan, tmp_path, harm):
    save_plan(plan, tmp_path / "plan")
    harm(tmp_path / "plan" / "plan.npz")
    with pytest.raises(PlanError, match="expected a saved plan"):
        load_plan(tmp_path / "plan", GSA(passes=1))


def test_nothing_is_unpickled(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    with (tmp_path / "plan" / "plan.npz").open("wb") as file:
        np.savez(file, days=np.array([{"a": 1}], dtype=object), wavelengths=np.zeros(5))
    with pytest.raises(PlanError, match="expected a saved plan"):
        load_plan(tmp_path / "plan", GSA(passes=1))


def test_it_is_plain_json(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["shape"] == [3, 5, 48, 60]
