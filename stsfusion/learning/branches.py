"""Branches: the spatial, the temporal and the spectral branch, and what fuses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stsfusion.learning.features import Layout
from stsfusion.learning.head import Head
from stsfusion.learning.layers import Branch

__all__ = ["EASED", "HIDDEN", "BranchNet", "Outputs"]

EASED = {"cuda"}
"""Kinds of device that convolve faster in bfloat16."""

HIDDEN = 48
"""Channels between the branches and the scores."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the network says, and what each branch says for its own task."""

    scores: Tensor
    """(time, K, y, x) the answer."""

    spatial: Tensor
    """(time, d, y, x) dense bands, scaled, at the target's pixels."""

    temporal: Tensor
    """(time, s, y, x) sharp bands, scaled, at every date."""

    spectral: Tensor
    """(time, K, y, x) scores from the bands alone."""


class BranchNet(nn.Module):
    """scores = head(features, dense bands revised) + g(δ_spatial, δ_temporal, δ_spectral).

    Every branch learns its own dimension: the spatial one the dense bands at the target's pixels, the
    temporal one the sharp bands at dates that were not seen, the spectral one the scores. The head, which is
    not trained here, answers with the dense bands of the spatial branch; g adds what it cannot say, from the
    features δ of all branches. Its units are bounded, so that a season unlike all others is not answered by
    extrapolation.
    """

    def __init__(
        self,
        layout: Layout,
        width: int,
        blocks: int,
        kernels: Sequence[int],
        *,
        mixed: bool = False,
        half: bool = False,
    ) -> None:
        super().__init__()
        self.layout, self.mixed, self.half_asked = layout, mixed, half
        d, s, k, codes = layout.dense, layout.sharp, layout.rank, layout.channels - layout.values
        self.spatial = Branch(2 * d + s + codes, width, d, blocks, kernels)
        self.temporal = Branch(2 * d + s + codes, width, s, blocks, kernels)
        self.spectral = Branch(2 * d + k + layout.products + codes, width, k, blocks, kernels)
        self.join = nn.Conv2d(3 * width + k + codes, HIDDEN, 1)
        self.last = nn.Conv2d(HIDDEN, k, 1)

    @property
    def quiet(self) -> list[nn.Module]:
        """The exits, which start at zero: the untrained network says what the head says."""
        return [self.spatial.exit, self.temporal.exit, self.spectral.exit, self.last]

    def forward(self, x: Tensor, head: Head, kept: Tensor | None = None) -> Outputs:
        """From (time, Layout.channels, y, x) features and the closed-form head.

        Parameters
        ----------
        x
            Features.
        head
            The closed-form answer.
        kept
            While training, factors of the (time, HIDDEN, y, x) units between the branches and the scores.
        """
        names = ("scores", "now", "between", "low", "sharp", "products", "codes")
        scores, now, between, low, sharp, curved, codes = (x[:, self.layout.part(n)] for n in names)
        with self._eased(x):
            d_spatial, spatial = self.spatial(_together(now, now - between, sharp, codes))
            d_temporal, temporal = self.temporal(_together(between, now - between, sharp, codes))
            d_spectral, spectral = self.spectral(_together(now, now - low, scores, curved, codes))
        base = head.revised(x, now + spatial)
        with self._eased(x):
            joined = torch.tanh(self.join(_together(d_spatial, d_temporal, d_spectral, base, codes)))
            added = self.last(joined if kept is None else joined * kept)
        return Outputs(base + added, now + spatial, sharp + temporal, scores + spectral)

    def _eased(self, x: Tensor) -> torch.autocast:
        """On a GPU, where asked for, bfloat16 where it does no harm; sums with the features are in full."""
        asked = self.mixed if self.training else self.half_asked
        return torch.autocast(x.device.type, torch.bfloat16, enabled=asked and x.device.type in EASED)


def _together(*parts: Tensor) -> Tensor:
    return torch.cat(parts, 1).contiguous(memory_format=torch.channels_last)
