"""Smooth spectra: what bands tell of those about them, and how unsure that is far from any."""

import torch

from stsfusion.learning.smoothspectra import expansion, open_variance

NM = torch.linspace(400, 2400, 101, dtype=torch.float64)


def smooth(count=4000, seed=0):
    """(band, n) spectra that vary as smoothly as is believed, about a level of .3, with a deviation of .1."""
    alike = torch.exp(-0.5 * ((NM[:, None] - NM[None]) / 150.0).square())
    root = torch.linalg.cholesky(alike + 1e-6 * torch.eye(len(NM), dtype=torch.float64))
    draws = torch.randn(len(NM), count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.3 + 0.1 * root @ draws


def narrow(centres):
    rows = torch.exp(-0.5 * ((NM[None] - torch.tensor(centres, dtype=torch.float64)[:, None]) / 20.0) ** 2)
    return rows / rows.sum(1, keepdim=True)


def test_nine_in_ten_values_lie_where_they_are_said_to():
    response, spectra = narrow([500.0, 620.0, 760.0, 900.0]), smooth()
    pixels = response @ spectra
    gap = (expansion(response, NM).double() @ pixels - spectra).abs()
    inside = gap < 1.6449 * open_variance(response, NM, pixels).sqrt()[:, None]
    near = (NM > 480) & (NM < 920)
    assert 0.85 < float(inside[near].double().mean()) < 0.99
    assert 0.85 < float(inside[NM > 1300].double().mean()) < 0.96


def test_far_from_all_bands_it_is_as_unsure_as_spectra_vary_and_nowhere_more():
    response = narrow([500.0, 540.0, 580.0, 620.0])
    pixels = response @ smooth(seed=1)
    pixels[1] += 0.2  # an edge: neighbours tell nothing of it
    found = open_variance(response, NM, pixels)
    about = (pixels - pixels.mean(0)).square().mean()
    assert float(found[-1]) > float(about)
    torch.testing.assert_close(found[-30:], found[-1:].expand(30), rtol=1e-3, atol=0)
    assert float(found.max()) <= 1.001 * float(found[-1])


def test_the_target_s_own_bands_leave_nothing_open():
    assert (open_variance(torch.eye(len(NM)), NM, smooth()) == 0).all()
