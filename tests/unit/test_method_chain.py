"""chain: what its two methods are given, what it says of itself, and that it is worth its while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from stsfusion import methods
from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.method import Card, FusionMethod, Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.weights import settings_of
from stsfusion.methods.chain import Chain
from stsfusion.methods.gsa import GSA
from stsfusion.pipeline.fingerprint import fingerprint_of_code


@dataclass
class Half(FusionMethod):
    """Notes what it was given, and answers with one number; flags the second date as it is told."""

    needs: tuple[str, ...] = ("sharp", "dense")
    level: float = 0.25
    flag: int = int(Quality.FUSED)
    reach: int = 7
    sigma: bool = False
    asked: ClassVar[list[Problem]] = []

    @property
    def card(self) -> Card:
        return Card(
            name="half",
            title="Half",
            source="none",
            needs=self.needs,
            fits="scene",
            sigma=self.sigma,
            seam=2e-5,
        )

    def halo(self, geometry):
        return self.reach * geometry.ratio("rich") + geometry.ratio("dense")

    def span(self):
        return 1

    def fit(self, problems, tick=None):
        tick(1.0, "learned")
        return self.with_state({"tiles": torch.tensor(len(problems)), "deep.name": torch.zeros(2)})

    def fuse(self, problem):
        assert int(self.fitted()["tiles"]) > 0
        Half.asked = [*Half.asked, problem]
        time, _, y, x = problem.target.shape
        quality = torch.full((time, 1, y, x), int(Quality.FUSED), dtype=torch.uint8)
        quality[1, :, :5] = self.flag
        values = torch.full(problem.target.shape, self.level)
        return Answer(values, quality, torch.ones(1, 1, 1, 1) if self.sigma else None)


@pytest.fixture(autouse=True)
def _nothing_asked():
    Half.asked = []


def halves(**settings: object) -> Chain:
    return Chain(first=Half(**settings), then=Half(needs=("rich", "sharp"), level=0.5))


def fused(problem: Problem, chain: Chain | None = None) -> Answer:
    return (chain or halves()).fit([problem.question()]).fuse(problem.question())


def rmse(full: Tensor, problem: Problem, dates: list[int]) -> float:
    return float((full[dates] - problem.truth[dates]).square().mean().sqrt())


def test_the_first_is_asked_for_the_sharp_series_on_all_dates():
    problem = tiny_problem()
    fused(problem)
    asked = Half.asked[0]
    matrix = problem.sharp.view.spectral.matrix
    assert asked.target.shape == (5, 4, 48, 48)
    torch.testing.assert_close(asked.target.wavelengths, matrix @ problem.target.wavelengths)
    assert torch.equal(asked.target.days, problem.target.days)
    assert asked.rich is None
    assert torch.equal(asked.sharp.data, problem.sharp.data)
    assert asked.sharp.dates == problem.sharp.dates
    for seen in (asked.sharp, asked.dense):
        assert torch.equal(seen.view.spectral.matrix, torch.eye(4))
    assert asked.dense.data.shape == (5, 4, 24, 24)
    assert asked.dense.ratio == 2
    assert asked.truth is None


def test_the_second_is_given_rich_and_the_completed_series():
    problem = tiny_problem(gaps=True)
    answer = fused(problem)
    asked = Half.asked[-1]
    assert asked.target is problem.target
    assert asked.dense is None
    assert asked.rich is problem.rich
    assert asked.sharp.dates == [0, 1, 2, 3, 4]
    assert bool((asked.sharp.data[[1, 3]] == 0.25).all())
    seen = problem.sharp.valid.expand(problem.sharp.data.shape)
    expected = torch.where(seen, problem.sharp.data, 0.25)
    assert torch.equal(asked.sharp.data[[0, 2, 4]], expected)
    assert bool(asked.sharp.valid.all())
    assert torch.equal(asked.sharp.view.spectral.matrix, problem.sharp.view.spectral.matrix)
    assert bool((answer.values == 0.5).all())


@pytest.mark.parametrize("flag", [Quality.NO_DATA, Quality.FILLED])
def test_what_the_first_does_not_know_does_not_guide_the_second(flag):
    fused(tiny_problem(), halves(flag=int(flag)))
    valid = Half.asked[-1].sharp.valid
    assert not valid[1, :, :5].any()
    assert bool(valid[1, :, 5:].all())
    assert bool(valid[[0, 2, 3, 4]].all())


@pytest.mark.parametrize("flag", [Quality.INTERPOLATED, Quality.EXTRAPOLATED])
def test_what_a_guide_of_other_dates_told_is_not_called_fused(flag):
    quality = fused(tiny_problem(), halves(flag=int(flag))).quality
    assert bool((quality[1, :, :5] == int(flag)).all())
    assert bool((quality[1, :, 5:] == int(Quality.FUSED)).all())
    assert bool((quality[[0, 2, 3, 4]] == int(Quality.FUSED)).all())


@pytest.mark.parametrize("then", ["gsa", "srecnn"])
def test_dates_that_no_sensor_saw_are_called_so(then):
    """The last date, one inside, and dense pixels under a cloud."""
    problem = tiny_problem(dates=7)
    dense = problem.dense.select([0, 1, 2, 4])
    valid = dense.valid.clone()
    valid[1, :, :12] = False
    seen = {
        "rich": problem.rich.select([0, 1, 2]),
        "sharp": problem.sharp.select([0, 1, 2]),
        "dense": replace(dense, valid=valid),
    }
    chain = Chain.example(then=methods.kind(then).example())
    quality = fused(problem.with_observations(seen), chain).quality
    assert bool((quality[3] == int(Quality.INTERPOLATED)).all())
    assert bool((quality[[5, 6]] == int(Quality.EXTRAPOLATED)).all())
    assert bool((quality[1, :, :20] == int(Quality.INTERPOLATED)).all())
    assert bool((quality[1, :, 26:] == int(Quality.FUSED)).all())


def test_a_dead_sharp_band_stays_dead_and_one_dead_on_a_date_is_completed():
    problem = tiny_problem()
    valid = problem.sharp.valid.expand(problem.sharp.data.shape).clone()
    valid[:, 3], valid[1, 0] = False, False
    fused(problem.with_observations({"sharp": replace(problem.sharp, valid=valid)}))
    mask = Half.asked[-1].sharp.valid
    assert not mask[:, 3].any()
    assert bool(mask[:, :3].all())
    assert bool((Half.asked[-1].sharp.data[2, 0] == 0.25).all())


def test_state_halo_span_and_card_are_those_of_both():
    chain = halves(sigma=True)
    fitted = chain.fit([tiny_problem().question()])
    assert {"first.tiles", "first.deep.name", "then.tiles"} <= set(fitted.state)
    geometry = Geometry({"rich": 3, "sharp": 1, "dense": 2}, {"rich": 4, "dense": 2})
    assert chain.halo(geometry) == (7 * 1 + 2) + (7 * 3 + 1)
    assert chain.span() == 2
    assert (chain.card.sigma, chain.card.seam) == (False, 4e-5)
    assert chain.card.title == "Two stages: half, then half"
    assert chain.card.needs == ("rich", "sharp", "dense")
    assert not chain.card.blind


def test_it_is_made_from_names_and_nested_settings():
    chain = methods.create({"name": "chain", "first": {"name": "coarsedelta", "passes": 1}, "then": "gsa"})
    assert chain.first.passes == 1
    assert chain.then == GSA()
    again = methods.create(settings_of(chain))
    assert again == chain
    assert fingerprint_of_code(chain) != fingerprint_of_code(replace(chain, then=methods.create("cnmf")))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"first": "gsa"},
            "setting 'first'.*no more than sharp and dense.*'gsa', which needs rich and sharp",
        ),
        ({"then": "stsnet"}, "setting 'then'.*no more than rich and sharp"),
        ({"first": "coarsedelt"}, "Did you mean 'coarsedelta'"),
        ({"then": {"name": "gsa", "rigde": 1}}, "Did you mean 'ridge'"),
    ],
)
def test_methods_that_cannot_be_chained_are_refused(settings, said):
    with pytest.raises(MethodError, match=f"(?s){said}"):
        methods.create({"name": "chain", **settings})


def test_no_common_date_of_sharp_and_dense_is_refused():
    problem = tiny_problem().question()
    apart = problem.with_observations({"dense": problem.dense.select([1, 3])})
    with pytest.raises(ProblemError, match="both saw, to match their bands"):
        Chain.example().fit([apart])


def test_on_missing_dates_it_beats_interpolating_what_was_sharpened():
    problem = tiny_problem(size=72)
    chained = fused(problem, Chain.example(then=GSA(psf="given"))).full()
    alone = GSA(psf="given").fit([problem.question()]).fuse(problem.question()).full()
    assert rmse(chained, problem, [1, 3]) < 0.65 * rmse(alone, problem, [1, 3])
    assert torch.equal(chained[[0, 2, 4]], alone[[0, 2, 4]])


def test_the_list_of_methods_shows_the_chain_of_its_own_settings():
    assert methods.card("chain") == Chain().card
    assert methods.card("chain").title == "Two stages: estarfm, then cnmf"
