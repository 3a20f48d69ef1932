"""Sums over alike pixels of a window, against a loop over pixels."""

import numpy as np
import pytest
import torch

from stsfusion.learning.similar import Region, Search, strips


def kernel_of(search):
    def kernel(region: Region):
        alike = search.alike(region, slice(0, 2))
        around, centre = region.pair(2)
        lower = (around <= centre).to(alike)
        which = slice(3, 5)
        sums = [region.sums(which, alike), region.sums(which, alike / search.apart)]
        low = region.sums(slice(3, 4), search.inside * lower)
        return torch.cat([*sums, low, search.whole(region, slice(4, 5))], 1)

    return kernel


def by_loop(maps, radius, decay):
    rows, cols = maps.shape[1:]
    out = np.zeros((6, rows, cols))
    for r, c in np.ndindex(rows, cols):
        for y in range(max(r - radius, 0), min(r + radius + 1, rows)):
            for x in range(max(c - radius, 0), min(c + radius + 1, cols)):
                alike = (np.abs(maps[:2, y, x] - maps[:2, r, c]) < 1.0).all()
                d = 1.0 + np.hypot(y - r, x - c) / decay
                out[:2, r, c] += alike * maps[3:, y, x]
                out[2:4, r, c] += alike * maps[3:, y, x] / d
                out[4, r, c] += (maps[2, y, x] <= maps[2, r, c]) * maps[3, y, x]
                out[5, r, c] += maps[4, y, x]
    return out


@pytest.mark.parametrize("size", [(8, 8), (13, 21), (3, 30)])
@pytest.mark.parametrize("radius", [1, 4])
def test_sums_are_those_of_a_loop(size, radius):
    maps = torch.randn(5, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    search = Search(radius, 2.5, maps)
    sums = search.over([maps[:2], maps[2:]], (radius, radius), kernel_of(search))
    np.testing.assert_allclose(sums.numpy(), by_loop(maps.numpy(), radius, 2.5), atol=1e-12)


def test_a_strip_sees_the_rows_around_it():
    maps = torch.randn(5, 23, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    search, out = Search(3, 3.0, maps), torch.empty(6, 23, 10, dtype=torch.float64)
    for own, seen, missing in strips(23, 3, 7):
        out[:, own] = search.over([maps[:, seen]], missing, kernel_of(search))
    np.testing.assert_allclose(out.numpy(), by_loop(maps.numpy(), 3, 3.0), atol=1e-12)


def test_very_wide_windows_take_smaller_blocks():
    maps = torch.randn(5, 10, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    search = Search(80, 80.0, maps)
    assert search.side < Search(25, 25.0, maps).side
    sums = search.over([maps], (80, 80), kernel_of(search))
    np.testing.assert_allclose(sums.numpy(), by_loop(maps.numpy(), 80, 80.0), atol=1e-12)


def test_blocks_worked_on_together_give_the_same():
    maps = torch.randn(5, 20, 37, generator=torch.Generator().manual_seed(1))
    search = Search(2, 2.0, maps)
    alone = search.over([maps], (2, 2), kernel_of(search))
    search.together = 3
    torch.testing.assert_close(search.over([maps], (2, 2), kernel_of(search)), alone)


def test_strips_cover_all_rows_once():
    found = list(strips(21, 5, 8))
    assert [own for own, _, _ in found] == [slice(0, 8), slice(8, 16), slice(16, 21)]
    assert [seen for _, seen, _ in found] == [slice(0, 13), slice(3, 21), slice(11, 21)]
    assert [missing for _, _, missing in found] == [(5, 0), (0, 0), (0, 5)]
