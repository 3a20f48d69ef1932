"""Scores of a run: the published method stands in them once."""

from __future__ import annotations

import pytest

from stsfusion import methods
from stsfusion.pipeline.evaluate import others


@pytest.mark.parametrize("asked", ["gsa", {"name": "gsa"}])
def test_the_published_method_is_no_rival_of_its_own(asked):
    assert others(methods.create("gsa"), ["bicubic", asked, "lineartime"]) == ["bicubic", "lineartime"]


def test_the_same_method_with_other_settings_is_a_rival():
    other = {"name": "stsnet", "steps": 7}
    assert others(methods.create("stsnet"), [other, "stsnet"]) == [other]
    assert others(methods.create(other), [other, "stsnet"]) == ["stsnet"]


def test_methods_within_a_chain_are_compared_too():
    chain = {"name": "chain", "first": {"name": "starfm"}, "then": {"name": "gsa"}}
    another = {**chain, "then": {"name": "cnmf"}}
    assert others(methods.create(chain), [chain, another]) == [another]
