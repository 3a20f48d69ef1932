"""Sensors that stand in for others: who does when, how well, and tile by tile as in the whole."""

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.method import Geometry
from stsfusion.learning.casting import Casting, Kind
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointtrial import tile_of
from stsfusion.learning.stirred import stirred
from stsfusion.methods.jointlr import JointLR
from stsfusion.methods.lineartime import LinearTime
from stsfusion.operators.degradation import Degradation
from stsfusion.testing import tiny_problem
from stsfusion.window import Window

HIDDEN = [1, 3]
"""Dates that the hyperspectral sensor did not see."""

SIZE, CORE = 120, 36
"""Pixels along one side of a scene, and of what of a tile counts."""

SUBSETS = {
    Kind.SHARP_AS_DENSE: ((3, 2), ("rich", "sharp")),
    Kind.DENSE_AS_SHARP: ((3, 1), ("rich", "dense")),
    Kind.RICH_AS_SHARP: ((1, 3), ("rich", "dense")),
    Kind.DENSE_ALONE: ((3, 1), ("dense",)),
    Kind.RICH_ALONE: ((1, 2), ("rich",)),
}


def posed(kind, size=48):
    """A problem of these sensors; what stands in for the sharp one blurs as little as that one does."""
    ratios, roles = SUBSETS[kind]
    problem = tiny_problem(size=size, ratios=ratios, roles=roles)
    for role, seen in problem.observations.items():
        if seen.ratio == 1 and role != "sharp":
            view = Degradation.of(problem.target.shape, dates=seen.dates, spectral=seen.view.spectral.matrix)
            noise = torch.randn(seen.data.shape, generator=torch.Generator().manual_seed(1))
            own = replace(seen, data=view(problem.truth) + 0.001 * noise, view=view)
            problem = problem.with_observations({role: own})
    return problem


def rmse(answer, problem, dates):
    return float((answer.full() - problem.truth)[dates].square().mean().sqrt())


@pytest.mark.parametrize("kind", SUBSETS)
def test_whoever_is_there_plays(kind):
    casting = Casting.learn([posed(kind)], "x")
    assert int(casting.kind) == kind
    made = casting(posed(kind), "x")
    assert made.sharp is not None
    assert made.sharp.ratio == 1
    assert casting.doubled == (made.dense is not None)


def test_where_nobody_lacks_nobody_stands_in():
    for roles in (("rich", "sharp", "dense"), ("sharp", "dense"), ("sharp",)):
        problem = tiny_problem(roles=roles)
        casting = Casting.learn([problem], "x")
        assert int(casting.kind) == Kind.NOBODY
        assert casting(problem, "x").observations == problem.observations


def test_every_tile_has_the_same_sensors():
    whole = tiny_problem(ratios=(3, 1), roles=("rich", "dense")).question()
    less = whole.with_observations({"rich": None})
    for tiles in ([whole, less], [less, whole]):
        with pytest.raises(ProblemError, match=r"(?s)in every tile, got dense.*Give 'rich' here too"):
            JointLR.example().fit(tiles)
    with pytest.raises(ProblemError, match=r"(?s)in every tile, got dense.*Give 'rich' here too"):
        JointLR.example().fit([whole]).fuse(less)


@pytest.mark.parametrize("roles", [("rich", "dense"), ("dense",), ()])
def test_pixels_that_nobody_saw_are_refused_in_words(roles):
    with pytest.raises(ProblemError, match=r"(?s)'sharp', or another, got .*ask for the pixels"):
        JointLR.example().fit([tiny_problem(roles=roles).question()])


def test_the_hyperspectral_images_are_seen_as_the_dense_sensor_would():
    problem = posed(Kind.RICH_AS_SHARP)
    made = Casting.learn([problem], "x")(problem, "x")
    response = problem.dense.view.spectral.matrix
    wanted = torch.einsum("bs,tsyx->tbyx", response.float(), problem.rich.data)
    torch.testing.assert_close(made.sharp.data, wanted)
    assert made.sharp.dates == problem.rich.dates
    clean = problem.rich.noise[0] * response.square().sum(1).sqrt().float()
    torch.testing.assert_close(made.sharp.noise, clean)


@pytest.mark.parametrize(
    ("kind", "share"), [(Kind.DENSE_AS_SHARP, 0.05), (Kind.RICH_AS_SHARP, 0.4), (Kind.SHARP_AS_DENSE, 0.2)]
)
def test_two_sensors_tell_hidden_dates_better_than_a_line(kind, share):
    problem = posed(kind)
    question = problem.question()
    answer = JointLR.example(hidings=3).fit([question]).fuse(question)
    assert rmse(answer, problem, HIDDEN) < share * rmse(LinearTime().fuse(question), problem, HIDDEN)
    inside = torch.cat(
        [(answer.date(i) - problem.truth[i]).abs() < 1.645 * answer.sigma_of(i) for i in HIDDEN]
    )
    assert float(inside.float().mean()) > 0.8
    said = torch.stack([answer.sigma_of(i) for i in HIDDEN]).square().mean().sqrt()
    assert float(said) < 5.0 * rmse(answer, problem, HIDDEN), "so wide that it says nothing"


def test_who_plays_two_parts_does_not_vouch_for_its_own_gain():
    problem = posed(Kind.DENSE_AS_SHARP)
    bright = replace(problem.dense, data=1.2 * problem.dense.data)
    found = []
    for seen in (problem.dense, bright):
        question = problem.with_observations({"dense": seen}).question()
        method = JointLR.example(hidings=3).fit([question])
        found.append(rmse(method.fuse(question), problem, HIDDEN))
    torch.testing.assert_close(method.state["dense.gain"].mean(1), torch.full((5,), 1.2), rtol=0, atol=0.02)
    assert found[1] < 1.3 * found[0]


@pytest.mark.parametrize("kind", [Kind.DENSE_AS_SHARP, Kind.SHARP_AS_DENSE, Kind.RICH_AS_SHARP])
def test_a_scene_of_one_colour_stays_one(kind):
    """Nothing to tell an offset or a gain by but noise, which one sensor's two parts have in common."""
    problem = posed(kind)
    flat = replace(problem, truth=torch.full_like(problem.truth, 0.3))
    dice = torch.Generator().manual_seed(2)
    for role, seen in problem.observations.items():
        clean = seen.view(flat.truth)
        data = clean + 0.001 * torch.randn(clean.shape, generator=dice)
        flat = flat.with_observations({role: replace(seen, data=data, valid=torch.ones_like(seen.valid))})
    question = flat.question()
    answer = JointLR.example(hidings=3).fit([question]).fuse(question)
    assert rmse(answer, flat, slice(None)) < 0.002
    assert bool(torch.isfinite(answer.sigma).all())
    assert float(answer.sigma.max()) < 0.05


@pytest.mark.parametrize("kind", SUBSETS)
def test_a_tile_with_its_halo_says_what_the_whole_says(kind):
    question = posed(kind, size=SIZE).question()
    method = JointLR.example().fit([question])
    right = CORE + -(-method.halo(Geometry.of(question)) // 6) * 6
    assert right < SIZE, "the whole is no larger than the tile"
    cut = method.fuse(question.crop(Window((0, 5), (0, SIZE), (0, right))))
    whole = method.fuse(question)
    torch.testing.assert_close(cut.full()[..., :CORE], whole.full()[..., :CORE], rtol=0, atol=1e-4)


def test_one_series_alone_is_itself_where_it_was_seen():
    problem = posed(Kind.RICH_ALONE)
    answer = JointLR.example().fit([problem.question()]).fuse(problem.question())
    seen = problem.rich.dates
    torch.testing.assert_close(answer.full()[seen], problem.rich.data)
    assert (answer.quality[seen] == int(Quality.OBSERVED)).all()
    assert (answer.quality[HIDDEN] == int(Quality.INTERPOLATED)).all()


@pytest.mark.parametrize(("kind", "coarse"), [(Kind.DENSE_AS_SHARP, False), (Kind.RICH_AS_SHARP, True)])
def test_noise_of_fine_images_is_handed_on_and_counted(kind, coarse):
    """Of four times the variance where it is twice as large; coarse pixels are unmixed, and have none."""
    question = posed(kind).question()
    joint = Joint.of(JointLR.example().fit([question]).state)
    tile, found = tile_of(joint, joint.casting(question, "x")), []
    for noise in (1e-4, 2e-4):
        own = replace(question.dense, noise=torch.full_like(question.dense.noise, noise))
        found.append(stirred(joint, replace(tile, problem=question.with_observations({"dense": own}))))
    assert (found[0] == 0).all() == coarse
    if not coarse:
        torch.testing.assert_close(found[1], 4 * found[0], rtol=0.2, atol=0)
        assert 3e-5 < float(found[0].mean().sqrt()) < 2e-4


def with_dead_bands(problem, *bands):
    rich = problem.rich
    valid = rich.valid.expand(rich.data.shape).clone()
    valid[:, list(bands)] = False
    data = torch.where(valid, rich.data, 0.0)
    return problem.with_observations({"rich": replace(rich, data=data, valid=valid)})


WITH_RICH = [Kind.SHARP_AS_DENSE, Kind.DENSE_AS_SHARP, Kind.RICH_AS_SHARP, Kind.RICH_ALONE]
"""Casts of which a hyperspectral sensor is one."""


@pytest.mark.parametrize("dead", [(9,), (0, 1, 2, 3)])
@pytest.mark.parametrize("kind", WITH_RICH)
def test_dead_hyperspectral_bands_harm_no_other(kind, dead):
    whole = posed(kind)
    lame, live = with_dead_bands(whole, *dead), [band for band in range(20) if band not in dead]
    made = [JointLR.example().fit([p.question()]).fuse(p.question()).full()[:, live] for p in (whole, lame)]
    size = [(each - whole.truth[:, live]).square().mean((1, 2, 3)).sqrt() for each in made]
    assert (size[1] < 1.15 * size[0] + 5e-5).all(), size


@pytest.mark.parametrize("kind", WITH_RICH[:3])
def test_a_dead_hyperspectral_band_is_told_by_those_beside_it(kind):
    whole = posed(kind)
    lame = with_dead_bands(whole, 9).question()
    answer, seen = JointLR.example().fit([lame]).fuse(lame).full(), whole.rich.dates
    gap = (answer[seen, 9] - whole.truth[seen, 9]).square().mean().sqrt()
    line = whole.truth[seen][:, [8, 10]].mean(1)
    assert float(gap) < 1.2 * float((line - whole.truth[seen, 9]).square().mean().sqrt()) + 0.003


def test_a_broad_band_on_dead_ones_alone_holds_nothing_and_none_can_be_all():
    """Also where next to nothing is live: a single band, and no broad one that looks at it alone."""
    whole = posed(Kind.DENSE_AS_SHARP)
    lame = with_dead_bands(whole, *(band for band in range(20) if band != 5))
    answer = JointLR.example().fit([lame.question()]).fuse(lame.question()).full()
    gap = (answer[:, 5] - whole.truth[:, 5]).square().mean((1, 2)).sqrt()
    assert (gap < 0.02).all(), gap


def test_what_one_lame_series_saw_is_said_to_be_observed():
    lame = with_dead_bands(posed(Kind.RICH_ALONE), 9)
    answer = JointLR.example().fit([lame.question()]).fuse(lame.question())
    seen, live = lame.rich.dates, [band for band in range(20) if band != 9]
    torch.testing.assert_close(answer.full()[seen][:, live], lame.rich.data[:, live])
    assert (answer.quality[seen] == int(Quality.OBSERVED)).all()


def test_pixels_that_nobody_ever_saw_are_the_mean_of_all():
    problem = posed(Kind.RICH_ALONE)
    valid = problem.rich.valid.clone()
    valid[:, :, :20, :20] = False
    data = torch.where(valid, problem.rich.data, 0.0)
    question = problem.with_observations({"rich": replace(problem.rich, data=data, valid=valid)}).question()
    answer = JointLR.example().fit([question]).fuse(question)
    mean = problem.truth[:, :, 20:, 20:].mean((0, 2, 3))
    torch.testing.assert_close(answer.full()[1, :, 4, 4], mean, rtol=0, atol=0.03)
    assert int(answer.quality[1, 0, 4, 4]) == int(Quality.FILLED)


def test_a_sensor_of_a_few_single_bands_has_not_observed_the_others():
    problem = tiny_problem(roles=("sharp",))
    rows = torch.eye(20, dtype=torch.float64)[[2, 7, 11, 16]]
    view = Degradation.of(problem.target.shape, dates=problem.sharp.dates, spectral=rows)
    seen = replace(problem.sharp, data=view(problem.truth), view=view)
    question = problem.with_observations({"sharp": seen}).question()
    answer = JointLR.example().fit([question]).fuse(question)
    assert int(Quality.OBSERVED) not in answer.quality.unique().tolist()


def without_its_left(problem, role, columns):
    lame = problem.observations[role]
    valid = lame.valid.clone()
    valid[..., :columns] = False
    return problem.with_observations(
        {role: replace(lame, valid=valid, data=torch.where(valid, lame.data, 0.0))}
    )


def test_pixels_without_a_guide_change_nothing_far_from_them():
    """A tile that has none of them says what the whole says, though it is kriged in other groups."""
    question = without_its_left(posed(Kind.DENSE_AS_SHARP, size=SIZE), "dense", 30).question()
    method = JointLR.example().fit([question])
    halo = -(-method.halo(Geometry.of(question)) // 6) * 6
    whole = method.fuse(question)
    left = SIZE - CORE - halo
    assert left > 30, "the tile has pixels without a guide"
    cut = method.fuse(question.crop(Window((0, 5), (0, SIZE), (left, SIZE))))
    torch.testing.assert_close(cut.full()[..., -CORE:], whole.full()[..., -CORE:], rtol=0, atol=1e-4)
    torch.testing.assert_close(cut.sigma[..., -CORE:], whole.sigma[..., -CORE:], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("kind", "role"), [(Kind.SHARP_AS_DENSE, "sharp"), (Kind.DENSE_AS_SHARP, "dense")])
def test_what_the_hyperspectral_sensor_alone_saw_is_kept(kind, role):
    """On the target's own pixels, as surely as it was seen: pixels without a guide are no one surface."""
    problem = posed(kind)
    rich = problem.rich
    view = Degradation.of(problem.target.shape, dates=rich.dates)
    clean = view(problem.truth)
    noise = 0.001 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    rich = replace(rich, data=clean + noise, valid=torch.ones_like(clean[:, :1], dtype=torch.bool), view=view)
    question = without_its_left(problem.with_observations({"rich": rich}), role, 18).question()
    answer = JointLR.example(hidings=3).fit([question]).fuse(question)
    errors = (answer.full() - problem.truth)[rich.dates][..., :15]
    sigma = torch.stack([answer.sigma_of(date) for date in rich.dates])[..., :15]
    assert (errors.square().mean((1, 2, 3)).sqrt() < 0.002).all()
    assert ((errors.abs() < 1.645 * sigma).float().mean((1, 2, 3)) > 0.8).all()
