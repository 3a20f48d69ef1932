"""The stochastic mixing model: a pixel mixes a few materials, each of which varies about its mean.

::

    x = Σ_k a_k x_k ,  x_k ~ N(m_k, C_k)        class q: shares a_q on a lattice of the simplex
    p(x | q) = N(Σ_k a_qk m_k, Σ_k a_qk² C_k)   pure classes have one share of one
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Self

import torch
from torch import Tensor

__all__ = ["MixingModel", "lattice", "learn_mixing"]

_ROUNDING = 1e-20
"""Share of the mean square that a variance has at least: beyond it pixels without contrast are rounding."""


def lattice(materials: int, levels: int) -> Tensor:
    """(Q, materials) all Q = C(levels + materials − 1, levels) splits of one into parts of 1/levels.

    The places of `materials` − 1 bars among `levels` stars.
    """
    slots = levels + materials - 1
    rows = []
    for bars in combinations(range(slots), materials - 1):
        edges = (-1, *bars, slots)
        rows.append([edges[i + 1] - edges[i] - 1 for i in range(materials)])
    return torch.tensor(rows, dtype=torch.float64) / levels


@dataclass(frozen=True, eq=False)
class MixingModel:
    """Materials, their mixtures, and how often each of them is met; double precision."""

    shares: Tensor
    """(Q, K) of the materials in every class, rows of unit sum."""

    prior: Tensor
    """(Q,) probabilities of the classes."""

    means: Tensor
    """(K, d) of the materials."""

    spreads: Tensor
    """(K, d, d) covariances of the materials."""

    @classmethod
    def start(cls, x: Tensor, materials: int, levels: int, base: Tensor) -> Self:
        """Materials at pixels that lie far from the mean and from each other; every class as likely.

        Parameters
        ----------
        x
            (n, d) pixels, the axes in units in which distances mean something.
        base
            (d, d) covariance that every material begins with.
        """
        centre = x.mean(0)
        far = (x - centre).square().sum(1)
        means = []
        for _ in range(materials):
            means.append(x[int(far.argmax())])
            far = torch.minimum(far, (x - means[-1]).square().sum(1))
        shares = lattice(materials, levels).to(x)
        prior = torch.full_like(shares[:, 0], 1.0 / len(shares))
        return cls(shares, prior, torch.stack(means), base.expand(materials, *base.shape))

    def classes(self) -> tuple[Tensor, Tensor]:
        """(Q, d) means and (Q, d, d) covariances of all classes."""
        return self.shares @ self.means, torch.einsum("qk,kij->qij", self.shares.square(), self.spreads)

    def log_joint(self, x: Tensor) -> Tensor:
        """(Q, n) ln p(x, q) of (n, d) pixels."""
        means, spreads = self.classes()
        root = torch.linalg.cholesky(spreads)
        apart = torch.linalg.solve_triangular(root, x.T[None] - means[:, :, None], upper=False)
        size = root.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * x.shape[1] * math.log(2 * math.pi)
        return (self.prior.clamp_min(1e-300).log() - size)[:, None] - 0.5 * apart.square().sum(1)

    def step(self, x: Tensor, base: Tensor, weight: float) -> tuple[Self, float]:
        """One round of expectation and maximisation; never lowers ln p(x) + ln p(spreads).

        The materials' own values within a pixel are what is hidden: given the class,
        E x_k = m_k + a_k C_k C_q⁻¹ (x − m_q), cov x_k = C_k − a_k² C_k C_q⁻¹ C_k.

        Parameters
        ----------
        x
            (n, d) pixels.
        base, weight
            (d, d) covariance to which a material's is held, as if seen in so many pixels.

        Returns
        -------
        tuple
            The better model, and ln p(x) / n of this one.
        """
        joint = self.log_joint(x)
        evidence = torch.logsumexp(joint, 0)
        post = (joint - evidence).exp()
        means, spreads = self.classes()
        count = post.sum(1)
        apart = post @ x - count[:, None] * means
        scatter = _scatter(x, means, post)
        inverse = torch.linalg.inv(spreads)
        moved, spread = [], []
        for k in range(len(self.means)):
            in_it = self.shares[:, k] > 0
            n = count[in_it].sum().clamp_min(1e-12)
            share, c = self.shares[in_it, k], self.spreads[k]
            gain = share[:, None, None] * (c @ inverse[in_it])
            shift = torch.einsum("qij,qj->i", gain, apart[in_it]) / n
            hidden = c - share[:, None, None] * (gain @ c)
            total = torch.einsum("q,qij->ij", count[in_it], hidden)
            total = total + (gain @ scatter[in_it] @ gain.mT).sum(0) - n * torch.outer(shift, shift)
            moved.append(self.means[k] + shift)
            spread.append((total + total.T + 2 * weight * base) / (2 * (n + weight)))
        better = replace(
            self, prior=count / count.sum(), means=torch.stack(moved), spreads=torch.stack(spread)
        )
        return better, float(evidence.mean())


def _scatter(x: Tensor, means: Tensor, post: Tensor) -> Tensor:
    """(Q, d, d) Σ_n p(q | x_n) (x_n − m_q)(x_n − m_q)ᵀ, class by class."""
    return torch.stack([((x - m) * p[:, None]).T @ (x - m) for m, p in zip(means, post, strict=True)])


def learn_mixing(x: Tensor, materials: int, levels: int, rounds: int) -> MixingModel:
    """The model of (n, d) pixels after so many rounds; a material's covariance is held to the pixels' own.

    Source: Eismann and Hardie (2004), doi:10.1109/TGRS.2004.830644, sec. III.
    """
    centred = x - x.mean(0)
    total = centred.T @ centred / max(len(x), 1)
    ground = 1e-8 * total.diagonal().mean() + _ROUNDING * x.square().mean() + 1e-38
    base = total / materials + ground * torch.eye(len(total)).to(x)
    model = MixingModel.start(x, materials, levels, base)
    for _ in range(rounds):
        model, _ = model.step(x, base, x.shape[1] + 2.0)
    return model
