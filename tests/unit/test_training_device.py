"""Long trainings on another device: over when nothing is gained, taken up after a death, as on the CPU."""

import pytest
import torch
from pretended import DEVICE, pretended

from stsfusion import methods
from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.learning.checkpoint import checkpoints

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU to ask"),
]


class Killed(Exception):
    """By whoever watches the training."""


def half_way(done, what):
    if done > 0.6:
        raise Killed


def lesson(method):
    return tiny_problem_for(method.card, gaps=True, dates=3).question()


def same(there, here):
    """The same was learned."""
    assert there.state.keys() == here.state.keys()
    for name, tensor in there.state.items():
        torch.testing.assert_close(tensor.cpu(), here.state[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("stsnet", {"steps": 130, "patience": 1}),
        ("srecnn", {"steps": 120, "patience": 1}),
        ("stf3dcnn", {"steps": 120, "patience": 1}),
    ],
)
def test_what_is_held_back_is_asked_there_as_here(name, settings):
    method = methods.kind(name).example(**settings)
    problem = lesson(method)
    with pretended():
        there = method.fit([problem.to(DEVICE)])
    same(there, method.fit([problem]))


@pytest.mark.parametrize("name", ["stsnet", "srecnn", "stf3dcnn", "hyconet", "usdn"])
def test_a_training_goes_on_there_where_it_was_killed(name, tmp_path):
    method = methods.kind(name).example()
    problem = lesson(method)
    with pretended(), checkpoints(tmp_path, every=0.0):
        with pytest.raises(Killed):
            method.fit([problem.to(DEVICE)], half_way)
        assert list(tmp_path.iterdir())
        there = method.fit([problem.to(DEVICE)])
    same(there, method.fit([problem]))
