"""An answer degraded and held against what was observed: scores without truth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.forward.compare import compare, look_again
from stsfusion.forward.simulate import Protocol, simulate
from stsfusion.fusion.answer import Answer, Factored, Quality
from stsfusion.fusion.wald import coarsen

NM = torch.linspace(430.0, 1000.0, 30)
TRUTH = 0.1 + 0.4 * torch.rand(5, 30, 36, 36, generator=torch.Generator().manual_seed(0))
PROBLEM = simulate(TRUTH, NM, torch.arange(5.0), Protocol(clouds={"dense": 0.2}))


def _answer(values):
    time, _, rows, cols = values.shape
    return Answer(values, torch.full((time, 1, rows, cols), int(Quality.FUSED), dtype=torch.uint8))


def test_the_truth_comes_as_close_as_the_noise_lets_it():
    found = compare(_answer(TRUTH), PROBLEM.observations)
    assert [(one.role, one.date) for one in found] == [
        *(("rich", d) for d in (0, 2, 4)),
        *(("sharp", d) for d in (0, 2, 4)),
        *(("dense", d) for d in range(5)),
    ]
    for one in found:
        assert one.values["rmse"] == pytest.approx(one.noise, rel=0.15)
        assert one.valid == pytest.approx(0.8 if one.role == "dense" else 1.0, abs=0.01)


def test_a_wrong_date_shows_on_that_date_alone():
    wrong = TRUTH.clone()
    wrong[3] *= 1.2
    good, bad = (compare(_answer(values), PROBLEM.observations) for values in (TRUTH, wrong))
    for before, after in zip(good, bad, strict=True):
        assert (after.values["rmse"] > 3 * before.values["rmse"]) == (before.date == 3)


def test_what_is_masked_is_not_compared():
    spoilt = PROBLEM.dense.data.masked_fill(~PROBLEM.dense.valid, 50.0)
    other = {"dense": replace(PROBLEM.dense, data=spoilt)}
    one, two = compare(_answer(TRUTH), {"dense": PROBLEM.dense}), compare(_answer(TRUTH), other)
    assert [c.values for c in one] == [c.values for c in two]


def test_numbers_agree_with_the_plain_formula():
    (first, *_) = compare(_answer(TRUTH), {"rich": PROBLEM.rich}, ["rmse"])
    again = PROBLEM.rich.view(TRUTH)[0]
    plain = (again - PROBLEM.rich.data[0]).square().mean((1, 2)).sqrt().mean().item()
    assert first.values == {"rmse": pytest.approx(plain, rel=1e-5)}
    torch.testing.assert_close(look_again(_answer(TRUTH), PROBLEM.rich, 0), again)


def test_a_factored_answer_is_compared_date_by_date():
    flat = TRUTH.mean((2, 3), keepdim=True).expand(TRUTH.shape)
    basis = flat[:, :, 0, 0]
    factored = Factored(torch.eye(5)[:, :, None, None].expand(5, 5, 36, 36), basis, torch.zeros(30))
    whole, parts = (
        compare(Answer(v, _answer(TRUTH).quality), {"rich": PROBLEM.rich}) for v in (flat, factored)
    )
    assert whole[1].values["rmse"] == pytest.approx(parts[1].values["rmse"], rel=1e-4)


def test_walds_labels_are_an_observation_like_any_other():
    wald = coarsen(PROBLEM)
    values = torch.zeros(wald.problem.target.shape)
    values[wald.labels.dates] = wald.labels.data
    found = compare(_answer(values), {"labels": wald.labels})
    assert [one.date for one in found] == [0, 2, 4]
    assert all(one.values["rmse"] == 0 for one in found)


def test_an_observation_of_another_target_is_refused():
    with pytest.raises(ProblemError, match="role 'rich'"):
        compare(_answer(TRUTH[:, :, :18]), PROBLEM.observations)


def test_a_band_that_looks_at_nothing_is_not_compared():
    view = PROBLEM.sharp.view
    matrix = view.spectral.matrix.clone()
    matrix[-1] = 0.0
    blank = replace(PROBLEM.sharp, view=replace(view, spectral=replace(view.spectral, matrix=matrix)))
    full, found = (compare(_answer(TRUTH), {"sharp": each})[0] for each in (PROBLEM.sharp, blank))
    assert found.valid == pytest.approx(full.valid * (len(matrix) - 1) / len(matrix))
    assert found.values["rmse"] == pytest.approx(full.values["rmse"], rel=0.2)
