"""Features and the closed-form head on them."""

from itertools import pairwise

import pytest
import torch

from stsfusion.learning.features import Layout, products
from stsfusion.learning.head import Head
from stsfusion.learning.lessons import exercises
from stsfusion.learning.posing import Asked, choose_penalty
from stsfusion.learning.units import learn_units
from stsfusion.testing import tiny_problem

LAYOUT = Layout(rank=2, dense=3, sharp=2, axes=2)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_parts_of_the_features_lie_side_by_side():
    names = ("scores", "now", "between", "low", "sharp", "products", "codes")
    edges = [(LAYOUT.part(n).start, LAYOUT.part(n).stop) for n in names]
    assert edges[0][0] == 0
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert edges[-1][1] == LAYOUT.channels
    assert LAYOUT.part("products").stop == LAYOUT.values == 16
    assert LAYOUT.seen == 18


def sample(seen, seed=0):
    x = noise(2, LAYOUT.channels, 6, 6, seed=seed)
    x[:, LAYOUT.part("products")] = products(x[:, LAYOUT.part("now")], AXES)
    x[:, LAYOUT.seen] = seen
    return x


AXES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, -0.5]])


def test_products_are_each_with_each():
    now = noise(1, 3, 1, 1)
    a, b = float(now[0, 0] + 0.5 * now[0, 2]), float(now[0, 1] - 0.5 * now[0, 2])
    torch.testing.assert_close(products(now, AXES).flatten(), torch.tensor([a * a, a * b, b * b]))


def learned(curved):
    """Truth: scores that are linear where seen, and hold a product where unseen."""

    def truth(x, unseen):
        now = x[:, LAYOUT.part("now")]
        second = products(now, AXES)[:, 1:2] if unseen else now[:, 1:2]
        return torch.cat([x[:, :1] - now[:, :1], second], 1)

    inputs = ((sample(1.0, 1), False), (sample(0.0, 2), True))
    pairs = [[(x, truth(x, unseen), torch.ones(2, 1, 6, 6))] for x, unseen in inputs]
    return Head.learn(*pairs, LAYOUT, AXES, penalty=1e-8, curved=curved), truth


def test_seen_and_unseen_dates_have_their_own_regression():
    head, truth = learned(curved=True)
    for seen in (1.0, 0.0):
        x = sample(seen, 5)
        torch.testing.assert_close(head(x), truth(x, seen == 0.0), atol=1e-3, rtol=0)


def test_products_are_only_used_when_curved():
    head, truth = learned(curved=False)
    assert len(head.seen.slope) == LAYOUT.linear
    x = sample(0.0, 5)
    assert float((head(x) - truth(x, True)).abs().max()) > 0.1


def test_revised_features_are_answered_with_their_products():
    head, truth = learned(curved=True)
    x, better = sample(0.0, 5), noise(2, 3, 6, 6, seed=8)
    other = x.clone()
    other[:, LAYOUT.part("now")] = better
    other[:, LAYOUT.part("products")] = products(better, AXES)
    said = head.revised(x, better)
    assert torch.equal(said, head(other))
    torch.testing.assert_close(said, truth(other, True), atol=1e-3, rtol=0)


def test_without_samples_the_scores_are_kept():
    head = Head.learn([], [], LAYOUT, AXES, penalty=0.1, curved=True)
    x = sample(0.0)
    assert torch.equal(head(x), x[:, :2])


@pytest.mark.parametrize("candidates", [(1e-4, 1e-2, 1e4), (1e4, 1e-2)])
def test_the_penalty_that_hidden_dates_like_is_chosen(candidates):
    problem = tiny_problem().question()
    units = learn_units([problem], rank=4, share=1.0, axes=2, passes=2, by="test")
    asked = [Asked.of(exercise, units) for exercise in exercises([problem], 3)]
    assert choose_penalty(asked, candidates) < 1e4


def test_without_hidden_dates_the_middle_penalty_is_taken():
    problem = tiny_problem(dates=1).question()
    units = learn_units([problem], rank=4, share=1.0, axes=2, passes=2, by="test")
    asked = [Asked.of(exercise, units) for exercise in exercises([problem], 3)]
    assert choose_penalty(asked, (1.0, 2.0, 3.0)) == 2.0
