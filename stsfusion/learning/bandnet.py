"""Band net: a few small convolutions from multispectral images to hyperspectral scores, and how it is taught.

::

    (l, y, x) ── 3×3, ReLU ── 1×1, ReLU ── 3×3 ──► (K, y, x)

It is taught one scale coarser, where both sides of it were measured, on images that are as sharp in their own
pixels as those it will be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stsfusion.learning.holding import held_cells
from stsfusion.learning.kept import Kept
from stsfusion.learning.patches import Turn

__all__ = ["REACH", "BandNet", "BandTask", "Pairing", "Units", "layer_sizes", "scored"]

REACH = 2
"""Pixels that an answer looks at on every side."""

_SIDE = 6
"""Pixels along one side of a cell that is held back."""


class BandNet(nn.Sequential):
    """Three convolutions; beyond an image's edge its nearest pixel is repeated."""

    def __init__(self, bands: int, first: int, second: int, scores: int) -> None:
        super().__init__(
            nn.Conv2d(bands, first, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(first, second, 1),
            nn.ReLU(),
            nn.Conv2d(second, scores, 3, padding=1, padding_mode="replicate"),
        )


def layer_sizes(weights: Mapping[str, Tensor]) -> tuple[int, int, int, int]:
    """Bands, first and second width, and scores of the net that these weights came from."""
    first, second, third = (weights[f"{layer}.weight"] for layer in (0, 2, 4))
    return first.shape[1], len(first), len(second), len(third)


@dataclass(frozen=True, eq=False)
class Units(Kept):
    """What the multispectral bands are divided by."""

    mean: Tensor
    """(l,) reflectance."""

    spread: Tensor
    """(l,) standard deviation, reflectance; of bands without contrast the largest value, or one."""

    @classmethod
    def learn(cls, pairings: Sequence[Pairing]) -> Units:
        """From all pixels that are learned from."""
        pixels = torch.cat([each.image[:, each.clear] for each in pairings], 1).double()
        mean, spread = pixels.mean(1), pixels.std(1, unbiased=False)
        top = pixels.abs().amax(1)
        spread = torch.where(spread > 1e-6 * top, spread, torch.where(top > 0, top, 1.0))
        return cls(mean.float(), spread.float())

    def __call__(self, image: Tensor) -> Tensor:
        """(l, y, x) reflectance, scaled."""
        return (image - self.mean[:, None, None]) / self.spread[:, None, None]


@dataclass(frozen=True, eq=False)
class Pairing:
    """One tile of one date, both sides on the hyperspectral grid."""

    image: Tensor
    """(l, h, w) multispectral, seen through the hyperspectral sensor's point spread function."""

    wanted: Tensor
    """(L, h, w) reflectance or (K, h, w) scores."""

    clear: Tensor
    """(h, w) bool: what may be learned from."""


@dataclass(frozen=True, eq=False)
class BandTask:
    """Pairs in the network's units, drawn as random windows; some cells are never drawn."""

    pairings: Sequence[Pairing]
    """Scaled images and wanted scores."""

    weight: Tensor
    """(K,) of every score's squared error; sums to one."""

    patch: int
    """Pixels along one side of a window, at most."""

    batch: int
    """Windows in a step."""

    holding: bool
    """Whether cells are held back for an exam."""

    def losses(self, net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error on windows, turned and mirrored."""
        side = min(self.patch, *(length for each in self.pairings for length in each.clear.shape))
        drawn = [self._window(side, generator) for _ in range(self.batch)]
        images = torch.stack([each.image for each in drawn])
        wanted = torch.stack([each.wanted for each in drawn])
        clear = torch.stack([each.clear for each in drawn])
        return {"scores": self._lost(net(images), wanted, clear)}

    @property
    def examined(self) -> bool:
        """Whether any pixel is held back."""
        return any(bool((each.clear & self._held(each)).any()) for each in self.pairings)

    @torch.no_grad()
    def exam(self, net: nn.Module) -> float:
        """The mean squared error on all that is held back."""
        total, count = 0.0, 0
        for each in self.pairings:
            asked = each.clear & self._held(each)
            pixels = int(asked.sum())
            if pixels:
                total += pixels * float(self._lost(net(each.image[None]), each.wanted[None], asked[None]))
                count += pixels
        return total / max(count, 1)

    def _window(self, side: int, generator: torch.Generator) -> Pairing:
        each = self.pairings[int(torch.randint(len(self.pairings), (), generator=generator))]
        row, col = (int(torch.randint(n - side + 1, (), generator=generator)) for n in each.clear.shape)
        cut = (..., slice(row, row + side), slice(col, col + side))
        turn = Turn(int(torch.randint(8, (), generator=generator)))
        clear = each.clear & ~self._held(each)
        return Pairing(*(turn.forth(t[cut]) for t in (each.image, each.wanted, clear)))

    def _held(self, pairing: Pairing) -> Tensor:
        rows, cols = pairing.clear.shape
        held = held_cells(rows, cols, _SIDE) if self.holding else torch.zeros(rows, cols, dtype=torch.bool)
        return held.to(pairing.clear.device)

    def _lost(self, said: Tensor, wanted: Tensor, clear: Tensor) -> Tensor:
        square = (said - wanted).square().mul(self.weight[:, None, None]).sum(1)
        return (square * clear).sum() / clear.sum().clamp_min(1)


def scored(pairings: Sequence[Pairing], units: Units, analysis: Tensor, mean: Tensor) -> list[Pairing]:
    """The same in the network's units.

    Parameters
    ----------
    pairings
        With reflectance.
    units
        Of the images.
    analysis, mean
        (L, K) scores per reflectance, (L,) reflectance.
    """
    return [
        replace(
            each,
            image=units(each.image),
            wanted=torch.einsum("bk,byx->kyx", analysis, each.wanted - mean[:, None, None]),
        )
        for each in pairings
    ]
