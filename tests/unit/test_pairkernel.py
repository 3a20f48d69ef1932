"""The point spread function that a question's own images tell, and what is coarsened with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pairscenes import changed, pair_problem

from stsfusion.errors import ProblemError
from stsfusion.fusion.wald import coarsen
from stsfusion.learning.pairkernel import told_kernel
from stsfusion.operators.blur import Blur, box_kernel, gaussian_kernel

TRUE, NOMINAL = gaussian_kernel(1.2, 3), gaussian_kernel(6.0, 3)
"""Narrow optics, and what a user who does not know them writes down."""


def question(known=False, kernel=TRUE, said=NOMINAL):
    """A pair seen through one kernel and stated with another."""
    problem = pair_problem(size=(144, 144), kernel=kernel, noise=0.0, known=known)
    return changed(problem, rich=lambda rich: replace(rich, view=restated(rich.view, said, known)))


def restated(view, kernel, known):
    own = view.spatial
    return replace(view, spatial=Blur(kernel.to(own.kernel), own.ratio, own.shape, known=known))


def gap(wald, response):
    """How far what the sharp sensor would see of the labels is from its coarsened image."""
    told = torch.einsum("lb,tbyx->tlyx", response, wald.labels.data)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    return float((told - wald.problem.sharp.data)[inner].square().mean().sqrt())


@pytest.mark.parametrize("true", [TRUE, box_kernel(3), gaussian_kernel(4.0, 3)])
def test_coarsened_images_fit_the_labels_whatever_was_stated(true):
    problem = question(kernel=true)
    response = problem.sharp.view.spectral.matrix.float()
    own, stated = (coarsen(problem, kernel=k) for k in (told_kernel(problem), None))
    assert gap(own, response) < 0.25 * gap(stated, response)


def test_what_is_known_is_left_alone():
    problem = question(known=True)
    assert told_kernel(problem) is None
    one, other = coarsen(problem), coarsen(problem, kernel=told_kernel(problem))
    assert torch.equal(one.problem.sharp.data, other.problem.sharp.data)


def test_without_a_sharp_image_of_the_day_nothing_is_told():
    problem = pair_problem(size=(36, 36), known=False, days=(0.0, 5.0), rich_dates=[0], sharp_dates=[1])
    assert told_kernel(problem) is None
    assert told_kernel(replace(problem, sharp=None)) is None
    dark = changed(question(), sharp=lambda sharp: replace(sharp, valid=torch.zeros_like(sharp.valid)))
    assert told_kernel(dark) is None


def test_bands_that_look_elsewhere_or_optics_that_cannot_be_told_tell_nothing(monkeypatch):
    def elsewhere(sharp):
        spectral = replace(sharp.view.spectral, matrix=torch.zeros_like(sharp.view.spectral.matrix))
        return replace(sharp, view=replace(sharp.view, spectral=spectral))

    assert told_kernel(changed(question(), sharp=elsewhere)) is None

    def refused(*given):
        raise ProblemError("pair", expected="another", got="this")

    monkeypatch.setattr("stsfusion.learning.pairkernel.model_for", refused)
    assert told_kernel(question()) is None
