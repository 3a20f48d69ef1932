"""Likeness against loops over pixels, and against fields whose share is known."""

from __future__ import annotations

import pytest
import torch

from stsfusion.learning.likeness import Likeness


def by_loops(image, clear, share):
    """(h, w) less a share of the mean of the clear ones of four neighbours."""
    out = image.clone()
    for y, x in clear.nonzero().tolist():
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [p for p in near if 0 <= p[0] < len(image) and 0 <= p[1] < image.shape[1] and clear[p]]
        if inside:
            out[y, x] -= share * sum(image[p] for p in inside) / len(inside)
    return out


def test_rows_are_rid_of_their_neighbours_mean_tile_by_tile():
    dice = torch.Generator().manual_seed(0)
    clear = [torch.rand(6, 9, generator=dice) > 0.4, torch.rand(4, 3, generator=dice) > 0.2]
    clear[0][0, :2], clear[0][1, 0] = torch.tensor([True, False]), False
    images = [torch.rand(mask.shape, generator=dice, dtype=torch.float64) for mask in clear]
    rows = torch.cat([image[mask] for image, mask in zip(images, clear, strict=True)])[:, None]
    wanted = torch.cat([by_loops(i, m, 0.7)[m] for i, m in zip(images, clear, strict=True)])
    likeness = Likeness.of(clear)
    torch.testing.assert_close(likeness.rid(rows, 0.7)[:, 0], wanted)
    assert torch.equal(likeness.rid(rows, 0.0), rows)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_the_share_that_made_a_field_is_found_again(share):
    dice = torch.Generator().manual_seed(1)
    likeness = Likeness.of([torch.ones(24, 24, dtype=torch.bool)])
    rid = likeness.rid(torch.eye(576, dtype=torch.float64), share)
    fields = torch.linalg.solve(rid, torch.randn(576, 20, generator=dice, dtype=torch.float64))
    found = likeness.shares(fields, torch.ones(576, dtype=torch.float64))
    assert float((found == share).double().mean()) > 0.9
