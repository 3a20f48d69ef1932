"""jointlr: all sensors' series as one estimate of low rank, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer, Factored
from stsfusion.fusion.method import Card, FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Problem, Role
from stsfusion.learning.casting import Casting
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointanswer import answer_of
from stsfusion.learning.jointbase import Settings
from stsfusion.learning.jointlessons import learn_joint
from stsfusion.learning.jointoffsets import with_offsets
from stsfusion.learning.jointoptics import JointOptics, JointPsf
from stsfusion.learning.kept import under
from stsfusion.learning.krigewindows import PIECE
from stsfusion.learning.live import Live, with_seen_dates
from stsfusion.learning.origin import has_all_bands, origin
from stsfusion.learning.resolved import WIDEST
from stsfusion.learning.sharponly import series_of
from stsfusion.learning.sharpradiometry import SharpRadiometry
from stsfusion.learning.swaths import PIXELS
from stsfusion.operators.linear import Shape
from stsfusion.operators.pairmodel import support
from stsfusion.operators.resample import Upsample
from stsfusion.operators.translate import TAPS

__all__ = ["JointLR"]

_NAME = "jointlr"

_OPTICS = "optics"
"""Prefix of what was found of the sensors."""


_GUIDE = 40
"""Maps of the guide, and of what leads to it."""


@dataclass
class JointLR(FusionMethod):
    """x̂(t) = F(m(t)) + e, held to what was seen of the date.

    Point spread functions, displacements, gains, offsets, and noise that nobody states, are estimated first.
    The sharp images of all dates are one guide. Through the point spread function it unmixes the dense series
    into fine bands m of every date, and the hyperspectral series into fine scores; a ridge regression F tells
    scores from bands; pixels that look alike on all dates correct it together; what a pixel keeps of its own,
    e, is carried in time; innovations hold the estimate to the bands of the date, and it is not negative.
    What cannot be known beforehand is chosen, and the standard deviation learned, by hiding dates one after
    the other. Without a hyperspectral sensor the target is the sharp one's bands.

    Source: ours.
    """

    rank: int = field(default=16, metadata={"ge": 1, "le": 64})
    """Most scores."""

    halves: tuple[int, int] = (2, 1)
    """Coarse pixels that windows extend on every side: of the dense and of the hyperspectral sensor."""

    width: float = field(default=0.7, metadata={"ge": 0.01, "le": 100.0})
    """Distance in the guide at which pixels are no longer alike; two of them lie about one apart."""

    linear: float = field(default=2.0, metadata={"ge": 0.0, "le": 1000.0})
    """Weight of slopes that a window finds for itself."""

    near: float = field(default=50.0, metadata={"ge": 0.1, "le": 1e6})
    """Coarse pixels over which a window's pixels resemble each other by nearness alone."""

    loads: tuple[float, float] = (100.0, 10.0)
    """On the slopes of dense and of hyperspectral changes, in variances of the guide's noise."""

    centres: int = field(default=60, metadata={"ge": 1, "le": 1000})
    """Typical spectra about which the scores' regression bends."""

    curve: float = field(default=0.01, metadata={"ge": 1e-6, "le": 1e3})
    """Load on what bends."""

    akin: int = field(default=400, metadata={"ge": 0, "le": 1000})
    """Pixels that stand for all that look like them, in what the regression leaves over; 0: none."""

    spans: tuple[float, ...] = (60.0, 200.0, 600.0)
    """Days over which what pixels keep may last; hidden dates decide."""

    grounds: tuple[float, ...] = (0.0, 1.0, 3.0)
    """How far surfaces that no date has shown may lie off, in typical errors; hidden dates decide."""

    hidings: int = field(default=4, metadata={"ge": 0, "le": 64})
    """Dates that are hidden, at most."""

    psf: JointPsf = "estimated"
    """Where point spread functions of the coarse sensors come from: estimated from dates that the sharp one
    saw too (a sensor without such dates keeps the problem's), or given by the problem."""

    seed: int = 0
    """Of the search for typical spectra."""

    def __post_init__(self) -> None:
        """Refuse choices that are none."""
        for name, least in (("spans", 1e-3), ("grounds", 0.0), ("halves", 0)):
            given = getattr(self, name)
            if len(given) == 0 or min(given) < least or (name == "halves" and len(given) != 2):
                raise MethodError(
                    f"method '{_NAME}', setting '{name}'",
                    expected=f"{'two numbers' if name == 'halves' else 'numbers'} of at least {least:g}",
                    got=f"{list(given)}",
                )
        self.grounds = tuple(sorted(self.grounds))

    @property
    def card(self) -> Card:
        """Whatever there is beside sharp images is used."""
        return Card(
            name=_NAME,
            title="All series as one: unmixed by a guide, carried in time, held to every sensor",
            source="stsfusion",
            needs=("sharp",),
            uses=("rich", "dense"),
            finest=True,
            fits="scene",
            sigma=True,
            factored=True,
            seam=5e-5,
            memory=12.0,
        )

    def halo(self, geometry: Geometry) -> int:
        """Closing gaps by the dense images, then the windows, then what a coarse pixel in them sees."""
        dense = geometry.ratio("dense")
        if dense == 1 and "rich" not in geometry.ratios:
            return WIDEST
        gaps = 2 * dense + Upsample(dense, (1, 1, 1, 1)).reach

        def windows(role: Role, half: int) -> int:
            return (half + 1) * geometry.ratio(role) - 1 + self._reach(geometry, role) + TAPS

        return gaps + max(windows("dense", self.halves[0]), windows("rich", self.halves[1]))

    def peak(self, shape: Shape, geometry: Geometry) -> float:
        """Scores and what deviations follow from, the bands of a few rows, and one window or a few.

        Without a hyperspectral sensor beside others, all bands in place of scores.
        """
        dates, bands, rows, cols = shape
        alone = "rich" not in geometry.ratios or len(geometry.ratios) == 1
        kept = 4 * bands if alone else 1.5 * self.rank
        widest = max(self._window(geometry, "dense", 0), self._window(geometry, "rich", 1))
        pieces = 5 * max(PIECE, widest**4)
        whole = rows * cols * (_GUIDE + dates * (kept + 4))
        swath = min(rows * cols, max(PIXELS, cols * geometry.multiple))
        return 4.0 * (whole + swath * dates * (2 * self.rank + 30) + pieces)

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Guide, changes, regression and innovations; then every date hidden in turn.

        Bands, dates and sensors that saw nothing in any tile are done without.

        Raises
        ------
        ProblemError
            When no sensor saw the target's own pixels, or there is no valid one.
        """
        casting = Casting.learn(problems, _NAME)
        settings = replace(self._settings, doubled=casting.doubled)
        problems = [casting(problem, _NAME) for problem in problems]
        live = Live.learn(problems, ("sharp",), _NAME)
        settings = replace(settings, dead=~live.rich if bool(live.rich.any()) else None)
        tick(0.0, "guide and changes")
        with torch.no_grad():
            seen = with_seen_dates([live(problem) for problem in problems])
            optics = JointOptics.learn(seen, self.psf)
            mended = SharpRadiometry.learn([optics(problem) for problem in seen], settings)
            optics = with_offsets(replace(optics, sharp=mended), seen, settings)
            joint = learn_joint([optics(problem) for problem in seen], settings)
        tick(1.0, "done")
        state = replace(joint, casting=casting, live=live).tensors()
        return self.with_state(state | {f"{_OPTICS}.{name}": t for name, t in optics.tensors().items()})

    def fuse(self, problem: Problem) -> Answer:
        """Every date's scores and their standard deviation."""
        device = next(iter(problem.observations.values())).data.device if problem.observations else "cpu"
        state = {name: t.to(device) for name, t in self.fitted().items()}
        with torch.no_grad():
            joint = Joint.of(state)
            assert joint.live is not None
            assert joint.casting is not None
            problem = joint.casting(problem, _NAME)
            (sharp,) = problem.require("sharp", by=_NAME)
            problem = JointOptics.of(under(state, _OPTICS))(joint.live(problem))
            quality = origin(_used(problem), has_all_bands(sharp))
            if joint.subspace is None or problem.rich is None:
                values, sigma = series_of(joint, problem)
                return Answer(values, quality, sigma)
            scores, deviations = answer_of(joint, problem, quality)
        return Answer(Factored(scores, joint.subspace.basis, joint.subspace.mean), quality, deviations)

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """Small windows and few hidden dates."""
        cheap = {"halves": (1, 0), "centres": 8, "akin": 20, "hidings": 1, "rank": 6, "spans": (200.0,)}
        return cls(**{**cheap, **settings})

    @property
    def _optics(self) -> JointOptics:
        return JointOptics.of(under(self._state, _OPTICS))

    def _reach(self, geometry: Geometry, role: Role) -> int:
        """Of the point spread function that was found; before that, of the widest that may be."""
        ratio, own = geometry.ratio(role), geometry.reach(role)
        if self._state:
            found = self._optics.reach(role, ratio)
            return own if found is None else found
        return own if self.psf == "given" else max(own, support(ratio))

    def _window(self, geometry: Geometry, role: Role, which: int) -> int:
        """Fine pixels along one side of a window."""
        return (2 * self.halves[which] + 1) * geometry.ratio(role) + 2 * self._reach(geometry, role)

    @property
    def _settings(self) -> Settings:
        return Settings(
            self.rank,
            self.halves,
            self.width,
            self.linear,
            self.near,
            self.loads,
            self.centres,
            self.curve,
            self.akin,
            self.spans,
            self.grounds,
            self.hidings,
            self.seed,
            doubled=False,
        )


def _used(problem: Problem) -> Problem:
    """Dense pixels as they count beside a hyperspectral sensor: where one band lacks, none is looked at."""
    dense = problem.dense
    if dense is None or problem.rich is None:
        return problem
    valid = dense.valid.expand_as(dense.data).all(1, keepdim=True)
    return problem.with_observations({"dense": replace(dense, valid=valid)})
