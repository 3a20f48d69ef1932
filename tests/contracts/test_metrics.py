"""What every metric promises, found by discovery; broken twins fail the very same checks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from stsfusion.quality.metric import Metric
from stsfusion.quality.metrics import metrics

ALL = list(metrics().values())
NAMES = [metric.name for metric in ALL]


def _truth() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(24) / 5.0, torch.arange(20) / 5.0, indexing="ij")
    waves = [0.3 + 0.1 * torch.sin(y + t) * torch.cos(x * (1 + b / 4)) for t in range(2) for b in range(4)]
    return torch.stack(waves).view(2, 4, 24, 20)


def _noise() -> torch.Tensor:
    return torch.randn(2, 4, 24, 20, generator=torch.Generator().manual_seed(5))


def check_facts(metric: Metric) -> None:
    """Name, unit, direction, ideal, convention and source are stated."""
    assert metric.name == metric.name.lower().strip()
    assert metric.unit in {"1", "dB", "degree", "reflectance"}
    assert metric.direction in {"higher", "lower"}
    assert len(metric.convention) > 30
    assert "mean over" in metric.convention
    assert any(year in metric.source for year in map(str, range(1890, 2030)))
    assert metric.title[0].islower()


def check_ideal(metric: Metric) -> None:
    """A perfect answer reaches the ideal, to the last digits."""
    assert metric(_truth(), _truth(), ratio=3) == pytest.approx(metric.ideal, rel=1e-9, abs=1e-9)


def check_direction(metric: Metric) -> None:
    """More noise is worse, step by step."""
    values = [metric(_truth() + step * _noise(), _truth(), ratio=3) for step in (0.0, 0.003, 0.01, 0.03, 0.1)]
    assert all(metric.better(a, b) for a, b in pairwise(values)), values


def check_band_order(metric: Metric) -> None:
    """The order of bands means nothing."""
    order = [2, 0, 3, 1]
    image, truth = _truth() + 0.02 * _noise(), _truth()
    assert metric(image[:, order], truth[:, order]) == pytest.approx(metric(image, truth), rel=1e-9)


def check_purity(metric: Metric) -> None:
    """Inputs are left as they were, and gaps do not matter."""
    image, truth = _truth() + 0.02 * _noise(), _truth()
    valid = torch.ones(2, 1, 24, 20, dtype=torch.bool)
    valid[0, :, :3] = False
    holed = image.where(valid, torch.nan)
    kept = holed.clone(), truth.clone()
    assert metric(holed, truth, valid=valid) == metric(image, truth, valid=valid)
    metric(image, truth)
    assert torch.equal(holed.nan_to_num(9), kept[0].nan_to_num(9))
    assert torch.equal(truth, kept[1])


def check_degenerate(metric: Metric) -> None:
    """Constants, zeros and negatives give a number or None, never NaN or infinity."""
    flat, dark = torch.full((2, 4, 24, 20), 0.2), torch.zeros(2, 4, 24, 20)
    for truth in (flat, dark, -_truth(), _truth()):
        for image in (flat, dark, _truth(), truth):
            value = metric(image, truth, ratio=3)
            assert value is None or abs(value) < 1e9, (metric.name, value)


CHECKS = [check_facts, check_ideal, check_direction, check_band_order, check_purity, check_degenerate]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("metric", ALL, ids=NAMES)
def test_contract(metric, check):
    check(metric)


def test_the_eight_of_the_tables_are_there():
    assert {"cc", "sam", "psnr", "ssim", "rmse", "ergas", "uiqi", "mrae"} <= set(NAMES)


RMSE = metrics()["rmse"]


def _late(pair):
    """A twin that looks at the first band alone."""
    return RMSE.formula(replace(pair, image=pair.image[:1], truth=pair.truth[:1], mask=pair.mask[:1]))


def _scribble(pair):
    """A twin that spoils what it was given."""
    pair.truth[0] += 1.0
    return RMSE.formula(pair)


def _careless(pair):
    """A twin that divides by a range of zero."""
    return float((pair.image - pair.truth).square().mean() / (pair.truth.amax() - pair.truth.amin()))


TWINS = {
    check_facts: replace(RMSE, convention="per band", source="folklore"),
    check_ideal: replace(RMSE, formula=lambda pair: RMSE.formula(pair) + 0.1),
    check_direction: replace(RMSE, direction="higher"),
    check_band_order: replace(RMSE, formula=_late),
    check_purity: replace(RMSE, formula=_scribble),
    check_degenerate: replace(RMSE, formula=_careless),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_the_broken_twin_fails(check):
    with pytest.raises(AssertionError):
        check(TWINS[check])
