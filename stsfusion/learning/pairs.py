"""Pairs: hyperspectral–multispectral fusion as its literature knows it, two images of one date.

::

    fit    tiles ─► pairs of every date ─► PairModel (estimated, assumed, given) ─► learn ─► state by date
    fuse   a pair ─► sharpen ─► the image of its date ─► other dates linearly in days between the images

A date that the rich sensor saw without the sharp one is interpolated in space alone. A method says what it
learns of a scene (`learn`), how it fuses one pair (`sharpen`) and how much context that needs (`context`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import at_dates, date_weights
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairing import Psf, model_for
from stsfusion.learning.registered import FEW, learnable, registered
from stsfusion.operators.fill import fill
from stsfusion.operators.pairmodel import PairModel, support
from stsfusion.operators.resample import Upsample, blocks, upsample
from stsfusion.operators.translate import TAPS

__all__ = ["PairMethod"]

_UNKNOWN = 1.0
"""Standard deviation of a band of which nothing is known, reflectance."""

_NEARLY = 0.9
"""Share of its bands that a pixel must have to be learned from where next to none has all of them."""


@dataclass
class PairMethod(FusionMethod):
    """Fuses one hyperspectral with one multispectral image of the same date, date by date."""

    psf: Psf = "estimated"
    """Where the point spread function comes from: estimated blindly (with the spectral response and the
    displacement), assumed to be a box or a Gaussian of the ratio's size, or given by the problem."""

    passes: int = field(default=2, metadata={"ge": 0, "le": 64})
    """Hyperspectral pixels by which gaps are entered from their edges."""

    uncovered: ClassVar[bool] = False
    """Whether multispectral bands that look at no hyperspectral band are of use."""

    # ------------------------------------------------------------ what a method says

    @abstractmethod
    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """What is global of one date's scene, from sampled tiles; float32 or integer tensors."""

    @abstractmethod
    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """(L, H, W) reflectance of a pair, from what `learn` gave; local within `context` fine pixels."""

    def doubt(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor | None:
        """(L, H, W) standard deviation of what `sharpen` gives; None: the method does not say."""
        return None

    def blank(self, state: Mapping[str, Tensor]) -> Tensor | None:
        """(L,) standard deviation where the fine image is unknown; None: the method does not say."""
        return None

    def context(self, ratio: int, reach: int) -> int:
        """Fine pixels that `sharpen` looks at on every side; `reach` is the point spread function's."""
        return 0

    # ------------------------------------------------------------ the contract

    @property
    def is_blind(self) -> bool:
        """Whether the problem's own point spread function is left alone: for the card."""
        return self.psf != "given"

    def halo(self, geometry: Geometry) -> int:
        """What `sharpen` needs, the filling, the interpolation back, and the registration."""
        ratio = geometry.ratio("rich")
        reach = {"estimated": support(ratio), "given": geometry.reach("rich")}.get(self.psf, 0)
        moved = max(
            [float(t.abs().max()) for n, t in self.state.items() if n.endswith(".moved")], default=0.0
        )
        slide = math.ceil(moved) + TAPS if moved else 0
        up = Upsample(ratio, (1, 1, 1, 1)).reach + (reach if self.psf in ("estimated", "given") else 0)
        filling = self.passes * (ratio + 1) + ratio
        return max(self.context(ratio, reach), up) + slide + filling

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Settle the model of every date that both saw, and learn its scene.

        Raises
        ------
        ProblemError
            When no date has valid pixels of both, or no multispectral band looks at a hyperspectral one.
        """
        sites = [self._site(problem) for problem in problems]
        live = torch.stack([~rich.dead_bands for rich, _ in sites]).any(0)
        used = torch.stack([~sharp.dead_bands for _, sharp in sites]).any(0)
        if not bool(live.any() and used.any()):
            raise self._unseen()
        used &= self.uncovered | (sites[0][1].view.spectral.matrix.to(live.device)[:, live] > 0).any(1)
        if not bool(used.any()):
            raise ProblemError(
                f"method '{self.card.name}'",
                expected="multispectral bands inside the hyperspectral range",
                got="none",
                mend="Choose 'mixreg' or 'gsa', which need no common wavelengths, or other bands.",
            )
        state, days = {"live": live, "used": used}, list[float]()
        found = self._by_day(problems, state)
        for i, (day, pairs) in enumerate(found.items()):
            tick(i / len(found), "point spread function and response")
            first = problems[0].observations
            model = model_for(self.psf, pairs, first["rich"], first["sharp"], live, used)
            ready = learnable(pairs, model)
            if not ready:
                continue
            learned = self.learn(
                ready,
                model,
                lambda done, what, i=i: tick((i + done) / len(found), what),  # type: ignore[misc]
            )
            state |= {f"{len(days)}.model.{name}": t.clone() for name, t in model.tensors().items()}
            state |= {f"{len(days)}.{name}": t for name, t in learned.items()}
            days.append(day)
            tick((i + 1) / len(found), "learned")
        if not days:
            raise self._unseen()
        return self.with_state(state | {"days": torch.tensor(days, dtype=torch.float64)})

    def fuse(self, problem: Problem) -> Answer:
        """Sharpen the pair of every date that both saw; linear in days between."""
        rich, _ = self._site(problem)
        series, quality = at_dates(rich, problem.target.days, "linear", self.passes)
        seen = problem.target.days[rich.dates]
        whole = torch.ones(len(seen), 1, 1, 1, dtype=torch.bool, device=series.device)
        shares = date_weights(whole, seen, problem.target.days)[..., 0, 0, 0]
        total = _Series.empty(series.new_zeros(problem.target.shape), self.card.sigma)
        for i, date in enumerate(rich.dates):
            frame, sigma = self.frame(problem, series[date], date)
            for k in shares[:, i].nonzero()[:, 0].tolist():
                total.add(k, frame, sigma, float(shares[k, i]))
        return Answer(total.values, blocks(quality, rich.ratio), total.sigma())

    # ------------------------------------------------------------ one date

    def frame(self, problem: Problem, coarse: Tensor, date: int) -> tuple[Tensor, Tensor | None]:
        """(L, H, W) image of one date that the rich sensor saw, and its standard deviation.

        `coarse` is the date's (L, h, w) image with the gaps filled.
        """
        plain = upsample(coarse[None], problem.require("rich")[0].ratio)[0]
        pair = self.pair(problem, coarse, date)
        live = self.fitted()["live"].to(coarse.device)
        if pair is None:
            _, own = self.of_day(float(problem.target.days[date]), coarse)
            return plain, self._spread(plain, live, None, self.blank(own), None)
        model, own = self.of_day(pair.day, coarse)
        pair = registered(pair, model)
        image = plain.new_zeros(plain.shape)
        image[live] = torch.where(pair.known, self.sharpen(pair, model, own).to(plain), plain[live])
        sigma = self.doubt(pair, model, own)
        return image, self._spread(plain, live, sigma, self.blank(own), pair.known)

    def _spread(
        self, like: Tensor, live: Tensor, sigma: Tensor | None, blank: Tensor | None, known: Tensor | None
    ) -> Tensor | None:
        """Standard deviations of all bands: where the fine image is unknown, and of bands that are dead."""
        if blank is None:
            return None
        out = torch.full_like(like, _UNKNOWN)
        wide = blank[:, None, None].expand(-1, *like.shape[1:])
        out[live] = wide if sigma is None or known is None else torch.where(known, sigma, wide)
        return out

    def of_day(self, day: float, like: Tensor) -> tuple[PairModel, Mapping[str, Tensor]]:
        """The model and the state of the learned date nearest to a day, on a tensor's device."""
        state = self.fitted()
        nearest = int((state["days"].cpu() - day).abs().argmin())
        own = {n.removeprefix(f"{nearest}."): t for n, t in state.items() if n.startswith(f"{nearest}.")}
        own = {name: t.to(like.device) for name, t in own.items()}
        model = {n.removeprefix("model."): t for n, t in own.items() if n.startswith("model.")}
        return PairModel.of(model).to(like), own

    def pair(self, problem: Problem, coarse: Tensor, date: int) -> Pair | None:
        """The pair of one date of the target; None when the sharp sensor did not see it."""
        state = self.fitted()
        return self._pair(problem, coarse, date, state["live"], state["used"])

    def _pair(self, problem: Problem, coarse: Tensor, date: int, live: Tensor, used: Tensor) -> Pair | None:
        rich, sharp = self._site(problem)
        if date not in sharp.dates:
            return None
        live, used = live.to(coarse.device), used.to(coarse.device)
        place, own = sharp.dates.index(date), rich.dates.index(date)
        mask = _of_date(sharp, place)[:, used]
        fine, _ = fill(sharp.data[place : place + 1][:, used], mask, self.passes * rich.ratio)
        seen = _of_date(rich, own)[:, live if rich.valid.shape[1] > 1 else slice(None)].all(1)[0]
        return Pair(
            coarse=coarse[live],
            fine=fine[0],
            clear=seen,
            known=mask.all(1)[0],
            coverage=(sharp.view.spectral.matrix.to(coarse.device) > 0)[used][:, live],
            nm=problem.target.wavelengths.to(coarse.device)[live],
            ratio=rich.ratio,
            day=float(problem.target.days[date]),
            coarse_noise=None if rich.noise is None else rich.noise[live],
            fine_noise=None if sharp.noise is None else sharp.noise[used],
        )

    def _by_day(self, problems: Sequence[Problem], state: Mapping[str, Tensor]) -> dict[float, list[Pair]]:
        """Pairs of all tiles, by day, those without a single clear pixel left out."""
        found: dict[float, list[Pair]] = {}
        for problem in problems:
            rich, sharp = self._site(problem)
            for i, date in enumerate(rich.dates):
                if date not in sharp.dates:
                    continue
                mask = _of_date(rich, i)
                filled, near = fill(rich.data[i : i + 1], mask, self.passes)
                pair = self._pair(problem, filled[0], date, state["live"], state["used"])
                if pair is not None:
                    pair = _mended(pair, mask[0, state["live"]], near[0, state["live"]])
                    if bool(pair.clear.any()) and bool(pair.known.any()):
                        found.setdefault(pair.day, []).append(pair)
        return dict(sorted(found.items()))

    def _unseen(self) -> ProblemError:
        return ProblemError(
            f"method '{self.card.name}'",
            expected="a place and a date that 'rich' and 'sharp' both saw",
            got="none",
            mend="Give a sharp image of a hyperspectral date, or choose 'lineartime' or 'stsnet'.",
        )

    def _site(self, problem: Problem) -> tuple[Observation, Observation]:
        rich, sharp = problem.require("rich", "sharp", by=self.card.name)
        return rich, sharp


@dataclass(eq=False)
class _Series:
    """A series that is summed from weighted images, with the variance of such a mixture."""

    values: Tensor
    """(time, L, H, W)."""

    variance: Tensor | None
    """The same; None: not asked for."""

    weight: list[float]
    """(time,) summed so far."""

    @classmethod
    def empty(cls, values: Tensor, sigma: bool) -> Self:
        """Nothing yet."""
        return cls(values, torch.zeros_like(values) if sigma else None, [0.0] * len(values))

    def add(self, k: int, image: Tensor, sigma: Tensor | None, share: float) -> None:
        """Add one image to a date; two that differ make the date between them less certain.

        Source: West (1979), updating of a weighted mean and variance.
        """
        before = self.weight[k]
        if self.variance is not None and sigma is not None:
            self.variance[k].add_(sigma.square(), alpha=share)
            if before > 0:
                apart = image - self.values[k] / before
                self.variance[k].add_(apart.square(), alpha=share * before / (before + share))
        self.values[k].add_(image, alpha=share)
        self.weight[k] = before + share

    def sigma(self) -> Tensor | None:
        """(time, L, H, W) standard deviation."""
        return None if self.variance is None else self.variance.sqrt_()


def _of_date(observation: Observation, place: int) -> Tensor:
    """(1, b or 1, y, x) mask of one of an observation's own dates."""
    valid = observation.valid.expand(*observation.valid.shape[:2], *observation.data.shape[2:])
    mask = valid if valid.shape[0] == 1 else valid[place : place + 1]
    return mask.expand(1, observation.data.shape[1], *mask.shape[2:])


def _mended(pair: Pair, mask: Tensor, near: Tensor) -> Pair:
    """Where hardly a pixel has all its bands, as with columns that failed band by band, nearly all will do.

    `mask` (L, h, w) is what was seen, `near` what was seen or filled.
    """
    if int(pair.clear.sum()) >= FEW:
        return pair
    return replace(pair, clear=pair.clear | (near.all(0) & (mask.float().mean(0) >= _NEARLY)))
