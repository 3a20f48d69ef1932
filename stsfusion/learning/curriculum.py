"""Curriculum: all lessons of a region, how often each is drawn, and what is lost on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stsfusion.fusion.problem import Role
from stsfusion.learning.branches import HIDDEN, Outputs
from stsfusion.learning.detail import lowpass
from stsfusion.learning.features import mixed
from stsfusion.learning.head import Head
from stsfusion.learning.lessons import Exercise
from stsfusion.learning.losses import spectral_distance
from stsfusion.learning.patches import Label, Lesson, Turn
from stsfusion.learning.ridge import Affine, Sums
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.syllabus import exams_of, lessons_of
from stsfusion.learning.timeline import CODES
from stsfusion.learning.units import Units

__all__ = ["TASKS", "Curriculum"]

TASKS = ("rich", "sharp", "dense", "spatial", "temporal", "spectral")
"""The answer against each sensor, then each branch against its own."""

_SHORTEST = 0.3
"""Smallest share of a gap in time that is told."""

_MIXED = 0.7
"""Largest share of another date in a mixture."""

_DARK = 0.02
"""Reflectance under which errors are no longer counted relative to the band's mean."""


@dataclass(frozen=True, eq=False)
class Curriculum:
    """Lessons by way of asking; errors count relative to each band's mean reflectance."""

    groups: Sequence[Sequence[Lesson]]
    """Lessons of one way of asking, one a tile."""

    chances: Tensor
    """(groups,) how often each way is drawn."""

    patch: int
    """Target pixels along one side of what a step sees."""

    dropout: float
    """Share of the units before the scores that a step drops."""

    subspace: Subspace
    """Of the scores."""

    metric: Tensor
    """(K, K) of score errors: the mean square of its image is that of the relative band errors."""

    dense_units: Tensor
    """(d,) scaled dense bands to relative reflectance."""

    sharp_units: Tensor
    """(s,) scaled sharp bands to relative reflectance."""

    to_dense: Affine
    """Scores to scaled dense bands."""

    to_sharp: Affine
    """Scores to scaled sharp bands."""

    across: Affine
    """Scaled dense bands to scaled sharp bands."""

    head: Head
    """The closed-form answer."""

    exams: Sequence[Lesson]
    """Windows whose labels are held back from all groups; empty: nothing is."""

    @classmethod
    def of(
        cls,
        asked: Sequence[tuple[Exercise, list[Tensor]]],
        units: Units,
        head: Head,
        *,
        patch: int,
        dropout: float,
        hiding: bool = True,
        holding: bool = False,
    ) -> Curriculum:
        """Lessons of every exercise with its features.

        Parameters
        ----------
        asked
            All exercises with the features of their tiles.
        units, head
            Of all values, and the closed-form answer.
        patch, dropout
            See the fields.
        hiding
            Whether lessons hide dates; False: those that do are left out.
        holding
            Whether labels are held back for exams.
        """
        taught = [pair for pair in asked if hiding or not pair[0].hidden]
        groups = [lessons_of(exercise, tensors, units, holding) for exercise, tensors in taught]
        scaling = units.scaling
        return cls(
            groups,
            _chances([exercise for exercise, _ in taught]),
            patch,
            dropout,
            units.subspace,
            _metric(units),
            scaling.dense_sd / scaling.dense_mean.clamp_min(_DARK),
            scaling.sharp_sd / scaling.sharp_mean.clamp_min(_DARK),
            *_band_maps(asked, units),
            head,
            exams_of(asked, units, patch) if holding else (),
        )

    def losses(self, net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a patch, turn it, let the network answer, and compare with every label."""
        group = self.groups[int(torch.multinomial(self.chances, 1, generator=generator))]
        tile = group[int(torch.randint(len(group), (), generator=generator))]
        lesson = self._varied(tile.draw(self.patch, generator), generator)
        turn = Turn(int(torch.randint(8, (), generator=generator)))
        x = turn.forth(self._hurried(lesson.features, generator))
        said = net(x, self.head, self._kept(x, generator))
        turned = Outputs(*(turn.back(t) for t in (said.scores, said.spatial, said.temporal, said.spectral)))
        return self.judge(turned, lesson.labels)

    def exam(self, net: nn.Module) -> float:
        """The answer's mean loss on what is held back: all units kept, nothing turned, mixed or hurried."""
        lost = [
            self._of_scores(net(exam.features, self.head).scores, exam.labels["rich"]) for exam in self.exams
        ]
        return float(torch.stack(lost).mean())

    def _varied(self, lesson: Lesson, generator: torch.Generator) -> Lesson:
        """The lesson with another season: a hidden date becomes a mixture of itself and another date."""
        share = max(2.0 * float(torch.rand((), generator=generator)) - 1.0, 0.0) * _MIXED
        others = [date for date in lesson.labels["rich"].dates if date not in lesson.hidden]
        if not lesson.hidden or not others:
            return lesson
        date = lesson.hidden[int(torch.randint(len(lesson.hidden), (), generator=generator))]
        other = others[int(torch.randint(len(others), (), generator=generator))]
        x = mixed(lesson.features, self.head.layout, self.head.axes, (date, other), share)
        labels = {role: label.mixed(date, other, share) for role, label in lesson.labels.items()}
        return replace(lesson, features=x, labels=labels)

    def _hurried(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Features that tell shorter gaps in time: hiding a date makes them longer than they will be."""
        codes = self.head.layout.part("codes")
        share = _SHORTEST + (1.0 - _SHORTEST) * float(torch.rand((), generator=generator))
        told = x[:, codes].unflatten(1, (2, CODES)) * torch.tensor([share, share, 1.0])[:, None, None].to(x)
        return torch.cat([x[:, : codes.start], told.flatten(1, 2), x[:, codes.stop :]], 1)

    def _kept(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Which units are not dropped, scaled so that their sum stays what it was on average."""
        drawn = torch.rand((len(x), HIDDEN, *x.shape[2:]), generator=generator) >= self.dropout
        return (drawn / (1.0 - self.dropout)).to(x)

    def judge(self, said: Outputs, labels: Mapping[Role, Label]) -> dict[str, Tensor]:
        """The loss of every task."""
        rich, dense, sharp = labels["rich"], labels["dense"], labels["sharp"]
        return {
            "rich": self._of_scores(said.scores, rich),
            "sharp": _of_bands(self.to_sharp(said.scores), sharp, self.sharp_units),
            "dense": _of_bands(self.to_dense(said.scores), dense, self.dense_units),
            "spatial": _of_bands(said.spatial, dense, self.dense_units)
            + _of_bands(self.across(said.spatial), sharp, self.sharp_units),
            "temporal": _of_bands(said.temporal, sharp, self.sharp_units),
            "spectral": self._of_scores(said.spectral, rich),
        }

    def _of_scores(self, scores: Tensor, label: Label) -> Tensor:
        said = label.look(scores)
        relative = torch.einsum("jk,tkyx->tjyx", self.metric, said - label.data)
        turned = _direction(self.subspace.expand(said)) - _direction(self.subspace.expand(label.data))
        bands = turned.shape[1] ** 0.5
        return spectral_distance(relative, label.weight) + spectral_distance(turned * bands, label.weight)


def _direction(spectra: Tensor) -> Tensor:
    """Spectra of unit length: the distance of two of them is their angle, for small ones."""
    return spectra / spectra.square().sum(1, keepdim=True).clamp_min(1e-6).sqrt()


def _of_bands(images: Tensor, label: Label, units: Tensor) -> Tensor:
    return spectral_distance((label.look(images) - label.data) * units[:, None, None], label.weight)


def _chances(exercises: Sequence[Exercise]) -> Tensor:
    """Half of all draws hide a date at the true scale, a quarter hide none one scale coarser."""
    kinds = [(e.shifted, bool(e.hidden)) for e in exercises]
    wanted = {(False, True): 0.5, (True, False): 0.25, (False, False): 0.125, (True, True): 0.125}
    return torch.tensor([wanted[kind] / kinds.count(kind) for kind in kinds])


def _metric(units: Units) -> Tensor:
    """M with mean((M a)²) = mean over bands of (basisᵀ a / mean reflectance)²."""
    relative = units.subspace.basis.double() / units.subspace.mean.double().clamp_min(_DARK)
    gram = relative @ relative.T / relative.shape[1] * units.subspace.rank
    return torch.linalg.cholesky(gram + 1e-12 * gram.trace() * torch.eye(len(gram)).to(gram)).T.float()


def _band_maps(asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units) -> tuple[Affine, Affine, Affine]:
    """Scores to dense bands, scores to sharp bands, dense to sharp bands, where two saw the same date.

    Learned and not computed from responses, so that a difference in calibration between sensors is absorbed.
    """
    layout = units.layout
    sizes = ((layout.rank, layout.dense), (layout.rank, layout.sharp), (layout.dense, layout.sharp))
    exercise, tensors = next(pair for pair in asked if not pair[0].shifted and not pair[0].hidden)
    totals = [Sums.nothing(*size, device=tensors[0].device) for size in sizes]
    for problem, x in zip(exercise.problems, tensors, strict=True):
        rich, sharp = problem.require("rich", "sharp")
        scores, usable = units.subspace.project(rich.data, rich.valid)
        weight, low = usable.float(), lowpass(x[rich.dates], rich.view.spatial)
        dense_bands, sharp_bands = low[:, layout.part("now")], low[:, layout.part("sharp")]
        both = (
            weight
            * torch.tensor([date in sharp.dates for date in rich.dates]).to(weight)[:, None, None, None]
        )
        pairs = ((scores, dense_bands, weight), (scores, sharp_bands, both), (dense_bands, sharp_bands, both))
        totals = [total + Sums.of(*pair) for total, pair in zip(totals, pairs, strict=True)]
    first, second, third = (total.solve(1e-5) for total in totals)
    return first, second, third
