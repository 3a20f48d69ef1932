"""mapsmm: maximum a posteriori estimation of the leading components with a stochastic mixing model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.intensity import detail
from stsfusion.learning.mixing import MixingModel, learn_mixing
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.subspace import signed
from stsfusion.operators.pairmodel import PairModel

__all__ = ["MAPSMM"]


@dataclass
class MAPSMM(PairMethod):
    """c = E(c | y) + (c↓ − E(c | y)↓)↑ for the leading components, cubic convolution for the others.

    ::

        E(c | y) = Σ_q p(q | y) [ m_q^c + C_q^cy (C_q^yy)⁻¹ (y − m_q^y) ]

    m_q and C_q are the joint means and covariances of components c and multispectral values y in the classes
    q of a stochastic mixing model, pure materials and their mixtures, learned by expectation and maximisation
    from the coarse pixels. The estimate's mean is the coarse image's, brought to the fine grid.

    With one class this is the regression of `gsa`. A single multispectral band can hardly tell several apart,
    and the estimate may then be worse than with one.

    Source: Eismann and Hardie (2004), doi:10.1109/TGRS.2004.830644, secs. III and IV; the conditional mean
    as in Hardie, Eismann and Wilson (2004), doi:10.1109/TIP.2004.829779.
    """

    components: int = field(default=20, metadata={"ge": 1, "le": 64})
    """Principal components that are estimated, at most one for ten coarse pixels."""

    materials: int = field(default=4, metadata={"ge": 1, "le": 8})
    """Pure classes."""

    levels: int = field(default=4, metadata={"ge": 1, "le": 20})
    """Equal steps from none to all in which a mixture's shares are counted."""

    rounds: int = field(default=30, metadata={"ge": 1, "le": 1000, "quick": 10})
    """Rounds of expectation and maximisation."""

    uncovered: ClassVar[bool] = True

    @classmethod
    def example(cls, **settings: object) -> MAPSMM:
        """Few classes and rounds."""
        return cls(**{"materials": 2, "rounds": 5, "components": 6} | settings)  # type: ignore[arg-type]

    @property
    def card(self) -> Card:
        """Statistical estimation."""
        return Card(
            name="mapsmm",
            title="Maximum a posteriori with stochastic mixing",
            source="10.1109/TGRS.2004.830644",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=10.0,
        )

    def context(self, ratio: int, reach: int) -> int:
        """The low-pass, and the interpolation back."""
        return 2 * (ratio + reach)

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """(k, L) components and, class by class, what `_conditional` gives."""
        both = [pair.samples(pair.coarse, model.lowpass(pair.fine)) for pair in pairs]
        coarse, fine = (torch.cat(parts, 1).double() for parts in zip(*both, strict=True))
        centred = coarse - coarse.mean(1, keepdim=True)
        keep = max(1, min(self.components, len(coarse), coarse.shape[1] // 10))
        basis = signed(torch.linalg.eigh(centred @ centred.T).eigenvectors.flip(1)[:, :keep]).T
        tick(0.1, "principal components")
        joint = torch.cat([basis @ centred, fine]).T
        mixing = learn_mixing(joint, self.materials, self.levels, self.rounds)
        state = {"basis": basis, **_conditional(mixing, keep)}
        return {name: tensor.float() for name, tensor in state.items()}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """Z↑ + basisᵀ · the detail of E(c | y)."""
        scores = _expected(pair.fine.flatten(1), state).unflatten(1, pair.fine.shape[1:])
        image = model.upsample(pair.coarse)
        return image.add_(torch.tensordot(state["basis"].T, detail(scores, model), 1))


def _conditional(mixing: MixingModel, keep: int) -> dict[str, Tensor]:
    """Of all classes the regression of the first `keep` axes on the others, and the density of the others.

    Returns
    -------
    dict
        `slope` (Q, k, l) and `offset` (Q, k); `centre` (Q, l), `white` (Q, l, l) with whiteᵀ white the
        inverse covariance, and `weight` (Q,) the logarithm of prior and normalisation.
    """
    means, spreads = mixing.classes()
    square, mixed = spreads[:, keep:, keep:], spreads[:, keep:, :keep]
    slope = torch.linalg.solve(square, mixed).mT
    offset = means[:, :keep] - torch.einsum("qkl,ql->qk", slope, means[:, keep:])
    root = torch.linalg.cholesky(square)
    size = root.diagonal(dim1=1, dim2=2).log().sum(1)
    return {
        "slope": slope,
        "offset": offset,
        "centre": means[:, keep:],
        "white": torch.linalg.inv(root),
        "weight": mixing.prior.clamp_min(1e-30).log() - size,
    }


def _expected(fine: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """(k, n) E(c | y) of (l, n) multispectral values."""
    far = fine.new_empty(len(state["weight"]), fine.shape[1])
    for row, white, centre in zip(far, state["white"], state["centre"], strict=True):
        torch.sum((white @ (fine - centre[:, None])).square(), 0, out=row)
    share = torch.softmax(far.mul_(-0.5).add_(state["weight"][:, None]), 0)
    scores = state["offset"].T @ share
    for band, values in enumerate(fine):
        scores.add_(state["slope"][:, :, band].T @ (share * values))
    return scores
