"""srecnn: spectral resolution enhancement by a small network, from multispectral patches to scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.method import Card, Tick, silent
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import at_dates, date_weights, quality_of
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.bandnet import REACH, BandNet, BandTask, Pairing, Units, layer_sizes, scored
from stsfusion.learning.checkpoint import name_of
from stsfusion.learning.kept import joined, under
from stsfusion.learning.layers import initialise
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairing import model_for
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.plateau import EVERY, Plateau
from stsfusion.learning.registered import learnable, registered
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.training import Schedule, train
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.resample import blocks, upsample

__all__ = ["SRECNN"]

_STRIP = 128
"""Rows that the network answers at once."""


@dataclass
class SRECNN(PairMethod):
    """X(t) = mean + Eᵀ net(Y(t)): what a multispectral patch tells of the hyperspectral principal components.

    Trained on all dates that both saw, one scale coarser: the multispectral image seen through the
    hyperspectral sensor's point spread function, on the hyperspectral grid, against what was measured there.
    Decimated, it is as sharp in its own pixels as the image is that the network is later given, so that a
    neighbourhood of 5 × 5 pixels looks alike at both scales; merely blurred, it would be smoother than
    anything asked for.

    Every date that the sharp sensor saw is answered from it alone, also those that the hyperspectral one did
    not see; a date that the latter saw alone is upsampled; others are linear in days between these.

    Source: Peng et al., IGARSS 2019, as the long-time-series paper describes it; widths after SRCNN,
    10.1109/TPAMI.2015.2439281.
    """

    first: int = field(default=64, metadata={"ge": 1, "le": 1024})
    """Channels behind the first convolution, 3 × 3."""

    second: int = field(default=32, metadata={"ge": 1, "le": 1024})
    """Channels behind the second, 1 × 1."""

    share: float = field(default=0.9999, metadata={"ge": 0.5, "le": 1.0})
    """Share of the hyperspectral variance after which no further component is kept."""

    rank: int = field(default=32, metadata={"ge": 1, "le": 256})
    """Most components."""

    steps: int = field(default=20000, metadata={"ge": 0, "le": 10000000, "quick": 2000})
    """Steps of the optimiser at most."""

    rate: float = field(default=3e-3, metadata={"ge": 0.0, "le": 1.0})
    """Largest learning rate."""

    patience: int = field(default=5, metadata={"ge": 0, "le": 1000})
    """Exams on pixels that are held back, one every 100 steps, without gain after which the rate falls to a
    fifth; the third fall ends the training, and the best weights are kept. 0: all steps are walked; so are
    fewer than it takes to lose patience."""

    patch: int = field(default=16, metadata={"ge": 1, "le": 4096})
    """Hyperspectral pixels along one side of what a step sees."""

    batch: int = field(default=8, metadata={"ge": 1, "le": 4096})
    """Windows in a step."""

    seed: int = 0
    """Of the first weights and of what is drawn."""

    uncovered: ClassVar[bool] = True

    @property
    def card(self) -> Card:
        """Needs both sensors; one common date suffices."""
        return Card(
            name="srecnn",
            title="SRECNN: hyperspectral scores from multispectral patches",
            source="Peng et al., IGARSS (2019)",
            needs=("rich", "sharp"),
            fits="training",
            blind=self.is_blind,
        )

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A narrow network and a few steps."""
        cheap = {"first": 16, "second": 8, "rank": 6, "steps": 60, "rate": 0.02, "batch": 2}
        return cls(**{**cheap, **settings})

    def context(self, ratio: int, reach: int) -> int:
        """The network's neighbourhood."""
        return REACH

    # ------------------------------------------------------------ learning

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Settle the model of every date that both saw, and train one network on all of them.

        Raises
        ------
        ProblemError
            When no date has valid pixels of both.
        """
        sites = [self._site(problem) for problem in problems]
        live = torch.stack([~rich.dead_bands for rich, _ in sites]).any(0)
        used = torch.stack([~sharp.dead_bands for _, sharp in sites]).any(0)
        if not bool(live.any() and used.any()):
            raise self._unseen()
        state = {"live": live, "used": used}
        models, pairings, days = dict[str, Tensor](), list[Pairing](), list[float]()
        for day, pairs in self._by_day(problems, state).items():
            tick(0.0, "point spread function and response")
            first = problems[0].observations
            model = model_for(self.psf, pairs, first["rich"], first["sharp"], live, used)
            ready = learnable(pairs, model)
            if ready:
                models |= joined({f"{len(days)}.model": model})
                pairings += [_pairing(pair, model) for pair in ready]
                days.append(day)
        if not days:
            raise self._unseen()
        learned = self._taught(pairings, tick)
        return self.with_state(
            {**state, **models, **learned, "days": torch.tensor(days, dtype=torch.float64)}
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The components and the network of these pairs alone."""
        return self._taught([_pairing(pair, model) for pair in pairs], tick)

    def _taught(self, pairings: Sequence[Pairing], tick: Tick) -> dict[str, Tensor]:
        pixels = torch.cat([each.wanted[:, each.clear] for each in pairings], 1).T
        level = pixels.double().std(0, unbiased=False).mean().clamp_min(1e-12 * pixels.abs().max() + 1e-30)
        even = torch.full((pixels.shape[1],), float(level), dtype=torch.float64, device=pixels.device)
        subspace = Subspace.learn([pixels], rank=self.rank, share=self.share, noise=even)
        units = Units.learn(pairings)
        size = subspace.basis.square().sum(1)
        task = BandTask(
            scored(pairings, units, subspace.analysis, subspace.mean),
            size / size.sum().clamp_min(1e-30),
            self.patch,
            self.batch,
            holding=0 < self.patience * EVERY < self.steps,
        )
        net, curve = self._trained(task, tick)
        weights = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
        return {**joined({"subspace": subspace, "units": units}), **weights, "curve": curve}

    def _trained(self, task: BandTask, tick: Tick) -> tuple[nn.Module, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        image, wanted = task.pairings[0].image, task.pairings[0].wanted
        with torch.device("meta"):
            net = BandNet(len(image), self.first, self.second, len(wanted))
        net.to_empty(device=image.device)
        initialise(net, generator)
        seen = {
            f"{place} {name}": tensor
            for place, each in enumerate(task.pairings)
            for name, tensor in vars(each).items()
        }
        course = train(
            list(net.parameters()),
            lambda: task.losses(net, generator)["scores"],
            Schedule(self.steps, self.rate, warmup=0.02, decay=0.0),
            tick,
            name=name_of(settings_of(self), seen),
            drawing=generator,
            plateau=Plateau(lambda: task.exam(net), tries=self.patience) if task.examined else None,
        )
        return net.requires_grad_(False), course.curve.float()

    # ------------------------------------------------------------ fusing

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """The network's scores, expanded."""
        subspace, units = Subspace.of(under(state, "subspace")), Units.of(under(state, "units"))
        weights = under(state, "net")
        with torch.device("meta"):
            net = BandNet(*layer_sizes(weights))
        net.load_state_dict(weights, strict=True, assign=True)
        image = units(pair.fine)
        out = image.new_empty(len(subspace.mean), *image.shape[1:])
        with torch.no_grad():
            for start in range(0, image.shape[1], _STRIP):
                stop = min(start + _STRIP, image.shape[1])
                top, bottom = max(start - REACH, 0), min(stop + REACH, image.shape[1])
                scores = net(image[None, :, top:bottom])[0, :, start - top : stop - top]
                out[:, start:stop] = subspace.expand(scores[None])[0]
        return out

    def fuse(self, problem: Problem) -> Answer:
        """The network on every sharp date; upsampled where the other sensor is alone; linear between."""
        rich, sharp = self._site(problem)
        days = problem.target.days
        series, _ = at_dates(rich, days, "linear", self.passes)
        values = series.new_zeros(problem.target.shape)
        made = torch.zeros(len(days), 1, *values.shape[2:], dtype=torch.bool, device=values.device)
        for date in sharp.dates:
            values[date], made[date, 0] = self._answered(problem, series[date], date)
        told = made.clone()
        for place, date in enumerate(rich.dates):
            mask = rich.valid.expand(len(rich.dates), -1, *rich.data.shape[2:])[place]
            alone = blocks(mask.any(0, keepdim=True), rich.ratio) & ~made[date]
            if bool(alone.any()):
                values[date] = torch.where(alone, upsample(series[date][None], rich.ratio)[0], values[date])
                made[date] |= alone
        quality = quality_of(made, days, days)
        quality[told] = int(Quality.FUSED)
        _bridge(values, made, series, days, rich.ratio)
        return Answer(values, quality)

    def _answered(self, problem: Problem, coarse: Tensor, date: int) -> tuple[Tensor, Tensor]:
        """(L, H, W) answer to the sharp image of a date, and where that is known; zero elsewhere."""
        pair = self.pair(problem, coarse, date)
        assert pair is not None
        model, _ = self.of_day(pair.day, coarse)
        pair = registered(pair, model)
        state = {name: tensor.to(coarse.device) for name, tensor in self.fitted().items()}
        image = coarse.new_zeros(len(coarse), *pair.fine.shape[1:])
        image[state["live"]] = torch.where(pair.known, self.sharpen(pair, model, state), 0.0)
        return image, pair.known


def _pairing(pair: Pair, model: PairModel) -> Pairing:
    """Both on the hyperspectral grid."""
    return Pairing(model.to(pair.fine).lowpass(pair.fine), pair.coarse, pair.clear)


def _bridge(values: Tensor, made: Tensor, series: Tensor, days: Tensor, ratio: int) -> None:
    """What no date made here is linear in days between those that did, or else upsampled; in place."""
    ever = made.any(0)
    whole = made.clone()
    for k, day in enumerate(days):
        if bool(whole[k].all()):
            continue
        weights = date_weights(whole, days, day[None])[0]
        between = torch.zeros_like(values[k])
        for weight, value, own in zip(weights, values, whole, strict=True):
            between.addcmul_(weight * own, value)
        if not bool(ever.all()):
            between = torch.where(ever, between, upsample(series[k][None], ratio)[0])
        values[k] = torch.where(whole[k], values[k], between)
