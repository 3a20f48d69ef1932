"""NetworkMethod through the smallest method that one can write on it."""

import pickle
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card
from stsfusion.learning.network import Lessons, NetworkMethod, part
from stsfusion.testing import tiny_problem


@dataclass
class Shift(NetworkMethod):
    """Learns one number a band: what must be added to the last band to give each."""

    steps: int = 400
    rate: float = 0.05

    @property
    def card(self):
        return Card(name="shift", title="A shift", source="none", needs=("rich",), fits="training")

    @property
    def tasks(self):
        return ("shift",)

    def prepare(self, problems, tick):
        bands = problems[0].target.shape[1]
        targets = [p.rich.data.mean((2, 3)).mean(0) for p in problems]
        wanted = torch.stack(targets).mean(0) - targets[0][-1]

        def losses(net, generator):
            noise = 0.01 * torch.randn(bands, generator=generator)
            return {"shift": (net(torch.ones(1, 1, 1, 1)).flatten() - wanted + noise).square().mean()}

        return {"wanted": wanted}, Lessons(losses)

    def build(self, state):
        return nn.Conv2d(1, len(state["wanted"]), 1)

    def fuse(self, problem):
        shift = self.network(problem.rich.data.device)(torch.ones(1, 1, 1, 1))
        values = shift.expand(problem.target.shape).clone()
        return Answer(values, torch.ones_like(values[:, :1], dtype=torch.uint8))


@pytest.fixture(scope="module")
def problem():
    return tiny_problem(roles=("rich",), size=24).question()


def test_the_network_learns_what_the_losses_ask(problem):
    method = Shift().fit([problem])
    fused = method.fuse(problem).full()[0, :, 0, 0]
    torch.testing.assert_close(fused, method.state["wanted"], atol=0.02, rtol=0)


def test_all_that_was_learned_is_in_the_state(problem):
    method = Shift(steps=3).fit([problem])
    assert set(part(method.state, "net.")) == {"weight", "bias"}
    again = Shift(steps=3).with_state(method.state)
    assert torch.equal(again.fuse(problem).full(), method.fuse(problem).full())


def test_fitting_leaves_the_method_as_it_was(problem):
    method = Shift(steps=1)
    method.fit([problem])
    assert not method.state


def test_equal_weights_are_kept_when_not_weighted(problem):
    runs = [Shift(steps=20, weighted=w).fit([problem]).state["net.bias"] for w in (True, False)]
    assert not torch.equal(*runs)


def test_the_truth_is_taken_away_before_anything_is_prepared():
    class Curious(Shift):
        def prepare(self, problems, tick):
            assert all(p.truth is None for p in problems)
            return super().prepare(problems, tick)

    Curious(steps=1).fit([tiny_problem(roles=("rich",), size=24)])


def test_a_network_is_built_once_for_all_tiles(problem):
    built = []

    @dataclass
    class Counted(Shift):
        def build(self, state):
            built.append(self.rate)
            return super().build(state)

    one, other = (Counted(steps=1, seed=seed).fit([problem]) for seed in (0, 1))
    built.clear()
    first = [one.fuse(problem).full() for _ in range(3)]
    assert len(built) == 1
    assert all(torch.equal(first[0], again) for again in first)
    assert not torch.equal(other.fuse(problem).full(), first[0]), "another state, another network"
    assert torch.equal(one.fuse(problem).full(), first[0])
    assert len(built) == 3
    one.rate = 0.5
    one.fuse(problem)
    assert built[-1] == 0.5, "other settings, another network"


def test_a_network_is_not_sent_along(problem):
    method = Shift(steps=1).fit([problem])
    bare = pickle.dumps(method)
    expected = method.fuse(problem).full()
    assert pickle.dumps(method) == bare
    assert torch.equal(pickle.loads(bare).fuse(problem).full(), expected)


def test_an_unfitted_network_is_refused(problem):
    with pytest.raises(MethodError, match="a fitted method"):
        Shift().fuse(problem)


@dataclass
class Twofold(Shift):
    """Two tasks that want different things, and something held back."""

    @property
    def tasks(self):
        return ("answer", "aside")

    def prepare(self, problems, tick):
        wanted = torch.linspace(1.0, 2.0, problems[0].target.shape[1])

        def losses(net, generator):
            said = net(torch.ones(1, 1, 1, 1)).flatten()
            noise = 0.1 * torch.randn((), generator=generator)
            return {
                "answer": (said - wanted + noise).square().mean(),
                "aside": 4 * (said + 5).square().mean(),
            }

        def judge(net):
            assert not net.training
            assert not torch.is_grad_enabled()
            return float((net(torch.ones(1, 1, 1, 1)).flatten() - wanted).square().mean())

        return {"wanted": wanted}, Lessons(losses, judge)


def said(method):
    return method.state["net.weight"].flatten() + method.state["net.bias"]


def test_all_tasks_pull_and_a_single_one_does_not(problem):
    single = Twofold(steps=600, multitask=False).fit([problem])
    torch.testing.assert_close(said(single), single.state["wanted"], atol=0.1, rtol=0)
    several = Twofold(steps=600, patience=0).fit([problem])
    assert float((said(several) - several.state["wanted"]).abs().min()) > 0.5


def test_weights_that_are_fixed_are_not_learned(problem):
    """The minimum of equal weights: one of the first and four of the second."""
    fixed = Twofold(steps=600, patience=0, weighted=False).fit([problem])
    wanted = (fixed.state["wanted"] - 20.0) / 5.0
    torch.testing.assert_close(said(fixed), wanted, atol=0.1, rtol=0)


def test_training_ends_when_what_is_held_back_is_flat(problem):
    method = Twofold(steps=4000, multitask=False, patience=1).fit([problem])
    assert 300 <= float(method.curve[-1, 0]) < 4000
    assert float(method.curve[-1, 1]) < 0.01 * float(method.curve[0, 1])


def test_without_patience_nothing_is_examined(problem):
    method = Twofold(steps=400, patience=0).fit([problem])
    assert method.curve.shape == (0, 2)
    assert "curve" not in method.state


@pytest.mark.parametrize("steps, patience, watched", [(300, 3, False), (301, 3, True), (301, 0, False)])
def test_short_trainings_hold_nothing_back(steps, patience, watched):
    assert Shift(steps=steps, patience=patience).watched is watched
