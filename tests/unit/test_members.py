"""Members: which are tried, where their experts sit, and what an exam sees of that."""

from __future__ import annotations

import pytest
import torch

from stsfusion.learning.experts import Looks
from stsfusion.learning.members import Member, clusters, kinds_for, placed


def test_no_kind_has_more_features_than_there_are_pixels():
    assert len(kinds_for(32, 4, 1000)) == 13
    small = [("own", "own", 2), ("around", "own", 2)]
    assert kinds_for(32, 4, 9) == []
    assert kinds_for(32, 4, 17) == small
    assert kinds_for(32, 4, 18) == [small[0], ("both", "both", 2), small[1]]
    assert {count for *_, count in kinds_for(32, 4, 40)} == {2, 4, 8}
    assert kinds_for(2, 4, 1000) == kinds_for(32, 4, 18)
    assert kinds_for(0, 4, 1000) == []


def test_centres_find_clusters_and_are_their_means():
    dice = torch.Generator().manual_seed(1)
    places = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    points = torch.cat([place + 0.3 * torch.randn(80, 2, generator=dice) for place in places])
    centres = clusters(points, 4, dice)
    owner = torch.cdist(points, centres).argmin(1)
    for k in range(4):
        torch.testing.assert_close(centres[k], points[owner == k].mean(0))
        assert len(set((owner == k).nonzero()[:, 0].div(80, rounding_mode="floor").tolist())) == 1


def test_no_more_centres_than_pixels_that_differ():
    points = torch.tensor([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]]).repeat(30, 1)
    assert len(clusters(points, 8, torch.Generator().manual_seed(0))) == 3


def test_two_odd_pixels_get_no_expert_of_their_own_where_experts_are_few():
    dice = torch.Generator().manual_seed(0)
    points = 3.0 * torch.randint(-1, 2, (3000, 1), generator=dice) + 0.1 * torch.randn(
        3000, 4, generator=dice
    )
    points[[7, 700]] = 100.0
    for seed in range(10):
        centres = clusters(points, 3, torch.Generator().manual_seed(seed))
        assert float(centres.abs().max()) < 50.0


SURFACES = torch.tensor([[0.3, 0.3], [0.6, 0.9], [0.9, 0.3]])


def _tiles():
    """Three (2, 60, 50) tiles, each of a surface of its own."""
    dice = torch.Generator().manual_seed(0)
    return [surface[:, None, None] + 0.01 * torch.randn(2, 60, 50, generator=dice) for surface in SURFACES]


def test_centres_are_sought_among_the_pixels_of_all_tiles():
    (member,) = placed(_tiles(), [("own", "own", 3)], torch.Generator().manual_seed(0))
    found = member.centres[member.centres[:, 0].argsort()]
    torch.testing.assert_close(found, SURFACES.double(), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("gates", "width"), [("own", 2), ("around", 2), ("both", 4)])
def test_centres_are_reflectance_and_seen_as_looks_again(gates, width):
    tiles = _tiles()
    (member,) = placed(tiles, [(gates, "own", 3)], torch.Generator().manual_seed(0))
    assert member.centres.shape == (3, width)
    looks = Looks.learn(torch.cat([tile.flatten(1).T for tile in tiles]))
    mean, white = looks.mean.double(), looks.white.double()
    parts = [(part - mean) @ white for part in member.centres.split(2, 1)]
    torch.testing.assert_close(member.seen(looks).double(), torch.cat(parts, 1), atol=1e-5, rtol=1e-5)
    # Surfaces are pixels, and neighbourhoods of pixels.
    found = member.centres[member.centres[:, 0].argsort()]
    for part in found.split(2, 1):
        torch.testing.assert_close(part, SURFACES.double(), atol=2e-3, rtol=0)


def test_a_hidden_band_is_taken_out_of_pixel_and_neighbourhood():
    centres = torch.arange(12, dtype=torch.float64).reshape(2, 6)
    both = Member("both", "both", centres).of([0, 2], 3)
    assert torch.equal(both.centres, centres[:, [0, 2, 3, 5]])
    own = Member("own", "own", centres[:, :3]).of([1], 3)
    assert torch.equal(own.centres, centres[:, [1]])


def test_bands_that_repeat_each_other_leave_centres_where_pixels_are():
    tiles = [torch.cat([tile, tile[:1]]) for tile in _tiles()]
    (member,) = placed(tiles, [("own", "own", 3)], torch.Generator().manual_seed(0))
    torch.testing.assert_close(member.centres[:, 0], member.centres[:, 2], atol=1e-5, rtol=0)
    found = member.centres[member.centres[:, 0].argsort()]
    torch.testing.assert_close(found[:, :2], SURFACES.double(), atol=2e-3, rtol=0)
