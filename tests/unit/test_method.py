"""What every method inherits: settings that stay, a state that is copied, geometry that is read off."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Card, FusionMethod, Geometry, silent
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.testing import tiny_problem

STATE = {"weights": torch.arange(3.0)}


def test_learning_leaves_the_method_alone():
    method = GSA(ridge=0.5)
    learned = method.with_state(STATE)
    assert not method.state
    assert learned.ridge == 0.5
    assert torch.equal(learned.state["weights"], torch.arange(3.0))
    assert type(learned) is GSA


def test_the_state_cannot_be_written_to():
    with pytest.raises(TypeError, match="assignment"):
        GSA().with_state(STATE).state["weights"] = torch.zeros(1)
    with pytest.raises(TypeError, match="assignment"):
        GSA().state["weights"] = torch.zeros(1)


def test_the_state_is_no_view_of_the_mapping_it_came_from():
    mapping = dict(STATE)
    learned = GSA().with_state(mapping)
    mapping.clear()
    assert list(learned.state) == ["weights"]


def test_gradients_are_left_behind():
    tensor = torch.ones(2, requires_grad=True) * 2
    assert not GSA().with_state({"w": tensor}).state["w"].requires_grad


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_fitted_method_is_copied_whole(again):
    problem = tiny_problem(size=24).question()
    fitted = GSA(passes=1).fit([problem])
    twin = again(fitted)
    assert twin == fitted
    assert torch.equal(twin.fuse(problem).full(), fitted.fuse(problem).full())


def test_other_settings_have_learned_nothing():
    assert not replace(GSA().with_state(STATE), passes=3).state


def test_an_unfitted_method_says_what_to_do():
    with pytest.raises(MethodError, match=r"method 'gsa'.*got one that has learned nothing\.\nCall fit"):
        GSA().fitted()
    assert GSA().with_state(STATE).fitted().keys() == STATE.keys()


def test_geometry_is_read_off_the_views():
    problem = tiny_problem(ratios=(4, 2))
    geometry = Geometry.of(problem)
    assert geometry.ratios == {"rich": 4, "sharp": 1, "dense": 2}
    assert geometry.multiple == 4
    assert geometry.reach("rich") == problem.rich.view.spatial.reach > 0
    assert geometry.reach("sharp") == 0
    assert Geometry.of(tiny_problem(ratios=(3, 2))).multiple == 6


def test_absent_roles_ask_for_nothing():
    geometry = Geometry({"rich": 3})
    assert (geometry.ratio("dense"), geometry.reach("dense"), geometry.reach("rich")) == (1, 0, 0)
    assert Geometry({}).multiple == 1


def test_defaults_are_those_of_a_method_that_learns_nothing():
    method = Bicubic()
    assert method.fit([]) is method
    assert method.span() is None
    assert FusionMethod.halo(method, Geometry({})) == 0
    assert Bicubic.example(passes=1) == Bicubic(passes=1)
    assert silent(0.5, "half") is None


def test_a_card_is_written_once():
    card = Card(name="x", title="X", source="stsfusion", needs=("rich",), fits="no")
    with pytest.raises(FrozenInstanceError):
        card.name = "y"  # type: ignore[misc]
    assert (card.uses, card.baseline, card.blind) == ((), False, False)
