"""stsnet: the long-time-series fusion network with spatial, temporal and spectral branches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from stsfusion.fusion.answer import Answer, Factored, Quality
from stsfusion.fusion.method import Card, Geometry, Tick
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import quality_of
from stsfusion.learning.branches import BranchNet
from stsfusion.learning.curriculum import TASKS, Curriculum
from stsfusion.learning.head import Head
from stsfusion.learning.lessons import exercises
from stsfusion.learning.network import Lessons, NetworkMethod
from stsfusion.learning.posing import Asked, choose_penalty
from stsfusion.learning.preparation import Preparation, learn_head
from stsfusion.learning.units import learn_units
from stsfusion.operators.linear import Shape
from stsfusion.operators.resample import Upsample, blocks

__all__ = ["STSNet"]

_NAME = "stsnet"

_STRIP, _LEAST = 64, 8
"""Rows that the network refines at once, and the fewest when memory is short."""


@dataclass
class STSNet(NetworkMethod):
    """Z = ridge(features, revised) + g(δ_spatial, δ_temporal, δ_spectral): all dates of a series in one pass.

    Hyperspectral bands enter as noise-whitened principal components; every sensor is brought to all dates by
    time-encoded resampling; a ridge regression answers in closed form; three branches of multi-kernel grouped
    residual blocks learn detail, change and spectra as tasks of learnable weight and refine it. All is
    learned on the region itself, by scale shift and date dropout. Training ends when hidden dates are told no
    better in a seventh of the ground, in cells, whose labels are held back on all dates; see `holding`.

    Source: the branches, kernel sets and task weights of the long-time-series network of Peng et al. (2024);
    the resampling, the lessons and the closed-form start are ours.
    """

    steps: int = field(default=6000, metadata={"ge": 0, "le": 10000000})
    """Steps of the optimiser; the most there are, where `patience` ends them."""

    kernels: tuple[int, ...] = (1, 3)
    """Kernel sizes in every residual block: (1,), (1, 3) or (1, 3, 5)."""

    width: int = 32
    """Channels of a branch."""

    blocks: int = 3
    """Residual blocks of a branch."""

    rank: int = 12
    """Most principal components."""

    variance: float = 0.99999
    """Share of the whitened variance after which no further component is kept."""

    axes: int = 3
    """Leading principal components of the dense bands whose products the ridge head may use."""

    curved: bool = True
    """Whether the ridge head uses the products too; else they are the spectral branch's alone."""

    patch: int = 48
    """Target pixels along one side of what a training step sees."""

    dropout: float = 0.25
    """Share of the units before the scores that a training step drops."""

    penalty: float = 1e-4
    """Of the ridge head, as a share of the standardised variance."""

    details: tuple[float, ...] = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    """Penalties that are tried for the detail of the dense images; hidden dates decide."""

    hidings: int = 5
    """Ways of hiding dates that are trained on, at most."""

    date_dropout: bool = True
    """False: no lesson of the network hides a date; the closed-form answer is learned as ever."""

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Pixels of each sensor by which gaps are entered from their edges."""

    branches: bool = True
    """False: the network is left out and the ridge head answers alone."""

    _strip = _STRIP

    @property
    def card(self) -> Card:
        """A trained method that needs all three sensors."""
        return Card(
            name=_NAME,
            title="Spatial, temporal and spectral branches, trained on the region",
            source="Peng, Li, Zhou and Li (2024)",
            needs=("rich", "dense", "sharp"),
            fits="training",
            factored=True,
            seam=5e-5 if self.half else 1e-5,
            memory=8.0,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The answer against each sensor, and each branch against its own."""
        return TASKS

    @property
    def walked(self) -> int:
        """No steps without branches."""
        return self.steps if self.branches else 0

    def halo(self, geometry: Geometry) -> int:
        """Filling, then detail (blur and back), then the coarse look of it, then the convolutions."""
        rich, dense, sharp = (geometry.ratio(role) for role in ("rich", "dense", "sharp"))

        def there_and_back(role: Any, ratio: int) -> int:
            return geometry.reach(role) + ratio - 1 + Upsample(ratio, (1, 1, 1, 1)).reach

        filled = self.passes * max(sharp, dense) + Upsample(sharp, (1, 1, 1, 1)).reach
        detail = filled + there_and_back("dense", dense)
        coarse = max(detail + there_and_back("rich", rich), self.passes * rich + there_and_back("rich", rich))
        return coarse + (self.blocks * (max(self.kernels) // 2) if self.branches else 0)

    def peak(self, shape: Shape, geometry: Geometry) -> float:
        """Features and scores of all dates, and what layers hold of the rows that are walked at a time.

        The numbers of values a pixel are measured; bands do not matter, for the answer is factored.
        """
        dates, _, rows, cols = shape
        values = 75.0 + 3 * self.rank
        if self.branches:
            reach = self.blocks * (max(self.kernels) // 2)
            share = min(1.0, (self._strip + 2 * reach) / math.sqrt(rows * cols))
            values = max(values, 24 + 3 * self.rank + share * (56 + 3 * self.rank + 9 * self.width))
        return 4.0 * dates * rows * cols * values

    def prepare(self, problems: Sequence[Problem], tick: Tick) -> tuple[dict[str, Tensor], Lessons]:
        """Units, detail and head in closed form; lessons for the network."""
        tick(0.0, "subspace and regressions")
        units = learn_units(
            problems, rank=self.rank, share=self.variance, axes=self.axes, passes=self.passes, by=_NAME
        )
        asked = [Asked.of(exercise, units) for exercise in exercises(problems, self.hidings)]
        penalty = choose_penalty(asked, self.details)
        posed = [(each.exercise, each.features(penalty)) for each in asked]
        head = learn_head(posed, units, penalty=self.penalty, curved=self.curved)
        whole = next(a for a in asked if not a.exercise.shifted and not a.exercise.hidden)
        curriculum = Curriculum.of(
            posed,
            units,
            head,
            patch=self.patch,
            dropout=self.dropout,
            hiding=self.date_dropout,
            holding=self.watched,
        )
        prepared = Preparation(units, whole.detail(penalty), whole.sharp_days, head)
        return prepared.tensors(), Lessons(curriculum.losses, curriculum.exam if curriculum.exams else None)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """Three branches and what joins them."""
        layout = self._prepared(state).units.layout
        return BranchNet(layout, self.width, self.blocks, self.kernels, mixed=self.mixed, half=self.half)

    def silent_layers(self, net: nn.Module) -> Sequence[nn.Module]:
        """All exits start at zero, so that training starts at the ridge regression."""
        assert isinstance(net, BranchNet)
        return net.quiet

    def fuse(self, problem: Problem) -> Answer:
        """Features, closed-form answer, and what the branches add to it."""
        problem.require("rich", "dense", "sharp", by=_NAME)
        state = self.fitted()
        rich, dense, sharp = problem.require("rich", "dense", "sharp", by=_NAME)
        device = rich.data.device
        with torch.no_grad():
            prepared = self._prepared({name: tensor.to(device) for name, tensor in state.items()})
            x = prepared.features(problem)
            scores = self._refine(x, prepared.head) if self.branches else prepared.head(x)
        subspace = prepared.units.subspace
        return Answer(Factored(scores, subspace.basis, subspace.mean), _quality(problem, rich, dense, sharp))

    def lighter(self) -> Self | None:
        """Strips of half as many rows."""
        if not self.branches or self._strip // 2 < _LEAST:
            return None
        copy = replace(self)
        copy._state = self._state  # the very same, so that its network serves as well
        copy._strip = self._strip // 2
        return copy

    def without_branches(self) -> Self:
        """The fitted method with its branches zeroed, so that only the head is left."""
        bare = replace(self, branches=False)
        return bare.with_state(self.fitted())

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A narrow network and a few steps."""
        cheap = {"steps": 8, "width": 8, "blocks": 1, "rank": 6, "patch": 24}
        return cls(**{**cheap, **settings})

    def _refine(self, x: Tensor, head: Head) -> Tensor:
        """The network's scores, made in strips of rows with their context, so that little memory is held."""
        net = self.network(x.device)
        reach, rows = self.blocks * (max(self.kernels) // 2), x.shape[2]
        refined = x.new_empty(len(x), head.layout.rank, *x.shape[2:])
        for start in range(0, rows, self._strip):
            stop = min(start + self._strip, rows)
            top, bottom = max(start - reach, 0), min(stop + reach, rows)
            strip = net(x[:, :, top:bottom], head).scores
            refined[:, :, start:stop] = strip[:, :, start - top : stop - top]
        return refined

    def _prepared(self, state: Mapping[str, Tensor]) -> Preparation:
        return Preparation.of(state, self.passes, _NAME)


def _quality(problem: Problem, rich: Observation, *others: Observation) -> Tensor:
    """Observed where the hyperspectral sensor saw, fused where another did, else by the dates around."""
    days = problem.target.days
    own = rich.valid.expand(rich.data.shape[0], -1, *rich.data.shape[2:])
    quality = blocks(quality_of(own, days[rich.dates], days), rich.ratio)
    for other in others:
        valid = other.valid.expand(other.data.shape[0], -1, *other.data.shape[2:])
        seen = blocks(valid.any(1, keepdim=True), other.ratio)
        for place, date in enumerate(other.dates):
            fused = seen[place] & (quality[date] != int(Quality.OBSERVED))
            quality[date] = torch.where(fused, int(Quality.FUSED), quality[date].int()).to(torch.uint8)
    return quality
