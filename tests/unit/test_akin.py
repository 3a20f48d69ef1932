"""What pixels that look alike keep in common: against a plain reference, and that hidden dates decide."""

from __future__ import annotations

from dataclasses import replace

import torch

from stsfusion.learning.akin import Akin, Company
from stsfusion.learning.panel import Carried

_PIXELS = 200

_LASTING = Carried(
    torch.tensor(600.0), torch.tensor(4.0), torch.tensor(0.1), torch.ones(2), torch.tensor(0.3)
)


def _company(common: float, own: float, dates: int = 4, noise: float = 0.05) -> Company:
    """Two scores: the first is in common to all that look alike, the second is every pixel's own."""
    generator = torch.Generator().manual_seed(0)
    bands = torch.randn(dates, 2, _PIXELS, generator=generator)
    looks = 0.5 * torch.randn(3, _PIXELS, generator=generator)
    told = common * torch.sin(2.0 * bands[:, 0] + looks[0])
    kept = own * torch.randn(1, _PIXELS, generator=generator).expand(dates, -1)
    scores = torch.stack([told, kept], 1) + noise * torch.randn(dates, 2, _PIXELS, generator=generator)
    days = torch.arange(float(dates)) * 30.0
    clear = torch.ones(dates, _PIXELS, dtype=torch.bool)
    return Company(days, bands, looks, scores, torch.full((dates, _PIXELS), 0.05), clear)


def test_it_is_the_mean_of_a_gaussian_process():
    company = _company(1.0, 1.0)
    akin = Akin.learn(company, _LASTING, 10**6, 0)
    assert akin is not None
    bands, looks = torch.randn(2, 1, 5), torch.randn(3, 1, 5)
    said = akin(bands, looks)[0, 0].double()
    points = torch.cat([company.points(date) for date in range(4)]).double()
    values = company.kept[:, 0].flatten().double()
    asked = torch.cat([bands, looks]).flatten(1).T.double()

    def alike(a, b):
        return torch.exp(-0.5 * (a[:, None] - b[None]).square().sum(2))

    square = alike(points, points)
    found = [
        alike(asked, points) @ torch.linalg.solve(square + load * torch.eye(len(points)).double(), values)
        for load in (0.3, 1.0, 3.0, 10.0, 30.0)
    ]
    assert min(float((said - each).abs().max()) for each in found) < 1e-3


def test_scores_that_nothing_is_common_of_are_left_alone():
    akin = Akin.learn(_company(1.0, 1.0), _LASTING, 100, 0)
    assert akin is not None
    assert bool((akin.weights[:, 0] != 0).any())
    assert not bool(akin.weights[:, 1].any())


def test_what_is_common_is_told_of_a_date_that_was_not_seen():
    company = _company(1.0, 0.0, dates=5)
    before = {name: getattr(company, name)[:4] for name in ("days", "bands", "kept", "doubt", "clear")}
    akin = Akin.learn(replace(company, **before), _LASTING, 100, 0)
    assert akin is not None
    said = akin(company.bands[4][:, None], company.looks[:, None])[0, 0]
    assert float((said - company.kept[4, 0]).square().mean()) < 0.1 * float(
        company.kept[4, 0].square().mean()
    )


def test_one_date_tells_nothing_in_common():
    assert Akin.learn(_company(1.0, 0.0, dates=1), _LASTING, 50, 0) is None


def test_noise_is_not_taken_for_something_in_common():
    company = _company(0.0, 0.0)
    akin = Akin.learn(company, _LASTING, 50, 0)
    if akin is not None:
        said = akin(company.bands[0][:, None], company.looks[:, None])
        assert float(said.square().mean()) < 0.1 * float(company.kept.square().mean())


def test_clouds_teach_nothing():
    company = _company(1.0, 0.0)
    shaded = company.clear.clone()
    shaded[:, ::3] = False
    wild = torch.where(shaded[:, None], company.kept, 1e3)
    known = Akin.learn(replace(company, clear=shaded), _LASTING, 60, 0)
    same = Akin.learn(replace(company, clear=shaded, kept=wild, doubt=_doubtful(shaded)), _LASTING, 60, 0)
    assert known is not None
    assert same is not None
    assert torch.equal(known.centres, same.centres)
    assert torch.allclose(known.weights[:, 0], same.weights[:, 0], atol=1e-4)


def _doubtful(clear: torch.Tensor) -> torch.Tensor:
    return torch.where(clear, 0.05, 1e9)
