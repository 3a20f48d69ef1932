"""bicubic: the nearest valid date, upsampled by cubic convolution, against loops of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import enlarged

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.method import Geometry
from stsfusion.methods.bicubic import Bicubic
from stsfusion.testing import tiny_problem


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_equals_the_plain_formula(ratio):
    problem = tiny_problem(ratios=(ratio, 2)).question()
    answer = Bicubic().fuse(problem)
    # Seen on days 0, 32 and 64 of 0, 16, …, 64: of two equally near the earlier one counts.
    nearest = [0, 0, 1, 1, 2]
    np.testing.assert_allclose(
        answer.full().numpy(), enlarged(problem.rich.data.numpy()[nearest], ratio), atol=2e-6
    )


def test_flags_tell_what_was_observed():
    quality = Bicubic().fuse(tiny_problem().question()).quality
    flags = [int(q.unique().item()) for q in quality]
    assert flags == [Quality.OBSERVED, Quality.INTERPOLATED] * 2 + [Quality.OBSERVED]


def test_a_gap_takes_its_nearest_valid_date():
    problem = tiny_problem(gaps=True).question()
    answer = Bicubic().fuse(problem)
    gap = (~problem.rich.valid[1, 0]).nonzero()[0]
    y, x = (int(3 * place + 1) for place in gap)
    assert answer.quality[2, 0, y, x] == Quality.INTERPOLATED
    torch.testing.assert_close(answer.full()[2, :, y, x], answer.full()[0, :, y, x], atol=2e-2, rtol=0)


def test_what_no_date_shows_is_no_data_beyond_the_passes():
    problem = tiny_problem().question()
    valid = torch.zeros_like(problem.rich.valid)
    valid[..., :4] = True
    narrow = replace(problem, rich=replace(problem.rich, valid=valid))
    quality = Bicubic(passes=2).fuse(narrow).quality[0, 0, 0]
    assert quality.unique_consecutive().tolist() == [Quality.OBSERVED, Quality.FILLED, Quality.NO_DATA]
    assert (quality == Quality.FILLED).sum() == 2 * 3


@pytest.mark.parametrize(("ratio", "passes", "halo"), [(3, 2, 12), (2, 2, 8), (4, 0, 8), (1, 2, 2)])
def test_the_halo_follows_from_ratio_and_passes(ratio, passes, halo):
    assert Bicubic(passes=passes).halo(Geometry({"rich": ratio})) == halo


def test_the_missing_role_is_named():
    with pytest.raises(ProblemError, match=r"method 'bicubic'.*rich"):
        Bicubic().fuse(tiny_problem(roles=("sharp", "dense")).question())
