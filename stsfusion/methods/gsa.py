"""gsa: Gram–Schmidt adaptive detail injection at the observed dates, linear in days between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card, FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import at_dates, date_weights
from stsfusion.operators.fill import fill
from stsfusion.operators.resample import Upsample, blocks, upsample

__all__ = ["GSA"]


@dataclass
class GSA(FusionMethod):
    """X_b = Z_b↑ + g_b · (I_b − (I_b)↓↑), I_b = Σ_l w_bl Y_l + c_b.

    For every hyperspectral band b the intensity I_b is the least-squares combination of the sharp bands Y,
    fitted against Z_b on the coarse grid with an intercept; its detail is injected with the gain
    g_b = cov(Z_b, I_b↓) / var(I_b↓), which is one for an ordinary least-squares fit. The low-pass (↓) is the
    hyperspectral sensor's point spread function as the problem states it. Weights are learned per observed
    date over all sampled tiles. A date without a hyperspectral image is interpolated linearly in days.

    Source: Aiazzi, Baronti and Selva (2007), eqs. 10 to 14; one intensity a band as in Selva et al. (2015).
    """

    ridge: float = field(default=1e-6, metadata={"ge": 0.0, "le": 1e6})
    """Share of the mean variance of the sharp bands that is added to their covariance, so that it inverts."""

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Hyperspectral pixels by which gaps are entered from their edges."""

    @property
    def card(self) -> Card:
        """Detail injection."""
        return Card(
            name="gsa",
            title="Gram–Schmidt adaptive, linear in days between",
            source="10.1109/TGRS.2007.901007",
            needs=("rich", "sharp"),
            fits="scene",
            memory=6.0,
        )

    def halo(self, geometry: Geometry) -> int:
        """The point spread function, the interpolation back, and the filling."""
        ratio = geometry.ratio("rich")
        up = Upsample(ratio, (1, 1, 1, 1)).reach
        return geometry.reach("rich") + up + ratio + self.passes * (ratio + 1)

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Regress every hyperspectral band on the sharp bands' low-pass, date by date."""
        totals: dict[float, Moments] = {}
        for done, problem in enumerate(problems):
            rich, sharp = problem.require("rich", "sharp", by="gsa")
            for day, z, y, known in _pairs(problem, rich, sharp, self.passes):
                totals[day] = Moments.of(z, y, known).plus(totals.get(day))
            tick((done + 1) / len(problems), "regression")
        if not totals:
            raise ProblemError(
                "method 'gsa'",
                expected="a date that 'rich' and 'sharp' both saw",
                got="none",
                mend="Give a sharp image of a hyperspectral date, or choose 'lineartime' or 'stsnet'.",
            )
        days = sorted(totals)
        weights = torch.stack([totals[day].weights(self.ridge) for day in days])
        return self.with_state({"days": torch.tensor(days, dtype=torch.float64), "weights": weights.float()})

    def fuse(self, problem: Problem) -> Answer:
        """Upsample the interpolated series, add the interpolated details."""
        rich, sharp = problem.require("rich", "sharp", by="gsa")
        state = self.fitted()
        series, quality = at_dates(rich, problem.target.days, "linear", self.passes)
        values = upsample(series, rich.ratio)
        seen = problem.target.days[rich.dates]
        whole = torch.ones(len(seen), 1, 1, 1, dtype=torch.bool, device=values.device)
        shares = date_weights(whole, seen, problem.target.days)[..., 0, 0, 0]
        for position, detail in self._details(rich, sharp):
            nearest = int((state["days"] - seen[position].cpu()).abs().argmin())
            weights = state["weights"][nearest].to(values)
            for k in shares[:, position].nonzero()[:, 0].tolist():
                values[k].add_(torch.tensordot(weights.T, detail, 1), alpha=float(shares[k, position]))
        return Answer(values, blocks(quality, rich.ratio))

    def _details(self, rich: Observation, sharp: Observation) -> list[tuple[int, Tensor]]:
        """(position of the hyperspectral date, (l, y, x) detail of the sharp bands), dates that both saw."""
        found = []
        for position, date in enumerate(rich.dates):
            if date in sharp.dates:
                image, known = _image(sharp, sharp.dates.index(date), self.passes * rich.ratio)
                low = rich.view.spatial.with_shape((1, *image.shape[1:]))(image)
                detail = torch.where(known, image - upsample(low, rich.ratio), 0.0)
                found.append((position, detail[0]))
        return found


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums of a regression with an intercept, in double precision, so that tiles add up in any order."""

    count: Tensor
    """() number of coarse pixels."""

    sums: Tensor
    """(l + L,) of the sharp low-pass and the hyperspectral bands."""

    products: Tensor
    """(l, l + L) of the sharp low-pass with both."""

    @classmethod
    def of(cls, z: Tensor, y: Tensor, known: Tensor) -> Moments:
        """From (L, p) hyperspectral and (l, p) sharp pixels and the (p,) mask of those to count."""
        both = torch.cat([y, z])[:, known].double()
        return cls(known.sum().double(), both.sum(1), both[: len(y)] @ both.T)

    def plus(self, other: Moments | None) -> Moments:
        """The sums over both."""
        if other is None:
            return self
        return Moments(self.count + other.count, self.sums + other.sums, self.products + other.products)

    def weights(self, ridge: float) -> Tensor:
        """(l, L) slopes of the regression."""
        sharp = self.products.shape[0]
        mean = self.sums / self.count.clamp_min(1.0)
        covariance = self.products / self.count.clamp_min(1.0) - torch.outer(mean[:sharp], mean)
        square = covariance[:, :sharp]
        load = ridge * square.diagonal().mean().clamp_min(1e-12)
        return torch.linalg.solve(square + load * torch.eye(sharp).to(square), covariance[:, sharp:])


def _image(sharp: Observation, position: int, passes: int) -> tuple[Tensor, Tensor]:
    """One (1, l, y, x) sharp image with its gaps filled, and where it was known before."""
    valid = sharp.valid.expand(*sharp.valid.shape[:2], *sharp.data.shape[2:])
    mask = valid if valid.shape[0] == 1 else valid[position : position + 1]
    filled, _ = fill(sharp.data[position : position + 1], mask, passes)
    return filled, mask


def _pairs(
    problem: Problem, rich: Observation, sharp: Observation, passes: int
) -> list[tuple[float, Tensor, Tensor, Tensor]]:
    """(day, hyperspectral pixels, sharp pixels at the coarse grid, mask) of every date that both saw."""
    pairs = []
    for position, date in enumerate(rich.dates):
        if date not in sharp.dates:
            continue
        image, known = _image(sharp, sharp.dates.index(date), passes)
        blur = rich.view.spatial
        low = blur.with_shape((1, *image.shape[1:]))(image)
        clear = blur.with_shape((1, 1, *image.shape[2:]))(known.all(1, keepdim=True).float()) > 0.999
        own = rich.valid if rich.valid.shape[0] == 1 else rich.valid[position : position + 1]
        own = own.expand(1, -1, *rich.data.shape[2:])
        # A band that is dead here counts as zero; all others must be there for a pixel to count.
        dead = ~own.any((2, 3), keepdim=True)
        mask = clear & own.any(1, keepdim=True) & (own | dead).all(1, keepdim=True)
        z = torch.where(own[0], rich.data[position], 0.0)
        pairs.append((float(problem.target.days[date]), z.flatten(1), low[0].flatten(1), mask.flatten()))
    return pairs
