"""Broken twins: each breaks one promise and must be caught by the public check of that very name."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from pairscenes import believed

from stsfusion import methods
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card
from stsfusion.fusion.problem import Observation
from stsfusion.learning.pairing import Psf
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.operators.blur import Blur, gaussian_kernel
from stsfusion.operators.linear import Linear
from stsfusion.testing import METHOD_CHECKS, ContractBroken, check_method, check_operator


@dataclass
class Sound(Bicubic):
    """A method kept elsewhere that keeps every promise."""


@dataclass
class PerTileGain(Bicubic):
    """Law one broken: a statistic of the tile."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values * (1 + 0.1 * answer.values.mean()))


@dataclass
class ShortHalo(GSA):
    """A halo that is guessed."""

    def halo(self, geometry):
        return 2


@dataclass
class Leaking(Bicubic):
    """Looks under the mask."""

    def fuse(self, problem):
        (rich,) = problem.require("rich")
        bare = replace(rich, valid=torch.ones_like(rich.valid))
        return super().fuse(replace(problem, rich=bare))


@dataclass
class NotANumber(Bicubic):
    """Lets a NaN out."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(
            answer, values=torch.where(answer.values > answer.values.amax() * 0.99, torch.nan, answer.values)
        )


@dataclass
class Peeking(Bicubic):
    """Looks at the truth when it can."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return (
            answer if problem.truth is None else replace(answer, values=(answer.values + problem.truth) / 2)
        )


@dataclass
class Writing(Bicubic):
    """Writes into what it was given."""

    def fuse(self, problem):
        problem.rich.data.mul_(1.01)
        return super().fuse(problem)


@dataclass
class Forgetful(GSA):
    """Learns into itself instead of into a copy."""

    def fit(self, problems, tick=lambda done, what: None):
        fitted = super().fit(problems)
        self._state = fitted.state
        return fitted


@dataclass
class Unsaved(GSA):
    """Keeps what it learned outside the state."""

    def fit(self, problems, tick=lambda done, what: None):
        fitted = super().fit(problems)
        fitted.extra = 0.01
        return fitted

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + getattr(self, "extra", 0.0))


@dataclass
class Hungry(Bicubic):
    """Uses more memory than its card says."""

    def fuse(self, problem):
        waste = [torch.zeros(problem.target.shape) for _ in range(6)]
        return super().fuse(problem) if waste else Answer(waste[0], waste[0])


@dataclass
class Careless(Bicubic):
    """Makes up an image when its role is missing."""

    def fuse(self, problem):
        if problem.rich is None:
            shape = problem.target.shape
            return Answer(torch.zeros(shape), torch.ones(shape[0], 1, *shape[2:], dtype=torch.uint8))
        return super().fuse(problem)


@dataclass
class Overstated(GSA):
    """Says that the finest sensor may stand in for the sharp one, and asks for the sharp one."""

    @property
    def card(self) -> Card:
        return replace(super().card, finest=True)


@dataclass
class Seer(GSA):
    """Calls itself blind and believes the nominal kernel."""

    psf: Psf = "given"

    def fit(self, problems, *rest):
        return super().fit([believed(problem) for problem in problems], *rest)

    @property
    def card(self) -> Card:
        return replace(super().card, blind=True)


@dataclass
class Useless(GSA):
    """Worse than plain upsampling."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values * 0.8)


@dataclass
class Textured(Bicubic):
    """Paints detail where there is none."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        stripes = 0.01 * (torch.arange(answer.values.shape[-1]) % 2)
        return replace(answer, values=answer.values + stripes)


@dataclass
class WrongShape(Bicubic):
    """Forgets a date."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return Answer(answer.values[1:], answer.quality[1:])


@dataclass
class Boastful(Bicubic):
    """Says that its answers are factored, and gives all bands."""

    @property
    def card(self) -> Card:
        return replace(super().card, factored=True)


@dataclass
class Nameless(Bicubic):
    """Says nothing of its source."""

    @property
    def card(self) -> Card:
        return replace(super().card, source="")


@dataclass
class Impatient(Bicubic):
    """Divides by the time between two dates."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + 0 * (1 / problem.target.days[-1]).float())


@dataclass
class Habitual(Bicubic):
    """Answers by how often it was asked, not by what."""

    asked: ClassVar[int] = 0

    def fuse(self, problem):
        Habitual.asked += 1
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + 1e-6 * Habitual.asked)


TWINS = {
    PerTileGain: "seams",
    ShortHalo: "seams",
    Leaking: "gaps",
    NotANumber: "shape",
    WrongShape: "shape",
    Boastful: "shape",
    Peeking: "truth",
    Writing: "purity",
    Forgetful: "purity",
    Unsaved: "saved",
    Hungry: "memory",
    Careless: "roles",
    Overstated: "roles",
    Seer: "blind",
    Useless: "useful",
    Textured: "flat",
    Nameless: "card",
    Impatient: "one date",
    Habitual: "order",
}


def test_every_promise_has_a_twin():
    assert set(TWINS.values()) == set(METHOD_CHECKS)


@pytest.mark.parametrize(("twin", "check"), TWINS.items(), ids=lambda v: getattr(v, "__name__", v))
def test_the_twin_is_caught_for_its_own_reason(twin, check):
    with pytest.raises(ContractBroken) as caught:
        METHOD_CHECKS[check](twin)
    assert caught.value.check == check


@pytest.mark.parametrize("name", ["lineartime", "chain", "jointlr", "stsnet"])
def test_a_border_that_lets_dates_through_in_any_order_is_caught(name, monkeypatch):
    monkeypatch.setattr(Observation, "_put_in_order", lambda self: None)
    with pytest.raises(ContractBroken, match="order"):
        METHOD_CHECKS["order"](methods.kind(name))


def test_a_sound_method_from_elsewhere_passes():
    check_method(Sound)


class WrongAdjoint(Blur):
    def _transpose(self, y):
        return super()._transpose(y) * 1.001


class Affine(Blur):
    def _apply(self, x):
        return super()._apply(x) + 1e-3


class Detached(Linear):
    """A true adjoint that automatic differentiation cannot see."""

    in_shape = out_shape = (1, 1, 4, 4)

    def _apply(self, x):
        return x + (2 * x).detach()

    def _transpose(self, y):
        return 3 * y


@pytest.mark.parametrize(
    ("op", "check"),
    [
        (WrongAdjoint(gaussian_kernel(3, 3), 3, (1, 1, 12, 12)), "adjoint"),
        (Affine(gaussian_kernel(3, 3), 3, (1, 1, 12, 12)), "adjoint|linearity"),
        (Detached(), "autograd"),
    ],
    ids=["wrong adjoint", "affine", "detached"],
)
def test_a_broken_operator_is_caught(op, check):
    with pytest.raises(ContractBroken, match=check):
        check_operator(op)
