"""What a regression leaves over: bands in which errors of scores cancel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from stsfusion.learning.doubt import Doubt, deviation, signs
from stsfusion.learning.experts import Looks
from stsfusion.learning.growth import clean, foretold
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


def test_growth_is_the_mean_of_both_as_far_as_noise_leaves_bands_to_be_seen(case):
    """Put together by hand: noise in the coarse image, what no score holds, a fit that follows its pixels."""
    plain, kriging, _ = case
    dice = torch.Generator().manual_seed(5)
    outside = 0.3 * torch.randn(3, SIZE, SIZE, generator=dice) + 0.1 * plain.residuals[0]
    sampled, coarse = torch.tensor([0.002, 0.01, 0.02]), torch.tensor([0.002, 0.03, 0.05])
    over = replace(
        plain,
        errors=1.4 * plain.errors,
        outside=[outside],
        sampled=sampled,
        noise=replace(plain.noise, coarse=coarse),
    )
    looks = Looks.learn(over.pairs[0].fine.flatten(1).T)
    basis, outer = over.subspace.basis.double(), outside.flatten(1).T.double()
    bands, white = over.errors @ basis + outer, torch.tensor(float(RATIO**2)).double()
    left = torch.einsum("pb,pyx->byx", over.subspace.basis, over.residuals[0]) + outside
    own, clear = clean(bands.square().mean(0), coarse.double()), [over.pairs[0].clear]
    alone = Kriging.learn([left], clear, coarse, Field.tried(MODEL)).growth(
        bands.square().mean(0), left.flatten(1).double().square().mean(1)
    )
    power = over.errors.square().mean(0)
    grown = kriging.growth(power, over.residuals[0].flatten(1).double().square().mean(1))
    beyond = coarse - basis.square().T @ sampled.double()
    carry = over.carry.double()
    alike = (carry + (1.0 - carry) * white) * clean(outer.square().mean(0), beyond)
    scores = foretold(over.errors, grown * clean(power, sampled.double()), basis, outer, alike)
    say = 0.5 * own
    wanted = scores.minimum(white) ** (1.0 - say) * (own * alone).minimum(white) ** say
    signed = signs(looks(over.pairs[0].fine))
    seen, ones = MODEL.lowpass(signed).flatten(1), torch.ones(3, dtype=torch.float64)
    still = Doubt.learn(bands, seen, signed.flatten(1), ones)
    found = over.doubt(kriging, None, looks).level / still.level
    torch.testing.assert_close(found.double().square(), wanted, rtol=1e-4, atol=0.0)
    assert 0.5 < float(own.max()) < 1.0
