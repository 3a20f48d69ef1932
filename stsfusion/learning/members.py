"""Members: the groups of experts that a mixture is stacked of, and where in the image's bands they sit.

::

    (gates, inputs, count) ─ k-means of the looks that gates go by ─► Member with (K, l) or (K, 2 l) centres

Centres are reflectance. An exam that hides a band takes it out of the centres and asks how experts do that
sit where those that are used will: experts of places of their own would speak for themselves alone, and the
weights would be a matter of the draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.learning.experts import Looks
from stsfusion.learning.lloyd import settled
from stsfusion.learning.sampling import SAMPLE, lit, sampled

__all__ = ["Member", "clusters", "columns", "kinds_for", "placed"]

Kind = tuple[str, str, int]
"""What the gates go by, what the experts map, and their number."""

_KINDS: tuple[Kind, ...] = (
    ("own", "own", 2),
    ("own", "own", 4),
    ("own", "own", 8),
    ("own", "own", 32),
    ("own", "both", 4),
    ("both", "both", 2),
    ("both", "both", 4),
    ("both", "both", 16),
    ("around", "own", 2),
    ("around", "own", 4),
    ("around", "own", 8),
    ("around", "own", 32),
    ("around", "both", 4),
)
"""All that are tried where there are coarse pixels enough; see `kinds_for`."""

_ROUNDS = 12
"""Of the clustering."""

_CLUSTERED = 4_000
"""Pixels that centres are sought among."""

_RARE = 4.0
"""Multiple of the mean squared distance beyond which a pixel is no likelier to become a centre."""


@dataclass(frozen=True, eq=False)
class Member:
    """Experts that have their places."""

    gates: str
    """What the gates go by: the pixel ("own"), its neighbourhood ("around") or both."""

    inputs: str
    """What the experts map: "own" or "both"."""

    centres: Tensor
    """(K, l) or, of both, (K, 2 l) reflectance, double precision."""

    def of(self, bands: Sequence[int], among: int) -> Member:
        """The same where the image has these bands alone, among so many."""
        parts = [part[:, list(bands)] for part in self.centres.split(among, 1)]
        return replace(self, centres=torch.cat(parts, 1))

    def seen(self, looks: Looks) -> Tensor:
        """(K, k) or (K, 2 k) centres as looks."""
        mean, white = looks.mean.to(self.centres), looks.white.to(self.centres)
        parts = [(part - mean) @ white for part in self.centres.split(len(mean), 1)]
        return torch.cat(parts, 1).to(looks.white)


def kinds_for(most: int, bands: int, pixels: int) -> list[Kind]:
    """Kinds of at most so many experts, and of no more features than coarse pixels to learn them from.

    A fit of more features goes through its pixels, and through those beside the ones that are left out: their
    errors say nothing of others.
    """
    inputs = {"own": bands, "around": bands, "both": 2 * bands}
    return [
        (gates, of, count)
        for gates, of, count in _KINDS
        if count <= most and count * (1 + inputs[of]) <= pixels
    ]


def placed(images: Sequence[Tensor], kinds: Iterable[Kind], dice: torch.Generator) -> list[Member]:
    """Members of these kinds for (l, H, W) tiles; fewer centres where fewer pixels differ."""
    where = lit(images)
    looks = Looks.learn(sampled(images, where, SAMPLE, dice))
    bands = looks.white.shape[1]
    points = sampled([looks(image) for image in images], where, _CLUSTERED, dice)
    mean, back = looks.mean.double(), torch.linalg.pinv(looks.white.double())
    found = []
    for gates, inputs, count in kinds:
        centres = clusters(points[:, columns(gates, bands)], count, dice).double()
        found.append(
            Member(gates, inputs, torch.cat([mean + part @ back for part in centres.split(bands, 1)], 1))
        )
    return found


def columns(name: str, bands: int) -> list[int]:
    """Places among (2 k) looks of what gates go by or experts map."""
    return list({"own": range(bands), "around": range(bands, 2 * bands), "both": range(2 * bands)}[name])


def clusters(points: Tensor, count: int, dice: torch.Generator) -> Tensor:
    """(K, g) centres of (n, g) points: k-means from a start that is spread out.

    Source: Arthur and Vassilvitskii (2007), k-means++.
    """
    first = int(torch.randint(len(points), (1,), generator=dice))
    centres = points[first : first + 1]
    near = (points - centres).square().sum(1)
    while len(centres) < count and bool((near > 1e-12).any()):
        # Few pixels that are far from all others would draw a centre each: an expert to one coarse pixel.
        odds = near.clamp_max(_RARE * near.mean())
        pick = int(torch.multinomial((odds / odds.sum()).cpu() + 1e-12, 1, generator=dice))
        centres = torch.cat([centres, points[pick : pick + 1]])
        near = torch.minimum(near, (points - points[pick]).square().sum(1))
    return settled(points, centres, _ROUNDS)
