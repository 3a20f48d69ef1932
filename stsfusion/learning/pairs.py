"""Pairs: hyperspectral–multispectral fusion as its literature knows it, two images of one date.

::

    fit    tiles ─► pairs of every date ─► PairModel (estimated, assumed, given) ─► learn ─► state by date
    fuse   a pair ─► sharpen ─► the image of its date ─► other dates linearly in days between the images

A date that the rich sensor saw without the sharp one is interpolated in space alone. One that the sharp
sensor saw without the rich one gets a coarse image by regression on its own sharp image (see `between`),
which is sharpened with what was learned on the nearest date; where nothing can be told of it, it is a date
between images. Gaps of the rich sensor on dates that both saw are told alike. Ground of which the rich
sensor saw too few bands on any date has no answer.

A method says what it learns of a scene (`learn`), how it fuses one pair (`sharpen`) and how much context that
needs (`context`).
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
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.method import FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import at_dates, date_weights
from stsfusion.learning.bandmatch import BandMatch, Sample
from stsfusion.learning.between import Bridge, Look, lacking, looked_alone, sample
from stsfusion.learning.kept import joined, under
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairing import Psf, model_for
from stsfusion.learning.pairposing import lost_bands, pair_of, pairs_by_day, shown
from stsfusion.learning.registered import learnable, registered
from stsfusion.learning.weighted import Weighted
from stsfusion.operators.pairmodel import PairModel, support
from stsfusion.operators.resample import Upsample, blocks, upsample
from stsfusion.operators.translate import TAPS

__all__ = ["PairMethod"]

_UNKNOWN = 1.0
"""Standard deviation of a band of which nothing is known, reflectance."""

_BETWEEN = "between"
"""Prefix of what `fit` learns for dates that the sharp sensor alone saw."""


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
        return max(self.context(ratio, reach), up) + slide + filling + self._detour(ratio)

    def _detour(self, ratio: int) -> int:
        """Fine pixels around a coarse one that is told by the fine image, and to its far side."""
        if not under(self.state, _BETWEEN):
            return 0
        sizes = [t.shape[0] for name, t in self.state.items() if name.endswith(".model.kernel")]
        return max((max(sizes) - ratio) // 2, 0) + ratio

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
        state, days = {"live": live, "used": used, **lost_bands(problems, used)}, list[float]()
        samples: list[list[Sample]] = []
        alone = any(looked_alone(*site, live) for site in sites)
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
            samples.append([sample(pair, model.to(pair.fine)) for pair in ready] if alone else [])
            tick((i + 1) / len(found), "learned")
        if not days:
            raise self._unseen()
        if alone:
            state |= joined({_BETWEEN: BandMatch.learn(samples, curved=True)})
        return self.with_state(state | {"days": torch.tensor(days, dtype=torch.float64)})

    def fuse(self, problem: Problem) -> Answer:
        """Sharpen the pair of every date that both saw; linear in days between."""
        rich, sharp = self._site(problem)
        series, quality = at_dates(rich, problem.target.days, "linear", self.passes)
        quality = blocks(quality, rich.ratio)
        seen = problem.target.days[rich.dates]
        whole = torch.ones(len(seen), 1, 1, 1, dtype=torch.bool, device=series.device)
        shares = date_weights(whole, seen, problem.target.days)[..., 0, 0, 0]
        total = Weighted.empty(series.new_zeros(problem.target.shape), self.card.sigma)
        bridge = self._bridge(problem, series)
        for i, date in enumerate(rich.dates):
            frame, sigma, told = self._bridged(problem, series[date], date, bridge)
            quality[date, 0][told.all(0)] = int(Quality.FUSED)
            for k in shares[:, i].nonzero()[:, 0].tolist():
                total.add(k, frame, sigma, float(shares[k, i]))
        for date in sharp.dates:
            if bridge is not None and date not in rich.dates:
                frame, sigma, told = self._bridged(problem, series[date], date, bridge)
                total.put(date, frame, sigma, told)
                quality[date, 0][told.all(0)] = int(Quality.FUSED)
        beyond = ~blocks(shown(rich, self.fitted()["live"], self.passes), rich.ratio)
        quality.masked_fill_(beyond, int(Quality.NO_DATA))
        return Answer(total.values, quality, total.sigma())

    def _bridge(self, problem: Problem, series: Tensor) -> Bridge | None:
        """What the dates that both saw say of the rest, from the (time, L, h, w) coarse series."""
        rich, sharp = self._site(problem)
        learned = under(self.fitted(), _BETWEEN)
        both = [date for date in rich.dates if date in sharp.dates]
        if not (learned and both):
            return None
        looks = [self._look(problem, series[date], date) for date in both]
        match = BandMatch.of({name: t.to(series.device) for name, t in learned.items()})
        return Bridge(match, looks, series[both][:, self.fitted()["live"].to(series.device)])

    def _bridged(
        self, problem: Problem, coarse: Tensor, date: int, bridge: Bridge | None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """As `frame`, what the rich sensor lacks being told by the sharp one; (L, H, W) where it is.

        Bands that are dead stay as they are in the (L, h, w) `coarse` image.
        """
        rich, sharp = self._site(problem)
        live = self.fitted()["live"].to(coarse.device)
        lacks = lacking(rich, date).expand(len(live), -1, -1)
        if bridge is None or date not in sharp.dates or not bool(lacks[live].any()):
            frame, sigma, known = self.frame(problem, coarse, date)
            return frame, sigma, torch.zeros_like(known[None])
        image, told = bridge(self._look(problem, coarse, date, alone=True))
        own = lacks & told
        coarse = coarse.clone()
        coarse[live] = torch.where(own[live], image, coarse[live])
        frame, sigma, known = self.frame(problem, coarse, date)
        where = blocks(own, rich.ratio) & known
        return frame, None if sigma is None else torch.where(where, bridge.unsure(sigma, live), sigma), where

    def _look(self, problem: Problem, coarse: Tensor, date: int, *, alone: bool = False) -> Look:
        """Of the sharp image; `alone`: whatever the rich sensor saw."""
        pair = self.pair(problem, coarse, date)
        assert pair is not None
        if alone:
            pair = replace(pair, clear=torch.ones_like(pair.clear))
        model, _ = self.of_day(pair.day, pair.coarse)
        return Look.of(registered(pair, model), model)

    # ------------------------------------------------------------ one date

    def frame(self, problem: Problem, coarse: Tensor, date: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """(L, H, W) image of one date, its standard deviation, and the (H, W) pixels that were sharpened.

        `coarse` is the date's (L, h, w) image with the gaps filled.
        """
        plain = upsample(coarse[None], problem.require("rich")[0].ratio)[0]
        pair = self.pair(problem, coarse, date)
        live = self.fitted()["live"].to(coarse.device)
        if pair is None:
            _, own = self.of_day(float(problem.target.days[date]), coarse)
            nowhere = torch.zeros_like(plain[0], dtype=torch.bool)
            return plain, self._spread(plain, live, None, self.blank(own), None), nowhere
        model, own = self.of_day(pair.day, coarse)
        pair = registered(pair, model)
        image = plain.new_zeros(plain.shape)
        image[live] = torch.where(pair.known, self.sharpen(pair, model, own).to(plain), plain[live])
        sigma = self.doubt(pair, model, own)
        return image, self._spread(plain, live, sigma, self.blank(own), pair.known), pair.known

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
        return pair_of(problem, coarse, date, self.fitted(), self.passes)

    def _by_day(self, problems: Sequence[Problem], state: Mapping[str, Tensor]) -> dict[float, list[Pair]]:
        """Pairs of all tiles, by day."""
        return pairs_by_day(problems, state, self.passes)

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
