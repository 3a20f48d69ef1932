"""Scores: dates, subsets, groups of bands, and the memory they take."""

from __future__ import annotations

import json

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer, Factored
from stsfusion.quality.metrics import RMSE, SAM, metrics
from stsfusion.quality.scores import score

SHAPE = (4, 3, 16, 14)


@pytest.fixture
def truth():
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) + 0.1


def _answer(values):
    return Answer(values, torch.ones(SHAPE[0], 1, *SHAPE[2:], dtype=torch.uint8))


@pytest.fixture
def answer(truth):
    """Wrong by 0.1, 0.2, 0.3, 0.4 at the four dates."""
    return _answer(truth + torch.tensor([0.1, 0.2, 0.3, 0.4])[:, None, None, None])


def test_three_averages_over_the_right_dates(answer, truth):
    scores = score(answer, truth, 3, [0, 2])
    assert [row.subset for row in scores.averages] == ["all", "observed", "missing"]
    assert [row.dates for row in scores.averages] == [4, 2, 2]
    values = [row.values["rmse"] for row in scores.averages]
    assert values == pytest.approx([0.25, 0.2, 0.3], rel=1e-6)
    assert [row.values["rmse"] for row in scores.dates] == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=1e-6)


def test_values_are_the_metrics_own(answer, truth):
    scores = score(answer, truth, 3, [0])
    for name, metric in metrics().items():
        assert scores.dates[1].values[name] == metric(answer.date(1), truth[1], ratio=3)


def test_an_empty_subset_still_has_its_row(answer, truth):
    missing = score(answer, truth, 3, range(4)).average("missing")
    assert missing.dates == 0
    assert set(missing.values.values()) == {None}


def test_rows_are_plain_json(answer, truth):
    scores = score(answer, truth, 3, [0, 2], names=["sam", "rmse"])
    rows = json.loads(json.dumps(scores.to_rows(), allow_nan=False))
    assert [list(row) for row in rows] == [["subset", "dates", "sam", "rmse"]] * 3
    dates = json.loads(json.dumps(scores.to_dates(), allow_nan=False))
    assert [(row["date"], row["subset"]) for row in dates] == [
        (0, "observed"),
        (1, "missing"),
        (2, "observed"),
        (3, "missing"),
    ]


def test_groups_of_bands_are_extra_subsets(answer, truth):
    scores = score(answer, truth, 3, [0, 2], names=["sam", "rmse"], groups={"vnir": [0, 1], "swir": [2]})
    labels = [row["subset"] for row in scores.to_rows()]
    assert labels == [f"{s}{g}" for g in ("", "/vnir", "/swir") for s in ("all", "observed", "missing")]
    vnir = scores.average("observed", "vnir").values["sam"]
    wanted = [SAM(answer.date(i)[:2], truth[i, :2]) for i in (0, 2)]
    assert vnir == pytest.approx(sum(wanted) / 2, rel=1e-12)
    assert (
        scores.average("all").values
        == score(answer, truth, 3, [0, 2], names=["sam", "rmse"]).average().values
    )


def test_a_mask_reaches_every_date_and_group(answer, truth):
    valid = torch.ones(4, 1, 16, 14, dtype=torch.bool)
    valid[1, :, :, 3:] = False
    holed = _answer(answer.full().where(valid, torch.nan))
    scores = score(holed, truth, 3, [0], valid=valid, names=["rmse"], groups={"last": [2]})
    expected = RMSE(answer.date(1)[[2], :, :3], truth[1, [2], :, :3])
    assert [row.values["rmse"] for row in scores.dates if row.date == 1 and row.bands == "last"] == [
        pytest.approx(expected, rel=1e-12)
    ]


def test_an_answer_in_factors_is_never_expanded_whole(truth, monkeypatch):
    factors = Factored(torch.rand(4, 2, 16, 14), torch.rand(2, 3), torch.rand(3))
    monkeypatch.setattr(Answer, "full", lambda self: pytest.fail("expanded"))
    asked = []
    date = Factored.date
    monkeypatch.setattr(Factored, "date", lambda self, i: asked.append(i) or date(self, i))
    scores = score(_answer(factors), truth, 3, [0], names=["rmse"])
    assert asked == [0, 1, 2, 3]
    assert scores.average().values["rmse"] is not None


def test_a_wrong_shape_is_refused(answer, truth):
    with pytest.raises(ProblemError, match=r"expected an answer of shape \(3, 3, 16, 14\)"):
        score(answer, truth[:3], 3, [0])


def test_unknown_metrics_are_refused_before_any_work(truth):
    class Untouchable:
        shape = SHAPE

        def date(self, i):
            pytest.fail("computed")

    with pytest.raises(ProblemError, match="Did you mean 'psnr'"):
        score(Untouchable(), truth, 3, [0], names=["pnsr"])
