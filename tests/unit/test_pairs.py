"""What all pair methods share: dates, gaps, dead bands, sigma and blindness, shown by a method that echoes.

The echo learns which day it was shown and gives it back as its image, so that every share of every date can
be read off an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from pairscenes import believed, changed, pair_problem
from references import blurred, enlarged
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.method import Card, Geometry
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.resample import upsample
from stsfusion.operators.translate import translate
from stsfusion.testing import METHOD_CHECKS, ContractBroken


@dataclass
class Echo(PairMethod):
    """Answers with the day that it learned on, plus a thousandth of the day it is asked for."""

    uncovered: ClassVar[bool] = False
    seen: ClassVar[list] = []

    @property
    def card(self) -> Card:
        return Card(
            name="echo",
            title="Echo",
            source="none",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
        )

    def learn(self, pairs, model, tick):
        Echo.seen = [*Echo.seen, *pairs]
        return {"mark": torch.tensor(pairs[0].day), "kernel": model.kernel.clone()}

    def sharpen(self, pair, model, state):
        Echo.seen = [*Echo.seen, pair]
        value = float(state["mark"]) + 1e-3 * pair.day
        return torch.full((len(pair.coarse), *pair.fine.shape[1:]), value)


@dataclass
class Unsure(Echo):
    """Says how sure it is: a hundredth of its value, and three where it sees nothing."""

    @property
    def card(self) -> Card:
        return replace(super().card, sigma=True)

    def doubt(self, pair, model, state):
        return 0.01 * (1.0 + self.sharpen(pair, model, state))

    def blank(self, state):
        return torch.full((12,), 3.0)[: len(state["model.response"][0])]


@pytest.fixture(autouse=True)
def _nothing_seen():
    Echo.seen = []


def fused(problem: Problem, kind: type[PairMethod] = Echo, lesson: Problem | None = None, **settings):
    asked = problem.question()
    return kind(**{"psf": "box", **settings}).fit([lesson or asked]).fuse(asked)


def masked(seen: Observation, *where: object) -> Observation:
    """A gap, with something wild under it."""
    valid = seen.valid.clone()
    valid[where] = False
    return replace(seen, data=torch.where(valid, seen.data, -77.0), valid=valid)


# ---------------------------------------------------------------- dates


def test_each_date_is_fused_with_what_was_learned_on_it():
    answer = fused(pair_problem(days=(0.0, 10.0, 40.0)))
    for k, day in enumerate((0.0, 10.0, 40.0)):
        torch.testing.assert_close(answer.values[k], torch.full_like(answer.values[k], day + 1e-3 * day))


def test_another_day_takes_what_was_learned_nearest_to_it():
    lesson = pair_problem(days=(0.0, 10.0, 40.0))
    days = (0.0, 4.0, 6.0, 24.0, 26.0, 90.0)
    answer = fused(pair_problem(days=days), lesson=lesson.question())
    expected = [near + 1e-3 * day for near, day in zip((0, 0, 10, 10, 40, 40), days, strict=True)]
    np.testing.assert_allclose(answer.values[:, 3, 5, 7].numpy(), expected, rtol=1e-6)


def test_more_than_ten_days_are_told_apart():
    days = tuple(10.0 * k for k in range(12))
    answer = fused(pair_problem(size=(24, 24), days=days))
    np.testing.assert_allclose(answer.values[:, 0, 0, 0].numpy(), np.array(days) * 1.001, rtol=1e-6)


def test_dates_between_images_are_linear_in_days():
    days = (0.0, 10.0, 16.0, 40.0, 55.0)
    answer = fused(pair_problem(days=days, rich_dates=(0, 3), sharp_dates=(0, 3)))
    expected = np.interp(days, (0.0, 40.0), (0.0, 40.04))
    np.testing.assert_allclose(answer.values[:, 2, 9, 9].numpy(), expected, rtol=1e-6)


def test_a_date_that_the_sharp_sensor_alone_saw_is_sharpened_with_what_was_learned_nearest():
    problem = pair_problem(days=(0.0, 10.0, 40.0), rich_dates=(0, 2), sharp_dates=(0, 1, 2))
    answer = fused(problem)
    np.testing.assert_allclose(answer.values[:, 0, 0, 0].numpy(), [0.0, 0.01, 40.04], rtol=1e-6)
    (shown,) = [pair for pair in Echo.seen if pair.day == 10.0]
    assert torch.equal(shown.fine, problem.sharp.data[1])
    assert answer.quality.unique().tolist() == [int(Quality.OBSERVED), int(Quality.FUSED)]
    assert bool((answer.quality[1] == int(Quality.FUSED)).all())


def test_a_date_without_a_sharp_image_is_interpolated_in_space():
    problem = pair_problem(days=(0.0, 10.0, 40.0), sharp_dates=(0, 2))
    answer = fused(problem)
    torch.testing.assert_close(answer.values[1], upsample(problem.rich.data[1:2], 3)[0])
    np.testing.assert_allclose(answer.values[[0, 2], 4, 4, 4].numpy(), [0.0, 40.04], rtol=1e-6)


def test_no_common_date_is_refused():
    problem = pair_problem(days=(0.0, 10.0), rich_dates=(0,), sharp_dates=(1,))
    with pytest.raises(ProblemError, match="both saw, got none"):
        fused(problem)


def test_no_common_place_is_refused():
    problem = pair_problem(size=(36, 36))
    apart = changed(
        problem,
        rich=lambda seen: masked(seen, ..., slice(0, 6), slice(None)),
        sharp=lambda seen: masked(seen, ..., slice(18, None), slice(None)),
    )
    with pytest.raises(ProblemError, match="both saw, got none"):
        fused(apart)


@pytest.mark.parametrize("role", ["rich", "sharp"])
def test_a_sensor_that_saw_nothing_is_refused(role):
    problem = changed(pair_problem(), **{role: lambda seen: masked(seen, ...)})
    with pytest.raises(ProblemError, match="both saw, got none"):
        fused(problem)


def test_bands_that_look_at_nothing_are_refused():
    problem = pair_problem(response=torch.zeros(3, 12, dtype=torch.float64))
    with pytest.raises(ProblemError, match="multispectral bands inside the hyperspectral range"):
        fused(problem)


# ---------------------------------------------------------------- sigma


def by_moments(values, sigmas, shares) -> float:
    """Standard deviation of a mixture, from its first two moments."""
    mean = sum(w * x for w, x in zip(shares, values, strict=True))
    second = sum(w * (s * s + x * x) for w, x, s in zip(shares, values, sigmas, strict=True))
    return float(np.sqrt(second - mean * mean))


def test_between_dates_sigma_is_that_of_a_mixture():
    days = (0.0, 10.0, 16.0, 40.0)
    answer = fused(pair_problem(days=days, rich_dates=(0, 3), sharp_dates=(0, 3)), Unsure)
    values = np.array([0.0, 40.04])
    sigmas = 0.01 * (1.0 + values)
    for k, day in enumerate(days):
        expected = by_moments(values, sigmas, (1.0 - day / 40.0, day / 40.0))
        np.testing.assert_allclose(answer.sigma[k, 5, 8, 8], expected, rtol=1e-5)
    assert float(answer.sigma[2, 0, 0, 0]) > 10.0


def test_where_the_sharp_image_is_unknown_sigma_says_so():
    problem = changed(pair_problem(), sharp=lambda seen: masked(seen, 0, slice(None), slice(5, 20), 7))
    answer = fused(problem, Unsure)
    expected = torch.full((36, 36), 0.01)
    expected[5:20, 7] = 3.0
    torch.testing.assert_close(answer.sigma[0, 4], expected)
    unseen = fused(pair_problem(days=(0.0, 10.0), sharp_dates=(0,)), Unsure)
    torch.testing.assert_close(unseen.sigma[1], torch.full_like(unseen.sigma[1], 3.0))


def test_nothing_is_known_of_a_dead_band():
    problem = changed(pair_problem(), rich=lambda seen: masked(seen, slice(None), 4))
    answer = fused(problem, Unsure)
    assert bool((answer.sigma[:, 4] == 1.0).all())
    assert float(answer.sigma[:, 3].max()) == pytest.approx(0.01)


def test_a_method_without_sigma_says_none():
    assert fused(pair_problem()).sigma is None


# ---------------------------------------------------------------- dead bands and gaps


def test_dead_bands_are_not_shown():
    problem = changed(
        pair_problem(days=(0.0, 10.0)),
        rich=lambda seen: masked(seen, slice(None), [0, 7]),
        sharp=lambda seen: masked(seen, slice(None), 2),
    )
    answer = fused(problem)
    coverage = problem.sharp.view.spectral.matrix > 0
    live = [b for b in range(12) if b not in (0, 7)]
    for pair in Echo.seen:
        assert pair.coarse.shape[0] == 10
        assert pair.fine.shape[0] == 3
        assert torch.equal(pair.coverage, coverage[[0, 1, 3]][:, live])
        assert torch.equal(pair.nm, problem.target.wavelengths[live])
        assert float(pair.coarse.min()) > -1.0
        assert float(pair.fine.min()) > -1.0
    assert not answer.values[:, [0, 7]].any()
    np.testing.assert_allclose(answer.values[1, live, 3, 3].numpy(), 10.01, rtol=1e-6)


def test_a_sharp_band_that_only_sees_dead_bands_is_not_shown():
    response = torch.zeros(2, 12, dtype=torch.float64)
    response[0, :6], response[1, 10:] = 1 / 6, 1 / 2
    problem = pair_problem(response=response)
    fused(changed(problem, rich=lambda seen: masked(seen, slice(None), [10, 11])))
    assert {len(pair.fine) for pair in Echo.seen} == {1}


def test_a_band_that_is_dead_on_one_date_spoils_only_that_date():
    problem = pair_problem(days=(0.0, 10.0, 40.0), bands=6)
    answer = fused(changed(problem, rich=lambda seen: masked(seen, 1, 3)))
    expected = [0.0, 0.01, 40.04]
    np.testing.assert_allclose(answer.values[:, 3, 8, 8].numpy(), expected, rtol=1e-6, atol=1e-7)


def test_columns_that_failed_band_by_band_are_learned_from_when_filled():
    problem = pair_problem(bands=24)
    lost = torch.arange(24)[:, None] % 12 == torch.arange(12)[None, :]
    fused(changed(problem, rich=lambda seen: masked(seen, lost[None, :, None].expand(1, 24, 12, 12))))
    learned = Echo.seen[0]
    assert int(learned.clear.sum()) >= 100
    assert float(learned.coarse.min()) > 0.0


def test_gaps_are_filled_for_the_eye_and_left_out_of_learning():
    problem = changed(
        pair_problem(size=(48, 48)),
        rich=lambda seen: masked(seen, 0, slice(None), slice(2, 5), slice(3, 9)),
        sharp=lambda seen: masked(seen, 0, slice(None), slice(30, 34), slice(20, 23)),
    )
    answer = fused(problem)
    for pair in Echo.seen:
        assert float(pair.coarse.min()) > 0.0
        assert float(pair.fine.min()) > 0.0
        assert not pair.clear[2:5, 3:9].any()
    learned, shown = Echo.seen
    assert not learned.clear[10:12, 6:8].any()
    assert bool(learned.clear[12:, :].all())
    assert not shown.known[30:34, 20:23].any()
    plain = answer.values[0][:, 30:34, 20:23]
    expected = enlarged(problem.rich.data[0].numpy(), 3)[:, 30:34, 20:23]
    np.testing.assert_allclose(plain.numpy(), expected, atol=1e-6)
    assert not answer.values[0][:, 34:, :].any()


def test_ground_beyond_the_swath_or_that_half_a_detector_saw_has_no_answer():
    problem = pair_problem(size=(48, 48), days=(0.0, 10.0, 40.0))
    half = torch.arange(12) < 6

    def swath(seen):
        seen = masked(seen, slice(None), slice(None), slice(0, 3))
        seen = masked(seen, slice(None), half, slice(3, 5))
        return masked(seen, 0, slice(None), slice(9, 12))

    answer = fused(changed(problem, rich=swath))
    told = answer.quality[:, 0] != int(Quality.NO_DATA)
    assert not told[:, :15].any()
    assert bool(told[:, 15:].all()), "clouds of single dates are none"


def test_a_failed_column_of_one_band_is_answered_a_failed_area_is_not():
    problem = pair_problem(size=(48, 48), bands=24)
    gaps = changed(problem, rich=lambda seen: masked(masked(seen, 0, 3, slice(None), 2), 0, 5, slice(9, 16)))
    told = fused(gaps).quality[0, 0] != int(Quality.NO_DATA)
    assert bool(told[:33].all())
    assert not told[33:].any()


def test_noise_that_is_stated_is_passed_on_band_by_band():
    problem = changed(
        pair_problem(),
        rich=lambda seen: masked(replace(seen, noise=torch.arange(12.0)), slice(None), 5),
        sharp=lambda seen: masked(replace(seen, noise=torch.arange(4.0)), slice(None), 0),
    )
    fused(problem)
    assert Echo.seen[0].coarse_noise.tolist() == [b for b in range(12) if b != 5]
    assert Echo.seen[0].fine_noise.tolist() == [1, 2, 3]


def test_tiles_of_a_date_are_learned_together():
    one, other = (pair_problem(days=(0.0, 10.0), seed=seed).question() for seed in (0, 1))
    fitted = Echo(psf="box").fit([one, other])
    assert fitted.state["days"].tolist() == [0.0, 10.0]
    assert [pair.day for pair in Echo.seen] == [0.0, 0.0, 10.0, 10.0]


# ---------------------------------------------------------------- model and blindness


def test_given_uses_the_problems_kernel():
    for kernel in (gaussian_kernel(4.0, 3, (0.5, 0.0)), box_kernel(3)):
        problem = pair_problem(kernel=kernel)
        fitted = Echo(psf="given").fit([problem.question()])
        assert torch.equal(fitted.state["0.kernel"], kernel)


def test_a_displaced_sharp_image_is_shown_where_it_belongs():
    problem = pair_problem(size=(72, 72), registered=False)
    away = changed(problem, sharp=lambda seen: replace(seen, data=translate(seen.data[0], (-0.6, 0.4))[None]))
    fitted = fused(away, psf="estimated")
    assert fitted.shape == problem.target.shape
    shown = Echo.seen[-1].fine[:, 6:-6, 6:-6]
    still = problem.sharp.data[0][:, 6:-6, 6:-6]
    before = away.sharp.data[0][:, 6:-6, 6:-6]
    assert float((shown - still).std()) < 0.5 * float((before - still).std())


def test_what_is_shown_is_what_both_saw():
    problem = pair_problem(size=(36, 36), noise=0.0)
    fused(problem)
    shown = Echo.seen[-1]
    assert torch.equal(shown.coarse, problem.rich.data[0])
    assert torch.equal(shown.fine, problem.sharp.data[0])
    kernel = problem.rich.view.spatial.kernel.numpy()
    low = blurred(shown.fine.numpy(), kernel, 3)
    told = np.einsum("lb,byx->lyx", problem.sharp.view.spectral.matrix.numpy(), shown.coarse.numpy())
    np.testing.assert_allclose(low, told, atol=1e-5)


@pytest.mark.parametrize(("psf", "context"), [("estimated", 0), ("box", 0), ("given", 0), ("box", 50)])
def test_the_halo_covers_interpolation_filling_and_context(psf, context):
    class Wide(Echo):
        def context(self, ratio, reach):
            return context

    geometry = Geometry({"rich": 3, "sharp": 1}, {"rich": 7, "sharp": 0})
    halo = Wide(psf=psf, passes=2).halo(geometry)
    needs = {"estimated": 6 + 4, "box": 6, "given": 6 + 7}[psf]
    assert halo == max(needs, context) + 2 * 4 + 3


@dataclass
class Blind(Echo):
    """Answers with the sum of squares of the kernel it works with."""

    def sharpen(self, pair: object, model: object, state: dict[str, Tensor]) -> Tensor:
        return super().sharpen(pair, model, state) * 0.0 + model.kernel.square().sum()  # type: ignore[attr-defined]


@dataclass
class Seer(Blind):
    """Calls itself blind and has the kernel given."""

    psf: str = "given"  # type: ignore[assignment]

    def fit(self, problems, *rest):
        return super().fit([believed(problem) for problem in problems], *rest)

    @property
    def is_blind(self) -> bool:
        return True


@pytest.mark.parametrize("psf", ["estimated", "box", "gaussian", "hysure"])
def test_blind_is_blind(psf):
    class One(Blind):
        @classmethod
        def example(cls):
            return cls(psf=psf)

    assert One.example().card.blind
    METHOD_CHECKS["blind"](One)


def test_a_seer_is_caught():
    with pytest.raises(ContractBroken, match="another nominal point spread function"):
        METHOD_CHECKS["blind"](Seer)
    assert not Blind(psf="given").card.blind
