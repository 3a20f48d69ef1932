"""What a regression leaves over: bands in which errors of scores cancel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from stsfusion.learning.doubt import deviation
from stsfusion.learning.experts import Looks
from stsfusion.learning.growth import foretold
from stsfusion.learning.kriging import Field, Kriging
from stsfusion.learning.leftover import LeftOver
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairnoise import PairNoise
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.pairmodel import PairModel

RATIO, SIZE = 4, 36

MODEL = PairModel(box_kernel(RATIO), torch.eye(2, 3), torch.zeros(2), torch.zeros(2), RATIO)


def fields(seed: int) -> Tensor:
    """(3, H, W) of variance one: a white one and two smooth ones."""
    dice = torch.Generator().manual_seed(seed)
    found = torch.randn(3, SIZE * RATIO, SIZE * RATIO, generator=dice)
    places = torch.arange(-24, 25).float()
    bell = torch.exp(-(places / (1.5 * RATIO)).square())
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        smooth = conv2d(found[1:, None], bell.reshape(shape), padding="same")[:, 0]
        found = torch.cat([found[:1], smooth])
    return found / found.flatten(1).std(1)[:, None, None]


@pytest.fixture(scope="module", params=[0, 1])
def case(request):
    """Three scores whose errors leave a faint smooth one in their sum, and what was not told of them."""
    rough, large, faint = fields(request.param)
    faint = 0.1 * faint
    errors = torch.stack([rough + faint, -rough - large, large])
    # Of the sum, of the first score and of the third.
    basis = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    low = MODEL.lowpass(errors)
    pair = Pair(
        coarse=torch.zeros_like(low),
        fine=torch.randn(2, *errors.shape[1:], generator=torch.Generator().manual_seed(9)) + 3.0,
        clear=torch.ones(SIZE, SIZE, dtype=torch.bool),
        known=torch.ones(SIZE * RATIO, SIZE * RATIO, dtype=torch.bool),
        coverage=torch.eye(2, 3) > 0,
        nm=torch.tensor([500.0, 600.0, 700.0]),
        ratio=RATIO,
        day=0.0,
        coarse_noise=None,
        fine_noise=None,
    )
    none = torch.zeros(3)
    kriging = Kriging.learn([low], [pair.clear], none, Field.tried(MODEL))
    over = LeftOver(
        pairs=[pair],
        model=MODEL,
        subspace=Subspace(none, basis, torch.linalg.inv(basis), torch.ones(3)),
        noise=PairNoise(none, torch.zeros(2), torch.ones(3), torch.zeros(2)),
        sampled=none,
        errors=low.flatten(1).T.double(),
        residuals=[low],
        outside=[torch.zeros_like(low)],
    )
    missed = torch.einsum("pb,pyx->byx", basis, errors - kriging(low, RATIO))
    return over, kriging, deviation(missed.flatten(1).T.double())


def test_deviation_of_bands_in_which_errors_of_scores_cancel_is_of_their_size(case):
    over, kriging, wanted = case
    doubt = over.doubt(kriging, None, Looks.learn(over.pairs[0].fine.flatten(1).T))
    assert 0.5 < float(doubt.level[0]) / float(wanted[0]) < 2.0


def test_scores_grown_one_by_one_would_have_them_much_larger(case):
    over, kriging, wanted = case
    power = over.errors.square().mean(0)
    grown = kriging.growth(power, power)
    basis, nothing = over.subspace.basis.double(), torch.zeros_like(over.errors)
    growth = foretold(over.errors, grown, basis, nothing, torch.ones(3))
    said = growth.sqrt() * deviation(over.errors @ basis)
    assert float(said[0]) > 3.0 * float(wanted[0])
