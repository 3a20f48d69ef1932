"""Offsets: found where they are, none made up, and taken away before anything is made of dense values."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.examples import tiny_problem
from stsfusion.learning.jointoffsets import with_offsets
from stsfusion.learning.jointoptics import JointOptics
from stsfusion.learning.offsets import offsets
from stsfusion.methods.jointlr import JointLR


def _pairs(added: torch.Tensor, gain: float = 1.0) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """(b, n) values and what they should be, of dates 0, 2 and so on."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for place, own in enumerate(added):
        said = 0.1 + 0.1 * torch.rand(len(own), 900, generator=generator)
        noise = 0.003 * torch.randn(said.shape, generator=generator)
        found[2 * place] = gain * said + own[:, None] + noise, said
    return found


def test_what_all_dates_have_added_reaches_dates_that_nothing_is_known_of():
    added = torch.tensor([0.03, -0.02, 0.0, 0.02]).repeat(3, 1)
    found = offsets(_pairs(added, gain=1.05), 6, 4)
    assert torch.allclose(found, added[0].repeat(6, 1), atol=0.003)


def test_what_a_date_has_of_its_own_stays_its_own():
    added = torch.zeros(3, 4)
    added[1] = 0.04
    found = offsets(_pairs(added), 6, 4)
    assert torch.allclose(found[2], added[1], atol=0.006)
    assert float(found[[0, 4]].abs().max()) < 0.006
    assert float(found[[1, 3, 5]].abs().max()) < 0.003, "a veil of one date is laid on dates nobody knows"


def test_chance_and_misfit_are_no_offsets():
    assert not bool(offsets(_pairs(torch.zeros(3, 4)), 6, 4).any())
    assert not bool(offsets(_pairs(torch.zeros(3, 4), gain=1.1), 6, 4).any())
    assert not bool(offsets(_pairs(torch.full((3, 4), 0.001)), 6, 4).any())
    assert torch.equal(offsets({}, 3, 2), torch.zeros(3, 2))


def test_noise_that_both_have_in_common_is_no_slope():
    noise = 0.001 * torch.randn(4, 900, generator=torch.Generator().manual_seed(0))
    same = {0: (0.3 + noise, 0.3 + 0.01 * noise)}
    assert float(offsets(same, 1, 4).abs().max()) > 20.0
    assert not bool(offsets(same, 1, 4, torch.full((4,), 0.001)).any())
    given = offsets(_pairs(torch.full((3, 4), 0.03)), 6, 4, torch.full((4,), 0.001))
    assert torch.allclose(given, torch.full((6, 4), 0.03), atol=0.006), "a true one is still found"


@pytest.mark.parametrize("added", [0.0, 0.03])
def test_dense_values_are_seen_without_what_is_added(added):
    problem = tiny_problem(size=72).question()
    (dense,) = problem.require("dense")
    wrong = problem.with_observations({"dense": replace(dense, data=dense.data + added)})
    settings = JointLR.example()._settings
    found = with_offsets(JointOptics.learn([wrong], "given"), [wrong], settings)
    mended = found(wrong).require("dense")[0].data
    if not added:
        assert found.added is None
        assert torch.equal(mended, dense.data)
        return
    assert float((mended - dense.data).abs().max()) < 0.2 * added
    again = JointOptics.of(found.tensors())
    assert torch.equal(again(wrong).require("dense")[0].data, mended)
    late = replace(again, days=again.days[:-1], added=again.added[:-1])
    assert torch.allclose(late(wrong).require("dense")[0].data, mended, atol=0.005)
